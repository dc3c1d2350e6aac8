#include "search/graph_difference.h"

#include <algorithm>
#include <map>

#include "graph/verify.h"

namespace octet {
namespace {

bool equal(const Attribute& a, const Attribute& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&](const auto& left) {
        using T = std::decay_t<decltype(left)>;
        if constexpr (std::is_same_v<T, Tensor>) return same_bits(left, std::get<T>(b));
        else return left == std::get<T>(b);
      },
      a);
}

bool equal(const Attributes& a, const Attributes& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first && equal(x.second, y.second); });
}

bool same_constant(const Tensor& a, const Tensor& b) {
  return (a.raw() == b.raw() && a.dtype() == b.dtype() && a.dims() == b.dims()) || same_bits(a, b);
}

class Difference {
 public:
  Difference(const Graph& base, const std::vector<std::vector<std::string>>& groups, const Graph& variant)
      : base_(base), variant_(variant), base_index_(base), index_(variant), in_part_(variant.nodes.size(), false) {
    std::map<std::string, size_t> group_of_name;
    for (size_t g = 0; g < groups.size(); ++g)
      for (const std::string& name : groups[g]) group_of_name[name] = g;
    members_.resize(groups.size() + base.nodes.size());
    for (size_t n = 0; n < base.nodes.size(); ++n) {
      const auto it = group_of_name.find(base.nodes[n].name);
      group_.push_back(it != group_of_name.end() ? it->second : groups.size() + n);
      members_[group_.back()].push_back(n);
    }
  }

  Result<GraphDifference> run() {
    match();
    return grow();
  }

  // For a variant that is the base itself.
  Result<GraphDifference> around(const std::set<std::string>& nodes) {
    partner_.resize(base_.nodes.size());
    for (size_t n = 0; n < base_.nodes.size(); ++n) {
      partner_[n] = static_cast<int64_t>(n);
      in_part_[n] = nodes.count(base_.nodes[n].name) != 0;
    }
    return grow();
  }

 private:
  Result<GraphDifference> grow() {
    while (take_groups() | take_makers() | take_between()) {
    }
    return build();
  }

  static bool variable(const Graph& graph, ValueId id) { return id != kNoValue && !graph.is_constant(id); }

  bool same_values(const std::vector<ValueId>& a, const std::vector<ValueId>& b) const {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
      if ((a[i] == kNoValue) != (b[i] == kNoValue)) return false;
      if (a[i] == kNoValue) continue;
      const Value &x = base_.value(a[i]), &y = variant_.value(b[i]);
      if (x.constant.has_value() != y.constant.has_value()) return false;
      if (x.constant ? !same_constant(*x.constant, *y.constant) : x.name != y.name) return false;
    }
    return true;
  }

  void match() {
    partner_.assign(base_.nodes.size(), -1);
    for (size_t n = 0; n < variant_.nodes.size(); ++n) {
      const Node& node = variant_.nodes[n];
      in_part_[n] = true;
      const ValueId twin = node.outputs.empty() || node.outputs[0] == kNoValue
                               ? kNoValue
                               : base_.find_value(variant_.value(node.outputs[0]).name);
      const int64_t maker = twin == kNoValue ? -1 : base_index_.producer(twin);
      if (maker < 0) continue;
      const Node& other = base_.nodes[static_cast<size_t>(maker)];
      if (other.op_type != node.op_type || other.domain != node.domain || !equal(other.attributes, node.attributes) ||
          !same_values(other.inputs, node.inputs) || !same_values(other.outputs, node.outputs))
        continue;
      in_part_[n] = false;
      partner_[static_cast<size_t>(maker)] = static_cast<int64_t>(n);
    }
  }

  bool take(size_t n) {
    const bool is_new = !in_part_[n];
    in_part_[n] = true;
    return is_new;
  }

  bool is_replaced(size_t base_node) const {
    return partner_[base_node] < 0 || in_part_[static_cast<size_t>(partner_[base_node])];
  }

  // A group of which a node is gone or taken is taken as a whole.
  bool take_groups() {
    bool changed = false;
    for (const std::vector<size_t>& group : members_) {
      if (std::none_of(group.begin(), group.end(), [&](size_t n) { return is_replaced(n); })) continue;
      for (size_t n : group)
        if (partner_[n] >= 0) changed |= take(static_cast<size_t>(partner_[n]));
    }
    return changed;
  }

  // Whether the base shows the value: it is read by another group or is an output.
  bool is_visible(ValueId base_value) const {
    const int64_t maker = base_index_.producer(base_value);
    if (maker < 0 || base_.is_output(base_value)) return true;
    const auto& uses = base_index_.uses(base_value);
    return std::any_of(uses.begin(), uses.end(), [&](const GraphIndex::Use& use) {
      return group_[use.node] != group_[static_cast<size_t>(maker)];
    });
  }

  // Inputs of the part that only exist inside a group of the base are made by the part.
  bool take_makers() {
    bool changed = false;
    for (size_t n = 0; n < variant_.nodes.size(); ++n) {
      if (!in_part_[n]) continue;
      for (ValueId id : variant_.nodes[n].inputs) {
        if (!variable(variant_, id)) continue;
        const int64_t maker = index_.producer(id);
        if (maker < 0 || in_part_[static_cast<size_t>(maker)]) continue;
        if (!is_visible(base_.find_value(variant_.value(id).name))) changed |= take(static_cast<size_t>(maker));
      }
    }
    return changed;
  }

  // What depends on the part and is needed by it again.
  bool take_between() {
    std::vector<bool> after = in_part_, before = in_part_;
    for (size_t n = 0; n < variant_.nodes.size(); ++n)
      for (ValueId id : variant_.nodes[n].inputs)
        if (variable(variant_, id) && index_.producer(id) >= 0 && after[static_cast<size_t>(index_.producer(id))])
          after[n] = true;
    for (size_t n = variant_.nodes.size(); n-- > 0;)
      for (ValueId id : variant_.nodes[n].outputs)
        if (id != kNoValue)
          for (const GraphIndex::Use& use : index_.uses(id))
            if (before[use.node]) before[n] = true;
    bool changed = false;
    for (size_t n = 0; n < variant_.nodes.size(); ++n)
      if (after[n] && before[n]) changed |= take(n);
    return changed;
  }

  Result<GraphDifference> build() {
    if (base_.outputs.size() != variant_.outputs.size()) return internal_error("the two networks differ in outputs");
    GraphDifference d;
    for (size_t n = 0; n < base_.nodes.size(); ++n)
      if (is_replaced(n)) d.replaced.insert(base_.nodes[n].name);
    d.part.name = variant_.name;
    d.part.opset = variant_.opset;
    d.part.other_opsets = variant_.other_opsets;
    std::vector<ValueId> copy(variant_.value_count(), kNoValue);
    const auto copied = [&](ValueId id) -> ValueId {
      if (id == kNoValue) return kNoValue;
      ValueId& to = copy[static_cast<size_t>(id)];
      if (to != kNoValue) return to;
      const Value& v = variant_.value(id);
      to = v.constant ? d.part.add_constant(v.name, *v.constant) : d.part.add_value(v.name, v.dtype, v.shape);
      if (v.constant == std::nullopt &&
          (index_.producer(id) < 0 || !in_part_[static_cast<size_t>(index_.producer(id))]))
        d.part.inputs.push_back(to);
      return to;
    };
    for (size_t n = 0; n < variant_.nodes.size(); ++n) {
      if (!in_part_[n]) continue;
      Node node = variant_.nodes[n];
      for (ValueId& id : node.inputs) id = copied(id);
      for (ValueId& id : node.outputs) id = copied(id);
      d.part.nodes.push_back(std::move(node));
    }
    for (size_t n = 0; n < variant_.nodes.size(); ++n)
      if (in_part_[n])
        for (ValueId id : variant_.nodes[n].outputs)
          if (id != kNoValue && is_read_outside(id)) {
            d.part.outputs.push_back(copy[static_cast<size_t>(id)]);
            d.changed.push_back(variant_.value(id).name);
          }
    if (!d.part.nodes.empty()) OCTET_RETURN_IF_ERROR(verify(d.part).at("the part of a network that differs"));
    return d;
  }

  bool is_read_outside(ValueId id) const {
    const auto& uses = index_.uses(id);
    return variant_.is_output(id) ||
           std::any_of(uses.begin(), uses.end(), [&](const GraphIndex::Use& use) { return !in_part_[use.node]; });
  }

  const Graph& base_;
  const Graph& variant_;
  GraphIndex base_index_, index_;
  std::vector<bool> in_part_;     // by node of the variant
  std::vector<int64_t> partner_;  // by node of the base: the same node of the variant, or -1
  std::vector<size_t> group_;     // by node of the base
  std::vector<std::vector<size_t>> members_;
};

}  // namespace

Result<GraphDifference> graph_difference(const Graph& base, const std::vector<std::vector<std::string>>& groups,
                                         const Graph& variant) {
  return Difference(base, groups, variant).run();
}

Result<GraphDifference> graph_part(const Graph& graph, const std::vector<std::vector<std::string>>& groups,
                                   const std::set<std::string>& nodes) {
  for (const std::string& name : nodes)
    if (graph.find_node(name) == nullptr) return not_found("there is no node '" + name + "'");
  return Difference(graph, groups, graph).around(nodes);
}

}  // namespace octet
