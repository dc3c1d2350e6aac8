// Statistics and weights -> calibrated ranges.
#include <algorithm>
#include <cmath>
#include <set>

#include "arith/quantize.h"
#include "octet/quantization.h"
#include "quantization/calibrator_choice.h"
#include "quantization/network.h"

namespace octet {
namespace {

class RangeMaker {
 public:
  RangeMaker(const Graph& graph, const QuantizationPlan& plan) : net_(graph), plan_(plan) {
    for (const auto& [name, t] : plan.tensors) {
      const std::string& head = t.same_as.empty() ? name : t.same_as;
      for (const TensorReader& reader : t.readers) readers_[head].push_back(reader);
    }
    for (size_t i = 0; i < graph.nodes.size(); ++i) node_index_[graph.nodes[i].name] = i;
  }

  Result<Ranges> run(const std::map<std::string, TensorStatistics>& statistics) {
    Ranges ranges;
    ranges.fingerprint = plan_.fingerprint;
    for (const auto& [name, t] : plan_.tensors) {
      if (!t.same_as.empty() || t.dtype == DType::kFloat16) continue;
      if (t.role == TensorRole::kWeight) {
        OCTET_RETURN_IF_ERROR(add_weight(name, t, &ranges));
        continue;
      }
      for (const std::string& member : t.covers)
        OCTET_RETURN_IF_ERROR(add_member(name, member, t, statistics, &ranges));
    }
    return ranges;
  }

 private:
  Status add_weight(const std::string& name, const TensorPlan& t, Ranges* ranges) const {
    const Tensor& w = *net_.value(net_.graph.find_value(name)).constant;
    OCTET_ASSIGN(const CalibratorOptions options, calibrator_options(t, false));
    auto found = calibrate_weights(w, t.axis, options, t.block_size);
    if (!found.is_ok()) return found.status().at("weight '" + name + "'");
    TensorRangeEntry entry;
    entry.role = TensorRole::kWeight;
    entry.axis = t.axis;
    entry.block_size = t.block_size;
    entry.count = w.numel();
    const auto [lo, hi] = std::minmax_element(w.data<float>(), w.data<float>() + w.numel());
    entry.min = w.numel() > 0 ? *lo : 0;
    entry.max = w.numel() > 0 ? *hi : 0;
    for (const CalibratedRange& r : *found) append(r, t.symmetric, &entry);
    entry.method = method_name(*found);
    entry.why = found->size() == 1 ? found->front().reason
                                   : std::to_string(found->size()) + " ranges; the first: " + found->front().reason;
    ranges->tensors.emplace(name, std::move(entry));
    return Status::ok();
  }

  Status add_member(const std::string& head, const std::string& member, const TensorPlan& t,
                    const std::map<std::string, TensorStatistics>& statistics, Ranges* ranges) const {
    const ValueId id = net_.graph.find_value(member);
    if (net_.graph.is_constant(id)) {
      TensorStatistics own;
      own.add(net_.value(id).constant->data<float>(), net_.value(id).constant->numel());
      return add_statistics(head, member, t, own, TensorRole::kConstant, ranges);
    }
    const auto it = statistics.find(member);
    if (it != statistics.end() && it->second.count() > 0)
      return add_statistics(head, member, t, it->second, TensorRole::kActivation, ranges);
    ranges->warnings.push_back({"", member,
                                "the tensor '" + member + "' was never seen during calibration: it stays " +
                                    "in float; calibrate with data that reaches it, or give it a range"});
    return Status::ok();
  }

  Status add_statistics(const std::string& head, const std::string& member, const TensorPlan& t,
                        const TensorStatistics& seen, TensorRole role, Ranges* ranges) const {
    OCTET_ASSIGN(CalibratorOptions options, calibrator_options(t, seen.min() < 0));
    if (role == TensorRole::kConstant) options.method = CalibrationMethod::kMax;
    auto found = calibrate(seen, options, consumers(head));
    if (!found.is_ok()) return found.status().at("tensor '" + member + "'");
    TensorRangeEntry entry;
    entry.role = role;
    entry.count = static_cast<int64_t>(seen.count());
    entry.min = seen.min();
    entry.max = seen.max();
    entry.method = calibration_method_name(found->method);
    entry.why = found->reason;
    append(*found, t.symmetric, &entry);
    warn(member, seen, *found, ranges);
    ranges->tensors.emplace(member, std::move(entry));
    return Status::ok();
  }

  static void warn(const std::string& member, const TensorStatistics& seen, const CalibratedRange& found,
                   Ranges* out) {
    const uint64_t odd = seen.nan_count() + seen.inf_count();
    if (odd > 0)
      out->warnings.push_back({"", member,
                               "the tensor '" + member + "' had " + std::to_string(seen.nan_count()) + " NaN and " +
                                   std::to_string(seen.inf_count()) +
                                   " infinite values, which its range leaves out; check the input data"});
    if (found.degenerate)
      out->warnings.push_back({"", member,
                               "the tensor '" + member + "' was zero for all calibration data: it gets " +
                                   "scale 1; calibrate with data that activates it, or skip its reader"});
  }

  // Symmetric ranges are kept as -amax and amax, which gives their scale back exactly.
  static void append(const CalibratedRange& r, bool symmetric, TensorRangeEntry* entry) {
    const float amax = std::max(std::fabs(r.hi), r.lo < 0 && r.hi <= 0 ? -r.lo : 0.0f);
    if (r.degenerate) entry->lo.push_back(0), entry->hi.push_back(0);
    else if (symmetric) entry->lo.push_back(r.lo < 0 ? -amax : 0.0f), entry->hi.push_back(amax);
    else entry->lo.push_back(r.lo), entry->hi.push_back(r.hi);
  }

  static std::string method_name(const std::vector<CalibratedRange>& ranges) {
    std::set<std::string> names;
    for (const CalibratedRange& r : ranges) names.insert(calibration_method_name(r.method));
    return names.size() == 1 ? *names.begin() : "auto";
  }

  // The errors that all weighted readers of a quantizer make of an error of its tensor, added up.
  std::optional<ConsumerWeights> consumers(const std::string& head) const {
    std::optional<ConsumerWeights> sum;
    const auto it = readers_.find(head);
    if (it == readers_.end()) return sum;
    for (const TensorReader& reader : it->second) {
      const auto node = node_index_.find(reader.node);
      if (node == node_index_.end()) continue;
      const int input = weight_input(net_, node->second);
      if (input < 0 || input == reader.input) continue;
      const Node& n = net_.node(node->second);
      const Tensor& w = *net_.value(n.inputs[static_cast<size_t>(input)]).constant;
      const int axis = n.is("ConvTranspose") ? 1 : weight_channel_axis(n, input, w.rank());
      if (axis < 0) continue;
      auto one = consumer_weights(w, axis);
      if (!one.is_ok()) continue;
      if (!sum) sum = ConsumerWeights{0, 0};
      sum->mean_sq_sum += one->mean_sq_sum;
      sum->mean_sum_sq += one->mean_sum_sq;
    }
    return sum;
  }

  Network net_;
  const QuantizationPlan& plan_;
  std::map<std::string, std::vector<TensorReader>> readers_;  // of a quantizer and all that share its parameters
  std::map<std::string, size_t> node_index_;
};

}  // namespace

Result<Ranges> SelectiveQuantizer::calibrate(const Graph& graph, const QuantizationPlan& plan,
                                             const std::map<std::string, TensorStatistics>& statistics) const {
  for (const auto& [name, t] : plan.tensors) {
    for (const std::string& member : t.covers)
      if (graph.find_value(member) == kNoValue)
        return invalid_argument("the plan speaks of '" + member +
                                "', which this network does not have; make the plan " +
                                "for the network that is calibrated");
    const ValueId id = graph.find_value(name);
    const bool constant = t.role == TensorRole::kWeight;
    if (id == kNoValue || (constant && !graph.is_constant(id)))
      return invalid_argument("the plan speaks of the tensor '" + name + "', which this network does not have");
  }
  return RangeMaker(graph, plan).run(statistics);
}

}  // namespace octet
