#include "engine/compiler/compile.h"

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "engine/compiler/choose_kernels.h"
#include "engine/compiler/emit.h"
#include "engine/compiler/float_times.h"
#include "engine/compiler/measure.h"
#include "engine/compiler/qoperator.h"
#include "executor/executor.h"
#include "graph/shape_inference.h"
#include "kernels/cpu/features.h"
#include "passes/pass.h"

namespace octet::engine {
namespace {

// The symbol that leads every input's shape; empty when the sizes are fixed.
std::string batch_symbol(const Graph& graph) {
  for (ValueId id : graph.inputs) {
    const std::optional<Shape>& shape = graph.value(id).shape;
    if (shape && !shape->empty() && !(*shape)[0].symbol.empty()) return (*shape)[0].symbol;
  }
  return {};
}

Status fix_batch(Graph& graph, const std::string& symbol, int64_t batch) {
  for (size_t v = 0; v < graph.value_count(); ++v) {
    Value& value = graph.value(static_cast<ValueId>(v));
    if (value.shape)
      for (Dim& d : *value.shape)
        if (d.symbol == symbol && d.coefficient > 0) d = Dim::of(d.coefficient * batch);
  }
  return infer_shapes(graph);
}

bool is_weighted(const Node& node) { return node.is("Conv") || node.is("Gemm") || node.is("MatMul"); }

// "conv1 + relu1" -> its names.
std::vector<std::string> names_of(const OpNote& note) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin < note.nodes.size();) {
    size_t end = note.nodes.find(" + ", begin);
    if (end == std::string::npos) end = note.nodes.size();
    names.push_back(note.nodes.substr(begin, end - begin));
    begin = end + 3;
  }
  return names;
}

// The Conv, Gemm or MatMul among the note's nodes, which may begin with a Pad; empty: none.
std::string weighted_name(const OpNote& note, const std::set<std::string>& weighted) {
  for (const std::string& name : names_of(note))
    if (weighted.count(name) != 0) return name;
  return {};
}

std::set<std::string> weighted_names(const Graph& graph) {
  std::set<std::string> names;
  for (const Node& node : graph.nodes)
    if (is_weighted(node)) names.insert(node.name);
  return names;
}

// Globs become names; a name that means nothing is an error.
Result<std::set<std::string>> names_to_keep(const Graph& graph, const std::set<std::string>& wanted) {
  const std::set<std::string> weighted = weighted_names(graph);
  const std::vector<std::string> known(weighted.begin(), weighted.end());
  std::set<std::string> names;
  for (const std::string& name : wanted) {
    if (weighted.count(name) != 0) {
      names.insert(name);
      continue;
    }
    const size_t before = names.size();
    if (is_glob(name))
      for (const std::string& candidate : known)
        if (glob_match(name, candidate)) names.insert(candidate);
    if (names.size() > before) continue;
    for (const Node& node : graph.nodes)
      if (node.name == name)
        return invalid_argument("'" + name + "' is a " + node.op_type +
                                "; only Conv, Gemm and MatMul can be kept in float." + did_you_mean(name, known));
    return not_found("there is no Conv, Gemm or MatMul '" + name + "' to keep in float." + did_you_mean(name, known));
  }
  return names;
}

// The float time of a unit is that of the step with its weighted (or else its first known) node.
void note_float_times(const std::map<std::string, double>& times, const std::set<std::string>& weighted,
                      Program& program) {
  for (OpNote& note : program.notes) {
    std::vector<std::string> names = names_of(note);
    if (const std::string first = weighted_name(note, weighted); !first.empty()) names.insert(names.begin(), first);
    for (const std::string& name : names) {
      const auto it = times.find(name);
      if (note.float_us == 0 && it != times.end()) note.float_us = it->second;
    }
  }
}

// Weighted operators that are clearly slower in integers, conversions to float and back not counted.
std::set<std::string> slower_in_integers(const Program& program, const std::set<std::string>& weighted) {
  constexpr double kMargin = 1.25, kLeastMicroseconds = 20;
  std::set<std::string> names;
  for (size_t i = 0; i < program.operations.size(); ++i) {
    const OpNote& note = program.notes[i];
    if (!std::holds_alternative<ConvOp>(program.operations[i]) || note.float_us <= 0) continue;
    const std::string name = weighted_name(note, weighted);
    if (!name.empty() && note.int8_us > kMargin * note.float_us && note.int8_us > note.float_us + kLeastMicroseconds)
      names.insert(name);
  }
  return names;
}

class Compilation {
 public:
  Compilation(const Graph& source, const CompileOptions& options, TimingCache& cache)
      : graph_(source), options_(options), cache_(cache) {}

  Result<Program> run() {
    OCTET_RETURN_IF_ERROR(prepare());
    OCTET_ASSIGN(Program integers, compile_prepared(options_, 0.6));
    if (!can_time(options_) || !options_.integers || !Executor::is_fast()) return integers;
    OCTET_ASSIGN(const Graph twin, float_twin(graph_));
    const auto times = float_times(twin, options_.threads, 0.15 * options_.seconds, cache_);
    if (!times.is_ok()) return integers;  // no float form to compare with
    say("compared with the times of the float form");
    const std::set<std::string> weighted = weighted_names(graph_);
    note_float_times(*times, weighted, integers);
    const std::set<std::string> slow = slower_in_integers(integers, weighted);
    if (slow.empty()) return integers;
    CompileOptions again = options_;
    again.keep_float.insert(slow.begin(), slow.end());
    OCTET_ASSIGN(Program hybrid, compile_prepared(again, 0.1));
    note_float_times(*times, weighted, hybrid);
    OCTET_ASSIGN(const bool faster, is_faster(hybrid, integers));
    for (const std::string& name : slow)
      say("'" + name +
          (faster ? "' is slower in integers and stays in float"
                  : "' alone is slower in integers, the network as a whole is not"));
    return faster ? std::move(hybrid) : std::move(integers);
  }

 private:
  void say(const std::string& line) const {
    if (options_.progress) options_.progress(line);
  }

  Status prepare() {
    OCTET_RETURN_IF_ERROR(infer_shapes(graph_));
    OCTET_RETURN_IF_ERROR(expand_qoperators(graph_).status());
    std::string symbol = batch_symbol(graph_);
    if (options_.batch > 0 && !symbol.empty()) {
      OCTET_RETURN_IF_ERROR(fix_batch(graph_, symbol, options_.batch));
      symbol.clear();
    }
    batched_ = !symbol.empty();
    PassOptions passes;
    passes.verify_each = false;
    OCTET_RETURN_IF_ERROR(run_passes(graph_, passes).status());
    OCTET_ASSIGN(options_.keep_float, names_to_keep(graph_, options_.keep_float));
    if (!options_.integers) {
      OCTET_ASSIGN(graph_, float_twin(graph_));
    }
    say("simplified to " + std::to_string(graph_.nodes.size()) + " nodes");
    return Status::ok();
  }

  Result<Program> compile_prepared(const CompileOptions& options, double share) {
    Units units = form_units(graph_, options);
    Needs needs = find_needs(graph_, units);
    fuse_units(units, needs);
    OCTET_ASSIGN(Draft draft, emit_program(graph_, units, needs, batched_));
    plan_memory(draft.program);
    return choose_kernels(draft, options, share * options.seconds, cache_);
  }

  // Whole runs of both programs in turns; the least time of each counts.
  Result<bool> is_faster(const Program& hybrid, const Program& integers) {
    const std::string key = "whole " + fingerprint(integers) + " " + fingerprint(hybrid) +
                            TimingCache::machine(options_.threads, cpu::cpu_features());
    if (!cache_.find(key, "integers") || !cache_.find(key, "with float")) {
      OCTET_ASSIGN(Rehearsal a, Rehearsal::create(integers, options_.threads));
      OCTET_ASSIGN(Rehearsal b, Rehearsal::create(hybrid, options_.threads));
      double least_a = 0, least_b = 0;
      const auto begin = std::chrono::steady_clock::now();
      for (int run = 0; run < 200; ++run) {
        OCTET_ASSIGN(const double time_a, a.time_once());
        OCTET_ASSIGN(const double time_b, b.time_once());
        least_a = run == 0 ? time_a : std::min(least_a, time_a);
        least_b = run == 0 ? time_b : std::min(least_b, time_b);
        const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
        if (run >= 4 && spent > 0.15 * options_.seconds) break;
      }
      cache_.set(key, "integers", least_a);
      cache_.set(key, "with float", least_b);
    }
    const double a = *cache_.find(key, "integers"), b = *cache_.find(key, "with float");
    const auto whole = [](double us) { return std::to_string(static_cast<int64_t>(us + 0.5)) + " us"; };
    say("the whole network takes " + whole(a) + " in integers and " + whole(b) + " with slow parts in float");
    return b < a;
  }

  Graph graph_;
  CompileOptions options_;
  TimingCache& cache_;
  bool batched_ = false;
};

}  // namespace

Result<Program> compile(const Graph& graph, const CompileOptions& options, TimingCache& cache) {
  return Compilation(graph, options, cache).run();
}

Result<Program> compile(const Graph& graph, const CompileOptions& options) {
  TimingCache cache;
  if (options.timing_cache.empty()) return compile(graph, options, cache);
  OCTET_ASSIGN(cache, TimingCache::load(options.timing_cache));
  OCTET_ASSIGN(Program program, compile(graph, options, cache));
  if (cache.changed()) OCTET_RETURN_IF_ERROR(cache.save(options.timing_cache));
  return program;
}

}  // namespace octet::engine
