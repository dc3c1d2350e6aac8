#include "engine/compiler/choose_kernels.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/compiler/measure.h"
#include "engine/tensors.h"
#include "kernels/cpu/features.h"

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
  Chooser(const Draft& draft, const CompileOptions& options, double seconds, TimingCache& cache)
      : draft_(draft),
        options_(options),
        seconds_(seconds),
        cache_(cache),
        features_(options.features != 0 ? options.features : cpu::cpu_features()),
        machine_(TimingCache::machine(options.threads, features_)) {}

  Result<Program> run() {
    for (const ConvSource& source : draft_.convs) candidates_.push_back(candidates(*source.unit));
    choice_.assign(draft_.convs.size(), 0);
    times_.assign(draft_.convs.size(), {});
    for (size_t c = 0; c < times_.size(); ++c) times_[c].assign(candidates_[c].kernels.size(), 0);
    operation_us_.assign(draft_.program.operations.size(), 0);
    if (can_time(options_)) OCTET_RETURN_IF_ERROR(measure());
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
      if (std::find(off.begin(), off.end(), name) != off.end()) why = "switched off";
      else if ((kernel->features() & ~features_) != 0)
        why = "needs " + cpu::features_to_string(kernel->features() & ~features_);
      else why = kernel->reject(unit.problem, unit.weights.data());
      if (why.empty()) found.kernels.push_back(kernel);
      else found.refused.push_back(name + ": " + why);
    }
    // The reference is there for what nobody else takes.
    if (found.kernels.size() > 1) found.kernels.pop_back();
    if (!can_time(options_) && repairs_often(unit)) demote("avx2-quads", found.kernels);
    return found;
  }

  // The root mean square of the weights' codes.
  static double weight_spread(const Unit& unit) {
    double squares = 0;
    for (int8_t w : unit.weights) squares += static_cast<double>(w) * w;
    return std::sqrt(squares / static_cast<double>(std::max<size_t>(1, unit.weights.size())));
  }

  // In place of a measurement: with such zero points and weights avx2-quads was seen to lose to avx2-words.
  static bool repairs_often(const Unit& unit) { return unit.problem.src_zero >= 32 || weight_spread(unit) > 50; }

  static void demote(std::string_view name, std::vector<const ConvKernel*>& kernels) {
    std::stable_partition(kernels.begin(), kernels.end(), [&](const ConvKernel* k) { return k->name() != name; });
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
      candidates_[c].kernels[choice[c]]->pack(
          unit.problem, unit.weights.data(), unit.bias.empty() ? nullptr : unit.bias.data(), base + op.packed.offset);
      std::memcpy(base + op.store.multiplier.offset, unit.multiplier.data(), 4 * unit.multiplier.size());
      if (!unit.addend.empty())
        std::memcpy(base + op.store.addend.offset, unit.addend.data(), 4 * unit.addend.size());
      if (unit.table) std::memcpy(base + op.store.table.offset, unit.table->data(), 256);
    }
    constants.attach(program);
    return program;
  }

  // What decides the time of a convolution.
  std::string problem_key(const ConvSource& source) const {
    const Unit& unit = *source.unit;
    const cpu::ConvGeometry& g = unit.problem.geometry;
    std::string key = "conv";
    for (int64_t v : {images(source), g.ih, g.iw, g.ic, g.oh, g.ow, g.oc, g.kh, g.kw, g.stride_h, g.stride_w,
                      g.pad_top, g.pad_left, g.dilation_h, g.dilation_w, g.groups})
      key += " " + std::to_string(v);
    // A kernel that repairs rare sums takes the longer the larger the codes and the weights are.
    key += " zero " + std::to_string((unit.problem.src_zero + 15) / 16) + " spread " +
           std::to_string(std::lround(2 * std::log2(1 + weight_spread(unit))));
    const cpu::Store& s = unit.store;
    key += s.to_float ? " float" : " codes";
    key += " curve " + std::to_string(static_cast<int>(s.curve)) + " residual " +
           std::to_string(static_cast<int>(s.residual)) + (unit.table ? " table" : "") +
           (unit.addend.empty() ? "" : " addend");
    return key + machine_;
  }

  // How often the geometry's image occurs in one run of the program.
  int64_t images(const ConvSource& source) const {
    const Program& program = draft_.program;
    const ConvOp& op = std::get<ConvOp>(program.operations[source.operation]);
    const cpu::ConvGeometry& g = source.unit->problem.geometry;
    return element_count(program.tensors[static_cast<size_t>(op.dst)]) / (g.oh * g.ow * g.oc);
  }

  // Times of the candidates and of all operations: those that the cache lacks are measured.
  Status measure() {
    for (size_t c = 0; c < draft_.convs.size(); ++c) keys_.push_back(problem_key(draft_.convs[c]));
    program_key_ = "program " + fingerprint(draft_.program) + machine_;
    std::vector<std::vector<size_t>> missing(times_.size());
    size_t rounds = 0;
    for (size_t c = 0; c < times_.size(); ++c) {
      for (size_t k = 0; k < times_[c].size(); ++k)
        if (!cache_.find(keys_[c], kernel_name(c, k))) missing[c].push_back(k);
      rounds = std::max(rounds, missing[c].size());
    }
    bool complete = true;
    for (size_t i = 0; i < operation_us_.size(); ++i)
      complete = complete && cache_.find(program_key_, operation_key(i));
    if (!complete) rounds = std::max<size_t>(rounds, 1);
    for (size_t r = 0; r < rounds; ++r) {
      OCTET_RETURN_IF_ERROR(measure_round(missing, r, rounds));
      if (options_.progress)
        options_.progress("timed kernels " + std::to_string(r + 1) + " of " + std::to_string(rounds));
    }
    for (const auto& [key, time] : measured_) cache_.set(key.first, key.second, time);
    for (size_t c = 0; c < times_.size(); ++c) {
      for (size_t k = 0; k < times_[c].size(); ++k) times_[c][k] = *cache_.find(keys_[c], kernel_name(c, k));
      choice_[c] = static_cast<size_t>(std::min_element(times_[c].begin(), times_[c].end()) - times_[c].begin());
    }
    for (size_t i = 0; i < operation_us_.size(); ++i) operation_us_[i] = *cache_.find(program_key_, operation_key(i));
    return Status::ok();
  }

  std::string kernel_name(size_t conv, size_t k) const { return std::string(candidates_[conv].kernels[k]->name()); }
  static std::string operation_key(size_t i) { return "operation " + std::to_string(i); }

  // Every convolution with the r-th of its candidates that have no time yet, or with the best of those that have. Of
  // equal problems and of several rounds the least time counts.
  Status measure_round(const std::vector<std::vector<size_t>>& missing, size_t r, size_t rounds) {
    std::vector<size_t> choice(times_.size(), 0);
    for (size_t c = 0; c < choice.size(); ++c) choice[c] = r < missing[c].size() ? missing[c][r] : best_known(c);
    OCTET_ASSIGN(Rehearsal rehearsal, Rehearsal::create(assemble(choice), options_.threads));
    OCTET_ASSIGN(const std::vector<double> best, rehearsal.time_operations(seconds_ / static_cast<double>(rounds)));
    for (size_t c = 0; c < choice.size(); ++c)
      if (r < missing[c].size()) note_time(keys_[c], kernel_name(c, choice[c]), best[draft_.convs[c].operation]);
    for (size_t i = 0; i < best.size(); ++i)
      if (!cache_.find(program_key_, operation_key(i))) note_time(program_key_, operation_key(i), best[i]);
    return Status::ok();
  }

  size_t best_known(size_t c) const {
    std::optional<double> least;
    size_t best = 0;
    for (size_t k = 0; k < times_[c].size(); ++k) {
      std::optional<double> time = cache_.find(keys_[c], kernel_name(c, k));
      const auto it = measured_.find({keys_[c], kernel_name(c, k)});
      if (it != measured_.end()) time = it->second;
      if (!time || (least && *least <= *time)) continue;
      least = time;
      best = k;
    }
    return best;
  }

  void note_time(const std::string& key, const std::string& what, double microseconds) {
    const auto [it, fresh] = measured_.try_emplace({key, what}, microseconds);
    if (!fresh) it->second = std::min(it->second, microseconds);
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
  double seconds_;
  TimingCache& cache_;
  uint32_t features_;
  std::string machine_;
  std::vector<Candidates> candidates_;
  std::vector<size_t> choice_;
  std::vector<std::vector<double>> times_;  // microseconds by convolution and candidate; 0: not measured
  std::vector<double> operation_us_;
  std::vector<std::string> keys_;  // of the convolutions in the cache
  std::string program_key_;        // of all operations
  std::map<std::pair<std::string, std::string>, double> measured_;
};

}  // namespace

bool can_time(const CompileOptions& options) {
  return options.timing && (options.features & ~cpu::cpu_features()) == 0;
}

Result<Program> choose_kernels(const Draft& draft, const CompileOptions& options, double seconds,
                               TimingCache& cache) {
  for (const std::string& name : options.disabled_kernels)
    if (cpu::find_conv_kernel(name) == nullptr || name == "reference") {
      std::string known;
      for (const ConvKernel* kernel : cpu::conv_kernels())
        if (kernel->name() != "reference") known += (known.empty() ? "" : ", ") + std::string(kernel->name());
      return invalid_argument("there is no kernel '" + name + "' to switch off; there are " + known);
    }
  return Chooser(draft, options, seconds, cache).run();
}

}  // namespace octet::engine
