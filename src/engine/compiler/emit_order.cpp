#include "engine/compiler/emit_order.h"

#include <queue>

namespace octet::engine {
namespace {

class Ordering {
 public:
  Ordering(const Graph& graph, const Units& units, const Needs& needs)
      : graph_(graph), units_(units), needs_(needs), index_(graph) {
    code_item_.assign(units.codes.size(), -1);
    value_item_.assign(graph.value_count(), -1);
    make_items();
  }

  std::vector<Item> in_order() const {
    std::vector<int> waiting(items_.size(), 0);
    std::vector<std::vector<size_t>> readers(items_.size());
    for (size_t i = 0; i < items_.size(); ++i)
      for (int d : dependencies(items_[i])) {
        ++waiting[i];
        readers[static_cast<size_t>(d)].push_back(i);
      }
    using Key = std::pair<size_t, size_t>;
    std::priority_queue<Key, std::vector<Key>, std::greater<>> ready;
    for (size_t i = 0; i < items_.size(); ++i)
      if (waiting[i] == 0) ready.push({items_[i].place, i});
    std::vector<Item> sorted;
    while (!ready.empty()) {
      const size_t i = ready.top().second;
      ready.pop();
      sorted.push_back(items_[i]);
      for (size_t r : readers[i])
        if (--waiting[r] == 0) ready.push({items_[r].place, r});
    }
    return sorted;
  }

 private:
  void make_items() {
    for (size_t u = 0; u < units_.units.size(); ++u) {
      if (!needs_.unit[u]) continue;
      const Unit& unit = units_.units[u];
      if (unit.output != kNoCode) code_item_[static_cast<size_t>(unit.output)] = static_cast<int>(items_.size());
      if (unit.float_output != kNoValue)
        value_item_[static_cast<size_t>(unit.float_output)] = static_cast<int>(items_.size());
      items_.push_back({Item::Kind::kUnit, u, unit.nodes.empty() ? 0 : unit.nodes.back()});
    }
    for (size_t v = 0; v < graph_.value_count(); ++v) {
      if (!needs_.dequantized[v] && !needs_.raw[v]) continue;
      value_item_[v] = static_cast<int>(items_.size());
      const int64_t p = index_.producer(static_cast<ValueId>(v));
      items_.push_back({needs_.raw[v] ? Item::Kind::kRaw : Item::Kind::kDequantize, v, static_cast<size_t>(p)});
    }
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (!needs_.node[n]) continue;
      for (ValueId out : graph_.nodes[n].outputs)
        if (out != kNoValue && value_item_[static_cast<size_t>(out)] < 0)
          value_item_[static_cast<size_t>(out)] = static_cast<int>(items_.size());
      items_.push_back({Item::Kind::kNode, n, n});
    }
  }

  std::vector<int> dependencies(const Item& item) const {
    std::vector<int> deps;
    const auto code = [&](CodeId c) { deps.push_back(code_item_[static_cast<size_t>(c)]); };
    const auto value = [&](ValueId v) {
      if (v != kNoValue) deps.push_back(value_item_[static_cast<size_t>(v)]);
    };
    switch (item.kind) {
      case Item::Kind::kUnit:
        for (CodeId c : units_.units[item.index].inputs) code(c);
        value(units_.units[item.index].float_input);
        break;
      case Item::Kind::kNode:
        for (ValueId v : graph_.nodes[item.index].inputs) value(v);
        break;
      case Item::Kind::kDequantize: code(units_.coded.at(static_cast<ValueId>(item.index))); break;
      case Item::Kind::kRaw: code(units_.code_of.at(static_cast<ValueId>(item.index))); break;
    }
    std::erase(deps, -1);
    return deps;
  }

  const Graph& graph_;
  const Units& units_;
  const Needs& needs_;
  const GraphIndex index_;
  std::vector<Item> items_;
  std::vector<int> code_item_, value_item_;  // which item makes it; -1: none
};

}  // namespace

std::vector<Item> items_in_order(const Graph& graph, const Units& units, const Needs& needs) {
  return Ordering(graph, units, needs).in_order();
}

}  // namespace octet::engine
