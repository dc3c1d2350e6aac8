#include "quantization/placement.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <tuple>

#include "arith/quantize.h"
#include "base/text.h"
#include "quantization/demand.h"

namespace octet {
namespace {

// Of two types that readers ask for, the one with more codes; FP8 gives way to integers.
int width_rank(DType t) {
  switch (t) {
    case DType::kFloat8E5M2: return 1;
    case DType::kFloat8E4M3: return 2;
    case DType::kInt4:
    case DType::kUint4: return 3;
    case DType::kInt8:
    case DType::kUint8: return 4;
    default: return 5;
  }
}

bool is_fp8(DType t) { return t == DType::kFloat8E4M3 || t == DType::kFloat8E5M2; }
bool is_unsigned(DType t) { return t == DType::kUint4 || t == DType::kUint8 || t == DType::kUint16; }

class Planner {
 public:
  Planner(const Network& net, const QuantizationOptions& options, const Target& target,
          const std::vector<NodeSettings>& settings, const DemandMap& demands)
      : net_(net), options_(options), target_(target), settings_(settings), demands_(demands) {}

  QuantizationPlan make(std::vector<NodePlan> nodes) {
    plan_.nodes = std::move(nodes);
    for (size_t i = 0; i < plan_.nodes.size(); ++i) collect_readers(i);
    for (auto& [id, members] : groups_) plan_group(members);
    for (const auto& [id, uses] : weights_) plan_weight(id, uses);
    for (size_t i = 0; i < plan_.nodes.size(); ++i) decide_bias(i);
    return std::move(plan_);
  }

 private:
  using Use = GraphIndex::Use;

  void collect_readers(size_t i) {
    const Node& n = net_.node(i);
    const int weight = is_weighted(n) ? weight_input(net_, i) : -1;
    for (size_t k = 0; k < n.inputs.size(); ++k) {
      if (!demands_.demanded_at(i, k)) continue;
      const ValueId v = n.inputs[k];
      uses_[v].push_back({i, k});
      if (static_cast<int>(k) == weight) {
        weights_[v].push_back({i, k});
        continue;
      }
      std::vector<ValueId>& members = groups_[demands_.group_of(v)];
      if (std::find(members.begin(), members.end(), v) == members.end()) members.push_back(v);
    }
  }

  // The settings that decide for a group: an explicit rule's before the defaults, the first reader's among equals.
  const NodeSettings& leading(const std::vector<ValueId>& members) const {
    const NodeSettings* best = nullptr;
    for (ValueId v : members) {
      for (const Use& use : uses_.at(v)) {
        const NodeSettings& s = settings_[use.node];
        if (best == nullptr || (best->source.empty() && !s.source.empty())) best = &s;
      }
    }
    return *best;
  }

  DType group_type(const std::vector<ValueId>& members) const {
    DType type = DType::kUndefined;
    for (ValueId v : members)
      for (const Use& use : uses_.at(v)) {
        const DType asked = settings_[use.node].activations;
        if (!is_quantized_dtype(asked)) continue;
        if (type == DType::kUndefined || width_rank(asked) > width_rank(type)) type = asked;
      }
    return type == DType::kUndefined ? target_.activation_type : type;
  }

  std::string readers_reason(ValueId v) const {
    std::vector<std::string> reasons;
    for (const Use& use : uses_.at(v)) {
      const std::string& r = demands_.reason_at(use.node, use.input);
      if (std::find(reasons.begin(), reasons.end(), r) == reasons.end()) reasons.push_back(r);
    }
    constexpr size_t kMost = 3;
    const size_t left_out = reasons.size() > kMost ? reasons.size() - kMost : 0;
    reasons.resize(reasons.size() - left_out);
    return join(reasons, "; ") + (left_out > 0 ? "; and " + std::to_string(left_out) + " more" : "");
  }

  TensorPlan new_tensor(ValueId v) const {
    TensorPlan t;
    for (const Use& use : uses_.at(v)) t.readers.push_back({net_.node(use.node).name, static_cast<int>(use.input)});
    t.why = readers_reason(v);
    return t;
  }

  // In the order in which the network makes them, constants last.
  std::vector<std::string> origin_names(ValueId group) const {
    std::vector<ValueId> origins = demands_.origins_of(group);
    std::sort(origins.begin(), origins.end(), [&](ValueId a, ValueId b) {
      return std::tuple(net_.graph.is_constant(a), net_.index.producer(a), a) <
             std::tuple(net_.graph.is_constant(b), net_.index.producer(b), b);
    });
    std::vector<std::string> names;
    for (ValueId v : origins) names.push_back(net_.value(v).name);
    return names;
  }

  // Members in the order in which the network makes them, origins first.
  void plan_group(std::vector<ValueId>& members) {
    std::sort(members.begin(), members.end(), [&](ValueId a, ValueId b) {
      return std::pair(net_.index.producer(a), a) < std::pair(net_.index.producer(b), b);
    });
    std::stable_partition(members.begin(), members.end(), [&](ValueId v) { return !net_.graph.is_constant(v); });
    std::stable_partition(members.begin(), members.end(), [&](ValueId v) { return !demands_.is_derived(v); });
    const NodeSettings& s = leading(members);
    const DType type = group_type(members);
    const std::string& first = net_.value(members.front()).name;
    for (ValueId v : members) {
      TensorPlan t = new_tensor(v);
      t.role = net_.graph.is_constant(v) ? TensorRole::kConstant : TensorRole::kActivation;
      t.dtype = type;
      t.symmetric = s.symmetric || is_fp8(type);
      t.calibrator = s.calibrator_i;
      t.percentile = s.percentile;
      const std::string& name = net_.value(v).name;
      if (name != first) t.same_as = first;
      else t.covers = origin_names(v);
      plan_.tensors.emplace(name, std::move(t));
    }
  }

  // One quantizer serves all readers of a weight; where they disagree about the axis it is per-tensor.
  void plan_weight(ValueId v, const std::vector<Use>& uses) {
    const Tensor& w = *net_.value(v).constant;
    TensorPlan t = new_tensor(v);
    t.role = TensorRole::kWeight;
    const NodeSettings& s = settings_[uses.front().node];
    t.dtype = s.weights;
    for (const Use& use : uses)
      if (width_rank(settings_[use.node].weights) > width_rank(t.dtype)) t.dtype = settings_[use.node].weights;
    t.symmetric = !is_unsigned(t.dtype);
    t.narrow_range = s.narrow_weights && t.symmetric && !is_fp8(t.dtype);
    t.calibrator = s.calibrator_w;
    t.percentile = s.percentile;
    t.covers = {net_.value(v).name};
    if (t.dtype == DType::kFloat16) t.why += "; stored in float16";
    else choose_axis(w, uses, &t);
    plan_.tensors.insert_or_assign(net_.value(v).name, std::move(t));  // an addition may read the same constant
  }

  void choose_axis(const Tensor& w, const std::vector<Use>& uses, TensorPlan* t) const {
    const NodeSettings& s = settings_[uses.front().node];
    std::set<int> channel, group;
    for (const Use& use : uses) {
      channel.insert(weight_channel_axis(net_.node(use.node), static_cast<int>(use.input), w.rank()));
      group.insert(weight_group_axis(net_.node(use.node), static_cast<int>(use.input), w.rank()));
    }
    if (s.group_size > 0) {
      const int axis = group.size() == 1 ? *group.begin() : -1;
      if (axis >= 0 && w.dim(axis) > s.group_size) {
        t->axis = axis;
        t->block_size = s.group_size;
        t->why += "; one scale per " + std::to_string(s.group_size) + " input channels";
        return;
      }
      t->why += axis < 0 ? "; groups are impossible because its readers sum over different axes"
                         : "; a single group covers all " + std::to_string(w.dim(axis)) + " input channels";
    }
    if (!s.per_channel) {
      t->why += "; per-tensor, as per_channel: false says";
    } else if (channel.size() > 1) {
      t->why += "; per-tensor because its readers have their output channels on different axes";
    } else if (*channel.begin() < 0) {
      const Node& n = net_.node(uses.front().node);
      t->why += n.is("ConvTranspose")
                    ? "; per-tensor because a ConvTranspose with groups has no axis of output channels"
                    : "; per-tensor because the weight has no axis of output channels";
    } else {
      t->axis = *channel.begin();
      t->why += "; one scale per output channel (axis " + std::to_string(t->axis) + ")";
    }
  }

  void decide_bias(size_t i) {
    NodePlan& plan = plan_.nodes[i];
    const Node& n = net_.node(i);
    const bool wanted = options_.bias ? *options_.bias == "int32" : target_.integer_bias;
    if (!wanted || plan.decision != NodeDecision::kQuantized || !n.has_input(2)) return;
    const int weight = weight_input(net_, i);
    const ValueId b = n.inputs[2];
    if (weight != 1 || !net_.is_float_constant(b)) return;
    const TensorPlan& w = plan_.tensors.at(net_.value(n.inputs[1]).name);
    const TensorPlan& x = plan_.tensors.at(net_.value(n.inputs[0]).name);
    const Tensor& wt = *net_.value(n.inputs[1]).constant;
    const Tensor& bt = *net_.value(b).constant;
    const bool plain = w.block_size == 0 && !is_fp8(w.dtype) && !is_fp8(x.dtype) &&
                       (!n.is("Gemm") || (n.attr_float("alpha", 1) == 1.0f && n.attr_float("beta", 1) == 1.0f));
    const bool per_channel = bt.rank() == 1 && (w.axis < 0 || wt.dim(w.axis) == bt.dim(0));
    plan.integer_bias = plain && per_channel;
  }

  const Network& net_;
  const QuantizationOptions& options_;
  const Target& target_;
  const std::vector<NodeSettings>& settings_;
  const DemandMap& demands_;
  QuantizationPlan plan_;
  std::map<ValueId, std::vector<Use>> uses_;
  std::map<ValueId, std::vector<Use>> weights_;
  std::map<ValueId, std::vector<ValueId>> groups_;
};

}  // namespace

Result<QuantizationPlan> place_quantizers(const Network& net, const QuantizationOptions& options,
                                          const Target& target, const std::vector<NodeSettings>& settings,
                                          const std::map<std::string, std::string>& excluded,
                                          const Ranges* ranges) {
  DemandMap demands(net, excluded);
  OCTET_ASSIGN(std::vector<NodePlan> nodes, Placer(net, options, target, settings, demands).run());
  demands.join(ranges, target.symmetric_activations);
  for (const DemandMap::Parted& p : demands.parted()) {
    char ratio[32];
    std::snprintf(ratio, sizeof ratio, "%.1f", p.ratio);
    nodes[p.concat].why += "; '" + net.value(p.input).name + "' keeps its own scale, the joint one is " + ratio +
                           " times coarser and it has other readers";
  }
  QuantizationPlan plan = Planner(net, options, target, settings, demands).make(std::move(nodes));
  plan.target = target.name;
  plan.regime = options.regime;
  return plan;
}

}  // namespace octet
