#include "engine/compiler/compile.h"

#include "engine/compiler/choose_kernels.h"
#include "engine/compiler/emit.h"
#include "engine/compiler/float_times.h"
#include "engine/compiler/qoperator.h"
#include "executor/executor.h"
#include "graph/shape_inference.h"
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

// The float time of a unit is that of the step with its weighted (or else its first known) node.
void note_float_times(const std::map<std::string, double>& times, Program& program) {
  for (OpNote& note : program.notes) {
    size_t begin = 0;
    while (begin < note.nodes.size() && note.float_us == 0) {
      size_t end = note.nodes.find(" + ", begin);
      if (end == std::string::npos) end = note.nodes.size();
      const auto it = times.find(note.nodes.substr(begin, end - begin));
      if (it != times.end()) note.float_us = it->second;
      begin = end + 3;
    }
  }
}

// Weighted operators that are clearly slower in integers, conversions to float and back not counted.
std::set<std::string> slower_in_integers(const Program& program) {
  constexpr double kMargin = 1.25, kLeastMicroseconds = 20;
  std::set<std::string> names;
  for (size_t i = 0; i < program.operations.size(); ++i) {
    const OpNote& note = program.notes[i];
    if (!std::holds_alternative<ConvOp>(program.operations[i]) || note.float_us <= 0) continue;
    if (note.int8_us > kMargin * note.float_us && note.int8_us > note.float_us + kLeastMicroseconds)
      names.insert(note.nodes.substr(0, note.nodes.find(" + ")));
  }
  return names;
}

Result<Program> compile_prepared(const Graph& graph, const CompileOptions& options, bool batched) {
  Units units = form_units(graph, options);
  Needs needs = find_needs(graph, units);
  fuse_units(units, needs);
  OCTET_ASSIGN(Draft draft, emit_program(graph, units, needs, batched));
  plan_memory(draft.program);
  return choose_kernels(draft, options);
}

}  // namespace

Result<Program> compile(const Graph& source, const CompileOptions& options) {
  const auto say = [&](const std::string& line) {
    if (options.progress) options.progress(line);
  };
  Graph graph = source;
  OCTET_RETURN_IF_ERROR(infer_shapes(graph));
  OCTET_RETURN_IF_ERROR(expand_qoperators(graph).status());
  std::string symbol = batch_symbol(graph);
  if (options.batch > 0 && !symbol.empty()) {
    OCTET_RETURN_IF_ERROR(fix_batch(graph, symbol, options.batch));
    symbol.clear();
  }
  PassOptions passes;
  passes.verify_each = false;
  OCTET_RETURN_IF_ERROR(run_passes(graph, passes).status());
  say("simplified to " + std::to_string(graph.nodes.size()) + " nodes");

  OCTET_ASSIGN(Program program, compile_prepared(graph, options, !symbol.empty()));
  const bool timed = options.timing && options.integers && Executor::is_fast();
  if (!timed) return program;
  OCTET_ASSIGN(const Graph twin, float_twin(graph));
  const auto times = float_times(twin, options.threads, options.seconds / 2);
  if (!times.is_ok()) return program;  // no float form to compare with
  say("timed the float form");
  note_float_times(*times, program);
  const std::set<std::string> slow = slower_in_integers(program);
  if (slow.empty()) return program;
  CompileOptions again = options;
  again.keep_float.insert(slow.begin(), slow.end());
  for (const std::string& name : slow) say("'" + name + "' is slower in integers and stays in float");
  OCTET_ASSIGN(Program hybrid, compile_prepared(graph, again, !symbol.empty()));
  note_float_times(*times, hybrid);
  return hybrid;
}

}  // namespace octet::engine
