#include "repair/input_products.h"

#include <algorithm>

#include "repair/in_order.h"
#include "repair/product_loops.h"

namespace octet::repair {
namespace {

// Output positions of one batch that are looked at. Many images at few places say more than many places of few.
constexpr int64_t kPositions = 64;
constexpr int64_t kTileRows = 48;     // of the products, one task
constexpr int64_t kPatchBlock = 256;  // patches whose columns stay in the cache

struct PatchPair {
  Patches quantized, exact;
};

class Collector {
 public:
  Collector(const WeightView& view, bool with_cross, const RepairHost& host)
      : groups_(view.groups()), cols_(view.cols()), width_((cols_ + kLanes - 1) / kLanes * kLanes), host_(host) {
    sums_.resize(static_cast<size_t>(groups_));
    for (InputProducts& p : sums_) {
      p.cols = cols_;
      p.second.assign(static_cast<size_t>(cols_ * cols_), 0);
      if (with_cross) p.cross = p.second;
    }
  }

  // Adds the products of a chunk; each tile of each matrix is one task with a fixed order of sums.
  Status add(const std::vector<PatchPair>& chunk) {
    for (const PatchPair& p : chunk) patches_ += p.quantized.rows;
    const int64_t tiles = (cols_ + kTileRows - 1) / kTileRows;
    const int64_t kinds = sums_[0].cross.empty() ? 1 : 2;
    return host_.parallel(groups_ * kinds * tiles, [&](int64_t task) {
      const int64_t tile = task % tiles, kind = task / tiles % kinds, group = task / (tiles * kinds);
      add_tile(chunk, group, kind == 1, tile * kTileRows);
      return Status::ok();
    });
  }

  std::vector<InputProducts> finish() {
    const double n = static_cast<double>(std::max<int64_t>(1, patches_));
    for (InputProducts& p : sums_) {
      for (double& x : p.second) x /= n;
      for (double& x : p.cross) x /= n;
    }
    return std::move(sums_);
  }

 private:
  void add_tile(const std::vector<PatchPair>& chunk, int64_t group, bool cross, int64_t begin) {
    const int64_t rows = std::min(kTileRows, cols_ - begin), stride = groups_ * width_;
    std::vector<float> tile(static_cast<size_t>(rows * width_), 0.0f);
    for (const PatchPair& p : chunk) {
      const float* right = p.quantized.values.data() + group * width_;
      const float* left = (cross ? p.exact.values.data() : p.quantized.values.data()) + group * width_ + begin;
      for (int64_t at = 0; at < p.quantized.rows; at += kPatchBlock)
        product_loops().add_products(left + at * stride, stride, right + at * stride, stride,
                                     std::min(kPatchBlock, p.quantized.rows - at), rows, width_, tile.data(), width_);
    }
    InputProducts& sum = sums_[static_cast<size_t>(group)];
    double* to = (cross ? sum.cross : sum.second).data() + begin * cols_;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < cols_; ++j) to[i * cols_ + j] += tile[static_cast<size_t>(i * width_ + j)];
  }

  int64_t groups_, cols_, width_;
  const RepairHost& host_;
  std::vector<InputProducts> sums_;
  int64_t patches_ = 0;
};

}  // namespace

Result<Prefix> Prefix::create(const Graph& graph, const std::string& value) {
  const ValueId id = graph.find_value(value);
  if (id == kNoValue) return internal_error("the network lost its tensor '" + value + "'");
  Prefix prefix;
  for (size_t i = 0; i < graph.inputs.size(); ++i) {
    if (graph.inputs[i] != id) continue;
    prefix.input_ = i;
    return prefix;
  }
  Graph part = graph;
  part.outputs = {id};
  OCTET_ASSIGN(prefix.executor_, Executor::create(part));
  return prefix;
}

Result<Tensor> Prefix::run(const std::vector<Tensor>& inputs) const {
  if (executor_ == nullptr) return inputs[input_];
  OCTET_ASSIGN(std::vector<Tensor> outputs, executor_->run(inputs));
  return std::move(outputs[0]);
}

Result<std::vector<InputProducts>> collect_products(const Node& node, const WeightView& view, const Dims& weight_dims,
                                                    const Prefix& quantized, const Prefix* exact,
                                                    const RepairHost& host) {
  Collector collector(view, exact != nullptr, host);
  const auto run = [&](int64_t batch, PatchPair* out) -> Status {
    OCTET_ASSIGN(const std::vector<Tensor> inputs, host.load(batch));
    OCTET_ASSIGN(const Tensor x, quantized.run(inputs));
    OCTET_ASSIGN(out->quantized, sample_patches(node, view, x, weight_dims, kPositions, batch));
    if (exact == nullptr) return Status::ok();
    OCTET_ASSIGN(const Tensor y, exact->run(inputs));
    OCTET_ASSIGN(out->exact, sample_patches(node, view, y, weight_dims, kPositions, batch));
    return Status::ok();
  };
  OCTET_RETURN_IF_ERROR(
      run_in_order<PatchPair>(host, "", run, [&](std::vector<PatchPair>& chunk) { return collector.add(chunk); }));
  return collector.finish();
}

}  // namespace octet::repair
