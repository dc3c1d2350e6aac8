#include <algorithm>

#include "engine/compiler/units.h"

namespace octet::engine {
namespace {

class NeedFinder {
 public:
  NeedFinder(const Graph& graph, const Units& units) : graph_(graph), index_(graph), units_(units) {
    needs_.unit.assign(units.units.size(), false);
    needs_.readers.assign(units.codes.size(), 0);
    needs_.node.assign(graph.nodes.size(), false);
    needs_.dequantized.assign(graph.value_count(), false);
    needs_.raw.assign(graph.value_count(), false);
    seen_.assign(graph.value_count(), false);
  }

  Needs run() {
    for (ValueId id : graph_.outputs) values_.push_back(id);
    while (!values_.empty()) {
      const ValueId id = values_.back();
      values_.pop_back();
      demand(id);
    }
    return std::move(needs_);
  }

 private:
  void demand(ValueId id) {
    const auto v = static_cast<size_t>(id);
    if (id == kNoValue || seen_[v]) return;
    seen_[v] = true;
    const int64_t producer = index_.producer(id);
    if (producer < 0) return;
    if (const auto it = units_.code_of.find(id); it != units_.code_of.end()) {
      needs_.raw[v] = true;
      read(it->second);
    } else if (const auto c = units_.coded.find(id); c != units_.coded.end()) {
      needs_.dequantized[v] = true;
      read(c->second);
    } else if (const auto f = units_.float_conv.find(id); f != units_.float_conv.end()) {
      demand_unit(f->second);
    } else {
      needs_.node[static_cast<size_t>(producer)] = true;
      for (ValueId in : graph_.nodes[static_cast<size_t>(producer)].inputs) values_.push_back(in);
    }
  }

  void read(CodeId code) {
    ++needs_.readers[static_cast<size_t>(code)];
    demand_unit(units_.codes[static_cast<size_t>(code)].unit);
  }

  void demand_unit(int first) {
    std::vector<int> stack{first};
    while (!stack.empty()) {
      const auto u = static_cast<size_t>(stack.back());
      stack.pop_back();
      if (needs_.unit[u]) continue;
      needs_.unit[u] = true;
      const Unit& unit = units_.units[u];
      if (unit.float_input != kNoValue) values_.push_back(unit.float_input);
      for (CodeId in : unit.inputs) {
        ++needs_.readers[static_cast<size_t>(in)];
        stack.push_back(units_.codes[static_cast<size_t>(in)].unit);
      }
    }
  }

  const Graph& graph_;
  GraphIndex index_;
  const Units& units_;
  Needs needs_;
  std::vector<bool> seen_;
  std::vector<ValueId> values_;
};

Unit& maker(Units& units, CodeId code) {
  return units.units[static_cast<size_t>(units.codes[static_cast<size_t>(code)].unit)];
}

void add_nodes(Unit& to, const Unit& from) {
  to.nodes.insert(to.nodes.end(), from.nodes.begin(), from.nodes.end());
  std::sort(to.nodes.begin(), to.nodes.end());
  to.nodes.erase(std::unique(to.nodes.begin(), to.nodes.end()), to.nodes.end());
}

// `into` makes the output of `gone` from now on.
void take_over(Units& units, Needs& needs, Unit& into, size_t gone) {
  Unit& old = units.units[gone];
  needs.readers[static_cast<size_t>(into.output)] = 0;
  const int index = units.codes[static_cast<size_t>(into.output)].unit;
  into.output = old.output;
  units.codes[static_cast<size_t>(old.output)].unit = index;
  add_nodes(into, old);
  needs.unit[gone] = false;
}

bool takes_table(const Unit& unit) {
  if (unit.table) return false;
  if (unit.kind == UnitKind::kBinary) return true;
  return unit.kind == UnitKind::kConv && !unit.store.to_float && unit.store.residual != cpu::Residual::kAfterFirst;
}

void fuse_table(Units& units, Needs& needs, size_t u) {
  const Unit& unit = units.units[u];
  const CodeId src = unit.inputs[0];
  Unit& before = maker(units, src);
  if (needs.readers[static_cast<size_t>(src)] != 1 || !takes_table(before)) return;
  before.table = unit.table;
  take_over(units, needs, before, u);
}

void fuse_addition(Units& units, Needs& needs, size_t u) {
  const Unit& unit = units.units[u];
  if (unit.binary.multiply || unit.table || unit.inputs.size() < 2 || unit.inputs[0] == unit.inputs[1]) return;
  int best = -1;
  for (int side = 0; side < 2; ++side) {
    const CodeId code = unit.inputs[static_cast<size_t>(side)];
    const Unit& before = maker(units, code);
    const bool fits = before.kind == UnitKind::kConv && before.store.residual == cpu::Residual::kNone &&
                      !before.store.to_float && needs.readers[static_cast<size_t>(code)] == 1;
    const auto place = [&](int s) {
      return units.codes[static_cast<size_t>(unit.inputs[static_cast<size_t>(s)])].unit;
    };
    if (fits && (best < 0 || place(side) > place(best))) best = side;
  }
  if (best < 0) return;
  const CodeId own = unit.inputs[static_cast<size_t>(best)], other = unit.inputs[static_cast<size_t>(1 - best)];
  Unit& conv = maker(units, own);
  cpu::Store& store = conv.store;
  store.residual = cpu::Residual::kAfterFirst;
  store.table_zero = units.codes[static_cast<size_t>(own)].params.zero;
  store.residual_zero = units.codes[static_cast<size_t>(other)].params.zero;
  store.self_scale = best == 0 ? unit.binary.a_scale : unit.binary.b_scale;
  store.residual_scale = best == 0 ? unit.binary.b_scale : unit.binary.a_scale;
  store.second = unit.binary.grid;
  conv.inputs.push_back(other);
  take_over(units, needs, conv, u);
}

}  // namespace

Needs find_needs(const Graph& graph, const Units& units) { return NeedFinder(graph, units).run(); }

void fuse_units(Units& units, Needs& needs) {
  for (size_t u = 0; u < units.units.size(); ++u)
    if (needs.unit[u] && units.units[u].kind == UnitKind::kTable && units.units[u].table) fuse_table(units, needs, u);
  for (size_t u = 0; u < units.units.size(); ++u)
    if (needs.unit[u] && units.units[u].kind == UnitKind::kBinary) fuse_addition(units, needs, u);
}

}  // namespace octet::engine
