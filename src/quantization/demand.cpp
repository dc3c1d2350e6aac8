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

void DemandMap::carry(size_t node, ValueId source, ValueId derived, bool may_part) {
  derived_[static_cast<size_t>(derived)] = true;
  links_.push_back({node, source, derived, may_part});
}

void DemandMap::widen(Pool& pool, const Pool& by) {
  pool.lo = std::min(pool.lo, by.lo);
  pool.hi = std::max(pool.hi, by.hi);
  for (ValueId v : by.origins)
    if (std::find(pool.origins.begin(), pool.origins.end(), v) == pool.origins.end()) pool.origins.push_back(v);
}

void DemandMap::unite(ValueId a, ValueId b) {
  const ValueId root = std::min(group_of(a), group_of(b)), other = std::max(group_of(a), group_of(b));
  if (root == other) return;
  parent_[static_cast<size_t>(other)] = root;
  widen(pools_[root], pools_[other]);
  pools_[root].read = pools_[root].read || pools_[other].read;
}

// A pool for each tensor that is read quantized.
void DemandMap::fill_pools(const Ranges* ranges) {
  std::vector<bool> moves(net_.graph.nodes.size(), false);
  for (const Link& link : links_) moves[link.node] = true;
  for (size_t i = 0; i < moves.size(); ++i) {
    const Node& n = net_.node(i);
    const int weight = is_weighted(n) ? weight_input(net_, i) : -1;
    for (size_t k = 0; k < n.inputs.size(); ++k) {
      if (!demanded_at(i, k) || static_cast<int>(k) == weight) continue;
      const ValueId v = n.inputs[k];
      Pool& pool = pools_[v];
      pool.read = pool.read || !moves[i];
      if (is_derived(v)) continue;
      pool.origins = {v};
      if (ranges == nullptr) continue;
      const auto it = ranges->tensors.find(net_.value(v).name);
      if (it == ranges->tensors.end() || it->second.lo.size() != 1 || it->second.hi.size() != 1) continue;
      pool.lo = std::min(0.0, static_cast<double>(it->second.lo[0]));
      pool.hi = std::max(0.0, static_cast<double>(it->second.hi[0]));
    }
  }
}

void DemandMap::join_concat(const std::vector<Link>& inputs, bool symmetric) {
  constexpr double kOneBit = 2;
  const auto span = [&](const Pool& p) { return symmetric ? 2 * std::max(-p.lo, p.hi) : p.hi - p.lo; };
  Pool joint;
  for (const Link& in : inputs) widen(joint, pools_[group_of(in.source)]);
  std::vector<ValueId> sharing;
  for (const Link& in : inputs) {
    const Pool& own = pools_[group_of(in.source)];
    const bool parts = in.may_part && own.read && span(own) > 0 && span(joint) > kOneBit * span(own);
    if (parts) parted_.push_back({in.node, in.source, span(joint) / span(own)});
    else sharing.push_back(in.source);
  }
  widen(pools_[group_of(inputs.front().derived)], joint);
  for (ValueId source : sharing) unite(source, inputs.front().derived);
}

void DemandMap::join(const Ranges* ranges, bool symmetric) {
  fill_pools(ranges);
  std::map<size_t, std::vector<Link>> concats;  // in the order of the network: what comes before is settled
  for (const Link& link : links_) {
    if (link.may_part && ranges != nullptr) concats[link.node].push_back(link);
    else unite(link.source, link.derived);
  }
  for (const auto& [node, inputs] : concats) join_concat(inputs, symmetric);
}

}  // namespace octet
