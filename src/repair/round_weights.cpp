// Layer by layer in the order of the network: a layer's rounding answers to the inputs that the layers before it,
// rounded already, really give.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "arith/quantize.h"
#include "repair/product_loops.h"
#include "repair/rounding.h"
#include "repair/steps.h"
#include "repair/weight_view.h"

namespace octet::repair {
namespace {

// The products of a layer are [cols, cols] in double, twice.
constexpr int64_t kMostInputs = 8192;

struct Target {
  WeightView view;
  const TensorPlan* plan;
};

int64_t times_read(const Graph& graph, ValueId id) {
  int64_t times = graph.is_output(id) ? 1 : 0;
  for (const Node& n : graph.nodes) times += std::count(n.inputs.begin(), n.inputs.end(), id);
  return times;
}

// Why a node's weight keeps its nearest codes; "" fills the target.
std::string find_target(const Graph& graph, const QuantizationPlan& plan, const NodePlan& node_plan, size_t node,
                        std::optional<Target>* out) {
  const Node& n = graph.nodes[node];
  const bool quantized =
      node_plan.decision == NodeDecision::kQuantized || node_plan.decision == NodeDecision::kWeightOnly;
  if (!quantized) return "it stays in float";
  const auto view = WeightView::of(graph, node);
  if (!view || !view->is_matrix())
    return n.is("ConvTranspose") ? "rounding a ConvTranspose is not supported"
                                 : "it has no constant matrix on the right";
  const auto it = plan.tensors.find(graph.value(view->weight()).name);
  if (it == plan.tensors.end() || it->second.role != TensorRole::kWeight || it->second.params.scale.empty())
    return "its weight is not quantized";
  if (!dtype_is_integer(it->second.dtype)) return "its weight has no integer codes";
  if (times_read(graph, view->weight()) != 1) return "other nodes read the same weight";
  if (view->cols() > kMostInputs)
    return "it sums over " + std::to_string(view->cols()) + " inputs, more than " + std::to_string(kMostInputs);
  *out = Target{*view, &it->second};
  return "";
}

RoundingProblem problem_of(const Tensor& w, const QuantParams& p, const QuantLayout& layout, const WeightView& view,
                           int64_t group) {
  RoundingProblem r;
  r.rows = view.rows();
  r.cols = view.cols();
  const CodeRange codes = code_range(p.dtype, p.narrow_range);
  r.lo = codes.lo;
  r.hi = codes.hi;
  for (int64_t row = 0; row < r.rows; ++row)
    for (int64_t col = 0; col < r.cols; ++col) {
      const int64_t e = view.at(group, row, col);
      const auto s = static_cast<size_t>(layout.scale_index(e));
      r.weight.push_back(w.data<float>()[e]);
      r.scale.push_back(p.scale[s]);
      r.zero_point.push_back(p.zero_point_at(s));
    }
  return r;
}

bool all_finite(const InputProducts& p) {
  for (const auto* m : {&p.second, &p.cross})
    for (double x : *m)
      if (!std::isfinite(x)) return false;
  return true;
}

// What nearest rounding adds to the mean squared outputs of all layers, and what the chosen codes take off again.
struct Gain {
  double noise = 0, gained = 0;
};

// Codes for all rows of one group, [rows, cols].
using GroupRounder = std::function<Result<Codes>(const RoundingProblem&, const InputProducts&)>;

class WeightRounder {
 public:
  WeightRounder(QuantizedNetwork net, bool with_cross, const RepairHost& host, GroupRounder round, RepairStep* step)
      : net_(net), with_cross_(with_cross), host_(host), round_(std::move(round)), step_(step) {
    plan_ = net.plan;
    plan_.fingerprint.clear();  // the weights change under it
  }

  Status run() {
    const auto total = static_cast<int64_t>(net_.plan.nodes.size());
    int64_t done = 0;
    std::map<std::string, size_t> node_of;
    for (size_t i = 0; i < net_.graph.nodes.size(); ++i) node_of[net_.graph.nodes[i].name] = i;
    for (const NodePlan& p : net_.plan.nodes) {
      host_.progress(step_->method, ++done, total);
      const auto it = node_of.find(p.name);
      if (it == node_of.end()) continue;
      const Node& node = net_.graph.nodes[it->second];
      if (node.inputs.size() < 2 ||
          !(node.is("Conv") || node.is("ConvTranspose") || node.is("Gemm") || node.is("MatMul")))
        continue;
      std::optional<Target> target;
      std::string why = find_target(net_.graph, net_.plan, p, it->second, &target);
      if (why.empty()) {
        OCTET_ASSIGN(why, round_layer(node, *target));
      }
      if (why.empty()) ++step_->changed;
      else step_->skipped.push_back(quoted_node(node) + ": " + why);
    }
    return Status::ok();
  }
  const Gain& gain() const { return gain_; }

 private:
  // Why the layer stayed as it was; "" when it was rounded.
  Result<std::string> round_layer(const Node& node, const Target& t) {
    const Tensor& w = *net_.graph.value(t.view.weight()).constant;
    OCTET_ASSIGN(const Graph quantized, net_.quantizer.quantize_module(net_.graph, plan_));
    const Node* twin = quantized.find_node(node.name);
    if (twin == nullptr) return internal_error("the quantized network lost " + quoted_node(node));
    OCTET_ASSIGN(const Prefix rounded, Prefix::create(quantized, quantized.value(twin->inputs[0]).name));
    std::optional<Prefix> exact;
    if (with_cross_) {
      OCTET_ASSIGN(exact, Prefix::create(net_.reference, net_.graph.value(node.inputs[0]).name));
    }
    OCTET_ASSIGN(const std::vector<InputProducts> products,
                 collect_products(node, t.view, w.dims(), rounded, exact ? &*exact : nullptr, host_));
    for (const InputProducts& p : products)
      if (!all_finite(p)) return std::string("its input is not finite for some image");
    const QuantParams& params = t.plan->params;
    OCTET_ASSIGN(const QuantLayout layout, quant_layout(w.dims(), params.axis, params.block_size));
    Tensor chosen = w.clone();
    for (int64_t g = 0; g < t.view.groups(); ++g) {
      const RoundingProblem problem = problem_of(w, params, layout, t.view, g);
      const InputProducts& inputs = products[static_cast<size_t>(g)];
      OCTET_ASSIGN(const Codes codes, round_(problem, inputs));
      measure(problem, inputs, codes);
      for (int64_t e = 0; e < problem.rows * problem.cols; ++e)
        chosen.data<float>()[t.view.at(g, e / problem.cols, e % problem.cols)] =
            problem.value(e, codes[static_cast<size_t>(e)]);
    }
    net_.graph.value(t.view.weight()).constant = std::move(chosen);
    return std::string();
  }

  void measure(const RoundingProblem& problem, const InputProducts& inputs, const Codes& codes) {
    for (int64_t r = 0; r < problem.rows; ++r) {
      const std::span<const int32_t> row(codes.data() + r * problem.cols, static_cast<size_t>(problem.cols));
      const Codes nearest = nearest_row(problem, r);
      gain_.noise += row_noise(problem, inputs, nearest, r);
      gain_.gained += row_error(problem, inputs, nearest, r) - row_error(problem, inputs, row, r);
    }
  }

  QuantizedNetwork net_;
  QuantizationPlan plan_;
  bool with_cross_;
  const RepairHost& host_;
  GroupRounder round_;
  RepairStep* step_;
  Gain gain_;
};

std::string summary(const RepairStep& step, const Gain& gain) {
  char share[32];
  std::snprintf(share, sizeof share, "%.0f %%", gain.noise > 0 ? 100 * gain.gained / gain.noise : 0);
  return "the weights of " + std::to_string(step.changed) +
         " layers were rounded; the squared errors of their outputs fell by " + share +
         " of what nearest rounding adds";
}

}  // namespace

Result<RepairStep> adaround(QuantizedNetwork net, const AdaRoundOptions& options, const RepairHost& host) {
  RepairStep step;
  step.method = "adaround";
  const GroupRounder round = [&](const RoundingProblem& problem, const InputProducts& inputs) -> Result<Codes> {
    const std::vector<float> second(inputs.second.begin(), inputs.second.end());
    Codes codes(problem.weight.size());
    OCTET_RETURN_IF_ERROR(host.parallel((problem.rows + kLanes - 1) / kLanes, [&](int64_t block) {
      const int64_t begin = block * kLanes, end = std::min(problem.rows, begin + kLanes);
      const Codes rows = adaround_rows(problem, inputs, second, options, begin, end);
      std::copy(rows.begin(), rows.end(), codes.begin() + begin * problem.cols);
      return Status::ok();
    }));
    return codes;
  };
  WeightRounder rounder(net, true, host, round, &step);
  OCTET_RETURN_IF_ERROR(rounder.run());
  step.summary = summary(step, rounder.gain());
  return step;
}

Result<RepairStep> gptq(QuantizedNetwork net, const GptqOptions& options, const RepairHost& host) {
  RepairStep step;
  step.method = "gptq";
  const GroupRounder round = [&](const RoundingProblem& problem, const InputProducts& inputs) -> Result<Codes> {
    const GptqFactor factor = gptq_factor(inputs, options);
    Codes codes(problem.weight.size());
    OCTET_RETURN_IF_ERROR(host.parallel(problem.rows, [&](int64_t row) {
      const Codes one = gptq_row(problem, inputs, factor, row);
      std::copy(one.begin(), one.end(), codes.begin() + row * problem.cols);
      return Status::ok();
    }));
    return codes;
  };
  WeightRounder rounder(net, false, host, round, &step);
  OCTET_RETURN_IF_ERROR(rounder.run());
  step.summary = summary(step, rounder.gain());
  return step;
}

}  // namespace octet::repair
