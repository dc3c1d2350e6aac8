#include "engine/compiler/choose_kernels.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "engine/compiler/timing_cache.h"
#include "octet/runtime.h"

namespace octet::engine {
namespace {

using cpu::ConvKernel;

struct Candidates {
  std::vector<const ConvKernel*> kernels;  // fastest by experience first
  std::vector<std::string> refused;        // "amx: reason"
};

// Constant data in the making: 64-byte aligned parts of one aligned block.
class Constants {
 public:
  Blob reserve(size_t bytes) {
    const Blob blob{size_, bytes};
    size_ = (size_ + bytes + 63) / 64 * 64;
    return blob;
  }
  void allocate() {
    block_ = std::make_shared<std::vector<Line>>((size_ + cpu::kReadSlack) / 64 + 1);
    std::memset(data(), 0, size_);
  }
  uint8_t* data() { return reinterpret_cast<uint8_t*>(block_->data()); }
  void attach(Program& program) {
    program.constants = {data(), size_};
    program.keep_alive = block_;
  }

 private:
  struct alignas(64) Line {
    uint8_t bytes[64];
  };
  size_t size_ = 0;
  std::shared_ptr<std::vector<Line>> block_;
};

class Chooser {
 public:
  Chooser(const Draft& draft, const CompileOptions& options)
      : draft_(draft), options_(options), features_(options.features != 0 ? options.features : cpu::cpu_features()) {}

  Result<Program> run() {
    for (const ConvSource& source : draft_.convs) candidates_.push_back(candidates(*source.unit));
    choice_.assign(draft_.convs.size(), 0);
    times_.assign(draft_.convs.size(), {});
    for (size_t c = 0; c < times_.size(); ++c) times_[c].assign(candidates_[c].kernels.size(), 0);
    const bool can_time = options_.timing && (features_ & ~cpu::cpu_features()) == 0;
    operation_us_.assign(draft_.program.operations.size(), 0);
    if (can_time) OCTET_RETURN_IF_ERROR(measure());
    Program program = assemble(choice_);
    annotate(program);
    OCTET_RETURN_IF_ERROR(verify_program(program, features_));
    return program;
  }

 private:
  Candidates candidates(const Unit& unit) const {
    Candidates found;
    for (const ConvKernel* kernel : cpu::conv_kernels()) {
      const std::string name(kernel->name());
      std::string why;
      const auto& off = options_.disabled_kernels;
      if (std::find(off.begin(), off.end(), name) != off.end())
        why = "switched off";
      else if ((kernel->features() & ~features_) != 0)
        why = "needs " + cpu::features_to_string(kernel->features() & ~features_);
      else
        why = kernel->reject(unit.problem, unit.weights.data());
      if (why.empty())
        found.kernels.push_back(kernel);
      else
        found.refused.push_back(name + ": " + why);
    }
    // The reference is there for what nobody else takes.
    if (found.kernels.size() > 1) found.kernels.pop_back();
    return found;
  }

  Program assemble(const std::vector<size_t>& choice) const {
    Program program = draft_.program;
    Constants constants;
    for (size_t c = 0; c < draft_.convs.size(); ++c) {
      const Unit& unit = *draft_.convs[c].unit;
      const ConvKernel* kernel = candidates_[c].kernels[choice[c]];
      ConvOp& op = std::get<ConvOp>(program.operations[draft_.convs[c].operation]);
      const size_t padded = static_cast<size_t>((unit.problem.geometry.oc + 15) / 16 * 16);
      op.kernel = kernel->name();
      op.packed = constants.reserve(kernel->packed_bytes(unit.problem));
      op.store.multiplier = constants.reserve(4 * padded);
      if (!unit.addend.empty()) op.store.addend = constants.reserve(4 * padded);
      if (unit.table) op.store.table = constants.reserve(256);
      program.features |= kernel->features();
    }
    constants.allocate();
    for (size_t c = 0; c < draft_.convs.size(); ++c) {
      const Unit& unit = *draft_.convs[c].unit;
      const ConvOp& op = std::get<ConvOp>(program.operations[draft_.convs[c].operation]);
      uint8_t* base = constants.data();
      candidates_[c].kernels[choice[c]]->pack(unit.problem, unit.weights.data(),
                                              unit.bias.empty() ? nullptr : unit.bias.data(), base + op.packed.offset);
      std::memcpy(base + op.store.multiplier.offset, unit.multiplier.data(), 4 * unit.multiplier.size());
      if (!unit.addend.empty()) std::memcpy(base + op.store.addend.offset, unit.addend.data(), 4 * unit.addend.size());
      if (unit.table) std::memcpy(base + op.store.table.offset, unit.table->data(), 256);
    }
    constants.attach(program);
    return program;
  }

  // What decides the time of a convolution.
  std::string problem_key(const Unit& unit) const {
    const cpu::ConvGeometry& g = unit.problem.geometry;
    std::string key = "conv";
    for (int64_t v : {g.ih, g.iw, g.ic, g.oh, g.ow, g.oc, g.kh, g.kw, g.stride_h, g.stride_w, g.pad_top, g.pad_left,
                      g.dilation_h, g.dilation_w, g.groups})
      key += " " + std::to_string(v);
    const cpu::Store& s = unit.store;
    key += s.to_float ? " float" : " codes";
    key += " curve " + std::to_string(static_cast<int>(s.curve)) + " residual " +
           std::to_string(static_cast<int>(s.residual)) + (unit.table ? " table" : "") +
           (unit.addend.empty() ? "" : " addend");
    return key + " threads " + std::to_string(options_.threads) + " cpu " + cpu::features_to_string(features_);
  }

  Status measure() {
    TimingCache cache;
    if (!options_.timing_cache.empty()) {
      OCTET_ASSIGN(cache, TimingCache::load(options_.timing_cache));
    }
    bool complete = !options_.timing_cache.empty();
    size_t rounds = 1;
    for (size_t c = 0; c < times_.size(); ++c) {
      const std::string key = problem_key(*draft_.convs[c].unit);
      rounds = std::max(rounds, times_[c].size());
      for (size_t k = 0; k < times_[c].size(); ++k) {
        const std::optional<double> known = cache.find(key, std::string(candidates_[c].kernels[k]->name()));
        if (known) times_[c][k] = *known;
        complete = complete && known;
      }
    }
    if (!complete) {
      for (size_t r = 0; r < rounds; ++r) OCTET_RETURN_IF_ERROR(measure_round(r, rounds));
      agree_on_equal_problems();
      for (size_t c = 0; c < times_.size(); ++c)
        for (size_t k = 0; k < times_[c].size(); ++k)
          cache.set(problem_key(*draft_.convs[c].unit), std::string(candidates_[c].kernels[k]->name()), times_[c][k]);
    }
    for (size_t c = 0; c < times_.size(); ++c)
      choice_[c] = static_cast<size_t>(std::min_element(times_[c].begin(), times_[c].end()) - times_[c].begin());
    if (!options_.timing_cache.empty() && cache.changed()) return cache.save(options_.timing_cache);
    return Status::ok();
  }

  // Every convolution with its r-th candidate; the least time of each operation over the runs counts.
  Status measure_round(size_t r, size_t rounds) {
    std::vector<size_t> choice(times_.size());
    for (size_t c = 0; c < choice.size(); ++c) choice[c] = std::min(r, times_[c].size() - 1);
    OCTET_ASSIGN(auto engine, Engine::from_program(assemble(choice)));
    OCTET_ASSIGN(auto session, Session::create(engine, {.threads = options_.threads}));
    const Program& program = engine->program();
    std::vector<Tensor> held;
    std::vector<const void*> inputs;
    std::vector<void*> outputs;
    for (TensorId id : program.inputs) {
      const TensorInfo& t = program.tensors[static_cast<size_t>(id)];
      OCTET_ASSIGN(Tensor zeros, Tensor::create(t.dtype, t.dims));
      std::memset(zeros.raw(), 0, static_cast<size_t>(zeros.nbytes()));
      held.push_back(zeros);
      inputs.push_back(held.back().raw());
    }
    for (TensorId id : program.outputs) {
      const TensorInfo& t = program.tensors[static_cast<size_t>(id)];
      OCTET_ASSIGN(Tensor out, Tensor::create(t.dtype, t.dims));
      held.push_back(out);
      outputs.push_back(held.back().raw());
    }
    std::vector<double> best;
    const auto begin = std::chrono::steady_clock::now();
    const double limit = options_.seconds / static_cast<double>(rounds);
    for (int run = 0; run < 200; ++run) {
      OCTET_ASSIGN(const std::vector<double> ms, session->profile(1, inputs, outputs));
      if (best.empty()) best = ms;
      for (size_t i = 0; i < ms.size(); ++i) best[i] = std::min(best[i], ms[i]);
      const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (run >= 4 && spent > limit) break;
    }
    for (size_t c = 0; c < choice.size(); ++c)
      if (r < times_[c].size()) times_[c][r] = best[draft_.convs[c].operation] * 1000;
    for (size_t i = 0; i < best.size(); ++i)
      operation_us_[i] = r == 0 ? best[i] * 1000 : std::min(operation_us_[i], best[i] * 1000);
    if (options_.progress)
      options_.progress("timed kernels " + std::to_string(r + 1) + " of " + std::to_string(rounds));
    return Status::ok();
  }

  // Equal problems get the least time that any of them saw, so that the cache gives the same choice next time.
  void agree_on_equal_problems() {
    std::map<std::string, std::vector<double>> least;
    for (size_t c = 0; c < times_.size(); ++c) {
      auto [it, fresh] = least.try_emplace(problem_key(*draft_.convs[c].unit), times_[c]);
      if (!fresh && it->second.size() == times_[c].size())
        for (size_t k = 0; k < times_[c].size(); ++k) it->second[k] = std::min(it->second[k], times_[c][k]);
    }
    for (size_t c = 0; c < times_.size(); ++c) {
      const std::vector<double>& l = least[problem_key(*draft_.convs[c].unit)];
      if (l.size() == times_[c].size()) times_[c] = l;
    }
  }

  void annotate(Program& program) const {
    for (size_t i = 0; i < operation_us_.size(); ++i) program.notes[i].int8_us = operation_us_[i];
    for (size_t c = 0; c < draft_.convs.size(); ++c) {
      OpNote& note = program.notes[draft_.convs[c].operation];
      note.reasons.insert(note.reasons.end(), candidates_[c].refused.begin(), candidates_[c].refused.end());
      note.int8_us = times_[c][choice_[c]];
      for (size_t k = 0; k < times_[c].size(); ++k)
        if (k != choice_[c] && times_[c][k] > 0)
          note.reasons.push_back(std::string(candidates_[c].kernels[k]->name()) + ": " +
                                 std::to_string(static_cast<int64_t>(times_[c][k] + 0.5)) + " us here");
    }
  }

  const Draft& draft_;
  const CompileOptions& options_;
  uint32_t features_;
  std::vector<Candidates> candidates_;
  std::vector<size_t> choice_;
  std::vector<std::vector<double>> times_;  // microseconds by convolution and candidate; 0: not measured
  std::vector<double> operation_us_;
};

}  // namespace

Result<Program> choose_kernels(const Draft& draft, const CompileOptions& options) {
  for (const std::string& name : options.disabled_kernels)
    if (cpu::find_conv_kernel(name) == nullptr || name == "reference") {
      std::string known;
      for (const ConvKernel* kernel : cpu::conv_kernels())
        if (kernel->name() != "reference") known += (known.empty() ? "" : ", ") + std::string(kernel->name());
      return invalid_argument("there is no kernel '" + name + "' to switch off; there are " + known);
    }
  return Chooser(draft, options).run();
}

}  // namespace octet::engine
