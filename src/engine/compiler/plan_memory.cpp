#include <algorithm>
#include <numeric>

#include "engine/compiler/emit.h"

namespace octet::engine {
namespace {

constexpr int64_t kAlign = 64;

struct Access {
  std::vector<TensorId> reads, writes;
};

Access access_of(const Operation& operation) {
  return std::visit(
      [](const auto& op) -> Access {
        using T = std::decay_t<decltype(op)>;
        if constexpr (std::is_same_v<T, ConvOp>) return {{op.src, op.residual}, {op.dst}};
        else if constexpr (std::is_same_v<T, BinaryOp> || std::is_same_v<T, MatMulOp>)
          return {{op.a, op.b}, {op.dst}};
        else if constexpr (std::is_same_v<T, IslandOp>) return {op.inputs, op.outputs};
        else if constexpr (std::is_same_v<T, FillOp>) return {{}, {op.dst}};
        else return {{op.src}, {op.dst}};
      },
      operation);
}

// The input whose memory the result may overwrite element by element, if any.
TensorId overwritable(const Operation& operation, int choice) {
  if (const auto* conv = std::get_if<ConvOp>(&operation))
    return choice == 0 && !conv->store.store.to_float ? conv->residual : kNoTensor;
  if (const auto* binary = std::get_if<BinaryOp>(&operation))
    return choice == 0 ? binary->a : choice == 1 && !binary->b_per_image ? binary->b : kNoTensor;
  if (const auto* table = std::get_if<TableOp>(&operation)) return choice == 0 ? table->src : kNoTensor;
  if (const auto* softmax = std::get_if<SoftmaxOp>(&operation)) return choice == 0 ? softmax->src : kNoTensor;
  if (const auto* norm = std::get_if<LayerNormOp>(&operation)) return choice == 0 ? norm->src : kNoTensor;
  return kNoTensor;
}

class Planner {
 public:
  explicit Planner(Program& program) : program_(program), tensors_(program.tensors) {
    const size_t n = tensors_.size();
    first_.assign(n, -1);
    last_.assign(n, -1);
    home_.resize(n);
    std::iota(home_.begin(), home_.end(), 0);
    outside_.assign(n, false);
    has_views_.assign(n, false);
  }

  void run() {
    for (TensorId id : program_.inputs) outside_[at(id)] = true;
    for (TensorId id : program_.outputs) outside_[at(id)] = true;
    for (size_t t = 0; t < tensors_.size(); ++t)
      if (tensors_[t].parent != kNoTensor) has_views_[at(root(static_cast<TensorId>(t)))] = true;
    live_ranges();
    share_in_place();
    place();
  }

 private:
  static size_t at(TensorId id) { return static_cast<size_t>(id); }

  TensorId root(TensorId id) const {
    while (tensors_[at(id)].parent != kNoTensor) id = tensors_[at(id)].parent;
    return id;
  }

  void live_ranges() {
    for (size_t i = 0; i < program_.operations.size(); ++i) {
      const Access access = access_of(program_.operations[i]);
      for (const auto* list : {&access.reads, &access.writes})
        for (TensorId id : *list) {
          if (id == kNoTensor) continue;
          const size_t r = at(root(id));
          if (first_[r] < 0) first_[r] = static_cast<int>(i);
          last_[r] = static_cast<int>(i);
        }
    }
  }

  bool plain_owner(TensorId id) const {
    return id != kNoTensor && tensors_[at(id)].parent == kNoTensor && !outside_[at(id)] && !has_views_[at(id)];
  }

  // Joins a result with an input that dies there and has the same bytes.
  void share_in_place() {
    for (size_t i = 0; i < program_.operations.size(); ++i) {
      const Access access = access_of(program_.operations[i]);
      if (access.writes.size() != 1) continue;
      const TensorId dst = access.writes[0];
      if (!plain_owner(dst) || first_[at(dst)] != static_cast<int>(i)) continue;
      for (int choice = 0; choice < 2; ++choice) {
        const TensorId src = overwritable(program_.operations[i], choice);
        if (!plain_owner(src) || last_[at(src)] != static_cast<int>(i)) continue;
        const TensorInfo &a = tensors_[at(src)], &b = tensors_[at(dst)];
        if (a.dims != b.dims || a.pixel_stride != b.pixel_stride || a.layout != b.layout) continue;
        // A convolution must not overwrite what it reads at other pixels.
        if (const auto* conv = std::get_if<ConvOp>(&program_.operations[i]); conv && conv->src == src) continue;
        home_[at(dst)] = home_[at(src)];
        break;
      }
    }
  }

  void place() {
    // Homes with their whole lifetimes, largest first; each goes to the lowest place that is free all that time.
    struct Block {
      TensorId home;
      int64_t bytes;
      int first, last;
    };
    std::vector<Block> blocks;
    std::vector<int> block_of(tensors_.size(), -1);
    for (size_t t = 0; t < tensors_.size(); ++t) {
      if (tensors_[t].parent != kNoTensor || outside_[t] || first_[t] < 0) continue;
      const auto home = static_cast<size_t>(home_[t]);
      if (block_of[home] < 0) {
        block_of[home] = static_cast<int>(blocks.size());
        blocks.push_back({static_cast<TensorId>(home), 0, first_[t], last_[t]});
      }
      Block& block = blocks[static_cast<size_t>(block_of[home])];
      // Some reads run past the end; what they read is multiplied by zero, so a neighbour may lie there.
      block.bytes = std::max(block.bytes, (tensor_bytes(tensors_[t]) + kAlign - 1) / kAlign * kAlign);
      block.first = std::min(block.first, first_[t]);
      block.last = std::max(block.last, last_[t]);
    }
    std::stable_sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) { return a.bytes > b.bytes; });
    for (size_t b = 0; b < blocks.size(); ++b) block_of[static_cast<size_t>(blocks[b].home)] = static_cast<int>(b);
    std::vector<int64_t> offset(blocks.size(), 0);
    int64_t total = 0;
    for (size_t b = 0; b < blocks.size(); ++b) {
      std::vector<std::pair<int64_t, int64_t>> taken;
      for (size_t o = 0; o < b; ++o)
        if (blocks[o].first <= blocks[b].last && blocks[b].first <= blocks[o].last)
          taken.push_back({offset[o], offset[o] + blocks[o].bytes});
      std::sort(taken.begin(), taken.end());
      int64_t at_offset = 0;
      for (const auto& [begin, end] : taken) {
        if (at_offset + blocks[b].bytes <= begin) break;
        at_offset = std::max(at_offset, end);
      }
      offset[b] = at_offset;
      total = std::max(total, at_offset + blocks[b].bytes);
    }
    for (size_t t = 0; t < tensors_.size(); ++t) {
      if (tensors_[t].parent != kNoTensor) continue;
      const int b = block_of[static_cast<size_t>(home_[t])];
      tensors_[t].offset = outside_[t] || first_[t] < 0 || b < 0 ? 0 : offset[static_cast<size_t>(b)];
    }
    program_.arena_bytes = total;
  }

  Program& program_;
  std::vector<TensorInfo>& tensors_;
  std::vector<int> first_, last_;  // operations that touch a root, the first and the last one
  std::vector<TensorId> home_;     // the tensor whose place this one takes
  std::vector<bool> outside_, has_views_;
};

}  // namespace

void plan_memory(Program& program) { Planner(program).run(); }

}  // namespace octet::engine
