// Which inputs of which nodes are to read a quantized tensor, and which tensors must share a scale.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "octet/quantization.h"
#include "quantization/settings.h"

namespace octet {

class DemandMap {
 public:
  DemandMap(const Network& net, const std::map<std::string, std::string>& excluded);

  // Whether a quantizer may stand on the value: computed, float32 and not excluded.
  bool allowed(ValueId id) const;
  // The reason an excluded value was given; "" for others.
  std::string exclusion(ValueId id) const;

  // Input `input` of `node` reads the quantized tensor; constants count too. The reason is kept for the plan.
  void demand(size_t node, size_t input, const std::string& reason);
  // The same for every reader of the value. Nothing happens when it is not allowed.
  void demand_all_readers(ValueId id, const std::string& reason);
  bool demanded(ValueId id) const { return demanded_[static_cast<size_t>(id)]; }
  bool demanded_at(size_t node, size_t input) const { return !reasons_[node][input].empty(); }
  const std::string& reason_at(size_t node, size_t input) const { return reasons_[node][input]; }

  // `derived` holds only elements of `source` (and zeros): both share one quantizer's parameters. With may_part, which
  // is for concatenations, join() may decide against it.
  void carry(size_t node, ValueId source, ValueId derived, bool may_part = false);
  bool is_derived(ValueId id) const { return derived_[static_cast<size_t>(id)]; }

  // After all demands: makes the groups that share parameters. With ranges, an input of a concatenation that others
  // read too leaves its group when the joint range would cost those readers more than a bit: it keeps its own scale,
  // and only the result of the concatenation has the joint one.
  void join(const Ranges* ranges, bool symmetric);
  ValueId group_of(ValueId id) const;
  // The tensors whose ranges make that of the group, in no order. Those of parted inputs are among them.
  const std::vector<ValueId>& origins_of(ValueId id) const { return pools_.at(group_of(id)).origins; }

  struct Parted {
    size_t concat;
    ValueId input;
    double ratio;  // of the joint range to its own
  };
  const std::vector<Parted>& parted() const { return parted_; }

 private:
  struct Link {
    size_t node;
    ValueId source, derived;
    bool may_part;
  };
  // What a group of tensors has in common.
  struct Pool {
    double lo = 0, hi = 0;
    bool read = false;  // by a node that does not just move its elements
    std::vector<ValueId> origins;
  };
  static void widen(Pool& pool, const Pool& by);
  void unite(ValueId a, ValueId b);
  void fill_pools(const Ranges* ranges);
  void join_concat(const std::vector<Link>& inputs, bool symmetric);

  const Network& net_;
  const std::map<std::string, std::string>& excluded_;
  std::vector<bool> demanded_;
  std::vector<bool> derived_;
  mutable std::vector<ValueId> parent_;
  std::vector<Link> links_;
  std::map<ValueId, Pool> pools_;  // by the group's root
  std::vector<Parted> parted_;
  std::vector<std::vector<std::string>> reasons_;
};

// Walks the graph backwards and fills the map; one NodePlan per node.
class Placer {
 public:
  Placer(const Network& net, const QuantizationOptions& options, const Target& target,
         const std::vector<NodeSettings>& settings, DemandMap& demands);
  Result<std::vector<NodePlan>> run();

 private:
  Status classify_weighted(size_t i);
  void classify_activation_input(size_t i, int weight);
  void place_weighted(size_t i);
  void force_result(size_t i);
  void place_add(size_t i);
  void place_skip(size_t i, const AddBranches& branches);
  void place_integer(size_t i, const std::string& why);
  void place_concat(size_t i);
  void place_carrier(size_t i);
  bool place_curve(size_t i);
  void place_other(size_t i);

  bool result_demanded(size_t i, bool through_fusion) const;
  bool is_weighted_branch(size_t add, size_t input) const;
  std::string treatment(size_t i, const std::string& block) const;
  void set(size_t i, NodeDecision decision, std::string why);

  const Network& net_;
  const QuantizationOptions& options_;
  const Target& target_;
  const std::vector<NodeSettings>& settings_;
  DemandMap& demands_;
  std::vector<NodePlan> nodes_;
  std::vector<bool> fused_op_;  // its type is one that fuses into what stands before it
  std::vector<bool> placed_;    // decided as a part of a block
  std::vector<bool> leads_to_output_;
};

}  // namespace octet
