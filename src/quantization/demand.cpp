#include "quantization/demand.h"

#include <algorithm>

namespace octet {

DemandMap::DemandMap(const Network& net, const std::map<std::string, std::string>& excluded)
    : net_(net),
      excluded_(excluded),
      demanded_(net.graph.value_count(), false),
      derived_(net.graph.value_count(), false),
      parent_(net.graph.value_count()) {
  for (size_t i = 0; i < parent_.size(); ++i) parent_[i] = static_cast<ValueId>(i);
  for (const Node& n : net.graph.nodes) reasons_.emplace_back(n.inputs.size());
}

bool DemandMap::allowed(ValueId id) const { return net_.is_dynamic_float(id) && exclusion(id).empty(); }

std::string DemandMap::exclusion(ValueId id) const {
  const auto it = excluded_.find(net_.value(id).name);
  return it == excluded_.end() ? "" : it->second;
}

void DemandMap::demand(size_t node, size_t input, const std::string& reason) {
  const ValueId id = net_.node(node).inputs[input];
  demanded_[static_cast<size_t>(id)] = true;
  if (reasons_[node][input].empty()) reasons_[node][input] = reason;
}

void DemandMap::demand_all_readers(ValueId id, const std::string& reason) {
  if (!allowed(id)) return;
  for (const GraphIndex::Use& use : net_.index.uses(id)) demand(use.node, use.input, reason);
}

ValueId DemandMap::group_of(ValueId id) const {
  while (parent_[static_cast<size_t>(id)] != id) {
    parent_[static_cast<size_t>(id)] = parent_[static_cast<size_t>(parent_[static_cast<size_t>(id)])];
    id = parent_[static_cast<size_t>(id)];
  }
  return id;
}

void DemandMap::carry(ValueId source, ValueId derived) {
  derived_[static_cast<size_t>(derived)] = true;
  const ValueId a = group_of(source), b = group_of(derived);
  parent_[static_cast<size_t>(std::max(a, b))] = std::min(a, b);
}

}  // namespace octet
