#include "octet/sensitivity.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "octet/recipe.h"
#include "pipeline/image_runner.h"
#include "search/group_times.h"
#include "search/saved_state.h"
#include "search/score.h"
#include "search/unit_sweep.h"

namespace octet {
namespace {

std::string list_text(const std::vector<int64_t>& images) {
  std::string text;
  for (int64_t i : images) text += std::to_string(i) + ",";
  return text;
}

class Measurement {
 public:
  Measurement(const Graph& graph, const SelectiveQuantizer& quantizer, const SensitivityJob& job)
      : graph_(graph), quantizer_(quantizer), job_(job), evaluation_(job.evaluation) {
    if (evaluation_ == nullptr) evaluation_ = job.quantize.calibration;
  }

  Result<SensitivityReport> run() {
    if (job_.quantize.calibration == nullptr)
      return invalid_argument("the sensitivity of layers needs data: give --data");
    OCTET_RETURN_IF_ERROR(quantize());
    units_ = decision_units(report_.prepared, report_.plan);
    if (units_.empty())
      return not_found(
          "the plan quantizes no layer of the network, so there is nothing to measure; 'octet quantize' says "
          "why, node by node");
    OCTET_RETURN_IF_ERROR(cheap_scores());
    OCTET_RETURN_IF_ERROR(fill_layers());
    if (job_.exact != 0) OCTET_RETURN_IF_ERROR(exact_scores());
    if (job_.timing) OCTET_RETURN_IF_ERROR(measure_times());
    return std::move(report_);
  }

 private:
  // The key of everything that the figures depend on, so that a folder's state is never used for another job.
  std::string calibration_key() const {
    return digest(graph_fingerprint(graph_) + recipe_to_yaml(quantizer_.options()) +
                  job_.quantize.calibration->describe() + std::to_string(job_.quantize.images) +
                  (job_.quantize.ranges ? ranges_to_json(*job_.quantize.ranges) : ""));
  }

  // All layers, those that the selective regime would keep in float after a look at them too.
  Status quantize() {
    QuantizeJob q = job_.quantize;
    q.evaluation = nullptr;
    q.on_quantized = {};
    q.min_layer_sqnr_db = 0;
    q.summarize = false;
    q.run = job_.run;
    OCTET_ASSIGN(SavedState calibrated,
                 SavedState::open(job_.folder, job_.name + "calibration.state.json", calibration_key()));
    if (!q.ranges)
      if (const auto text = calibrated.find_text("ranges")) {
        OCTET_ASSIGN(q.ranges, ranges_from_json(*text, "the ranges of the interrupted run"));
        ++report_.resumed;
      }
    OCTET_ASSIGN(QuantizeResult result, quantize_network(graph_, quantizer_, q));
    if (!q.ranges) {
      calibrated.set_text("ranges", ranges_to_json(result.ranges));
      OCTET_RETURN_IF_ERROR(calibrated.save());
    }
    report_.notes = result.notes;
    report_.prepared = std::move(result.prepared);
    report_.ranges = std::move(result.ranges);
    report_.plan = std::move(result.plan);
    images_ = deterministic_subset(job_.quantize.calibration->size(), std::max<int64_t>(1, job_.score_images), 0);
    report_.score_images = static_cast<int64_t>(images_.size());
    OCTET_ASSIGN(state_, SavedState::open(job_.folder, job_.name + "sensitivity.state.json",
                                          digest(calibration_key() + plan_to_json(report_.plan) + list_text(images_) +
                                                 evaluation_->describe() + std::to_string(job_.exact_images))));
    return Status::ok();
  }

  SweepOptions sweep_options(const std::string& stage) const {
    SweepOptions o;
    o.run = job_.run;
    o.stage = stage;
    o.detection = job_.quantize.eval.detection;
    return o;
  }

  Status sweep_saving(const std::vector<const DecisionUnit*>& units, UnitSweep how) {
    how.graph = &report_.prepared;
    how.save = [this] { return state_.save(); };
    return sweep_units(units, how);
  }

  std::vector<const DecisionUnit*> without_figure(const std::vector<const DecisionUnit*>& units, const char* figure) {
    std::vector<const DecisionUnit*> missing;
    for (const DecisionUnit* u : units)
      if (state_.find(u->node, figure)) ++report_.resumed;
      else missing.push_back(u);
    return missing;
  }

  std::vector<const DecisionUnit*> all_units() const {
    std::vector<const DecisionUnit*> all;
    for (const DecisionUnit& u : units_) all.push_back(&u);
    return all;
  }

  Result<std::shared_ptr<const BaseNetwork>> base_of(const Graph& graph) const {
    OCTET_ASSIGN(std::unique_ptr<BaseNetwork> base, BaseNetwork::create(graph));
    return std::shared_ptr<const BaseNetwork>(std::move(base));
  }

  Status cheap_scores() {
    const std::vector<const DecisionUnit*> missing = without_figure(all_units(), "sqnr");
    if (missing.empty()) return Status::ok();
    OCTET_ASSIGN(const std::shared_ptr<const BaseNetwork> base, base_of(report_.prepared));
    SweepOptions options = sweep_options("layers");
    options.similarity = true;
    options.class_scores = gives_class_scores(report_.prepared);
    const bool classes = options.class_scores;
    const auto store = [this, classes](const DecisionUnit& u, const VariantFigures& f) {
      state_.set(u.node, "sqnr", f.outputs.sqnr_db());
      if (classes) state_.set(u.node, "kl", f.kl);
    };
    return sweep_saving(
        missing, {.base = base,
                  .make = [&](const DecisionUnit& u) { return Variant::of_unit(base, quantizer_, report_.plan, u); },
                  .data = job_.quantize.calibration,
                  .images = images_,
                  .options = options,
                  .store = store});
  }

  // The types that a node of the unit reads with that role; "" when it has none.
  std::string types_of(const DecisionUnit& unit, TensorRole role) const {
    for (const auto& [name, t] : report_.plan.tensors)
      for (const TensorReader& reader : t.readers)
        if (reader.node == unit.node && t.role == role) return dtype_name(t.dtype);
    return "";
  }

  Status fill_layers() {
    for (const DecisionUnit& u : units_) {
      LayerSensitivity l{u.node, u.op_type, u.nodes, u.skip};
      l.weights = types_of(u, TensorRole::kWeight);
      l.activations = types_of(u, TensorRole::kActivation);
      const Node* node = report_.prepared.find_node(u.node);
      for (size_t i = 0; node != nullptr && i < 2 && i < node->inputs.size(); ++i)
        if (report_.prepared.is_constant(node->inputs[i]))
          l.weight_count = report_.prepared.value(node->inputs[i]).constant->numel();
      l.output_sqnr_db = state_.find(u.node, "sqnr").value_or(std::numeric_limits<double>::infinity());
      l.kl = state_.find(u.node, "kl");
      report_.layers.push_back(std::move(l));
    }
    for (const NodePlan& n : report_.plan.nodes)
      if (n.decision == NodeDecision::kFloat &&
          (n.op_type == "Conv" || n.op_type == "ConvTranspose" || n.op_type == "Gemm" || n.op_type == "MatMul"))
        report_.float_nodes.push_back(n.name);
    if (job_.fisher) OCTET_RETURN_IF_ERROR(fisher());
    std::stable_sort(report_.layers.begin(), report_.layers.end(),
                     [](const LayerSensitivity& a, const LayerSensitivity& b) {
                       if (a.kl && b.kl && *a.kl != *b.kl) return *a.kl > *b.kl;
                       return a.output_sqnr_db < b.output_sqnr_db;
                     });
    return Status::ok();
  }

  Status fisher() {
    std::vector<std::vector<std::string>> nodes;
    for (const DecisionUnit& u : units_) nodes.push_back(u.nodes);
    if (without_figure(all_units(), "fisher").empty()) {
      for (LayerSensitivity& l : report_.layers) l.fisher = state_.find(l.node, "fisher");
      return Status::ok();
    }
    OCTET_ASSIGN(const std::vector<double> scores, job_.fisher(report_.prepared, report_.plan, nodes));
    for (size_t u = 0; u < units_.size() && u < scores.size(); ++u) {
      report_.layers[u].fisher = scores[u];
      state_.set(units_[u].node, "fisher", scores[u]);
    }
    return state_.save();
  }

  std::vector<const DecisionUnit*> worst_units() const {
    const size_t n =
        job_.exact < 0 ? report_.layers.size() : std::min(report_.layers.size(), static_cast<size_t>(job_.exact));
    std::vector<const DecisionUnit*> worst;
    for (size_t l = 0; l < n; ++l)
      for (const DecisionUnit& u : units_)
        if (u.node == report_.layers[l].node) worst.push_back(&u);
    return worst;
  }

  Result<std::unique_ptr<Variant>> all_but(const DecisionUnit& unit, std::shared_ptr<const BaseNetwork> base) const {
    const SelectiveQuantizer other(skip_units(quantizer_.options(), {unit}));
    OCTET_ASSIGN(const QuantizationPlan plan, other.finish(report_.prepared, report_.ranges));
    OCTET_ASSIGN(const Graph graph, other.quantize_module(report_.prepared, plan));
    return Variant::create(std::move(base), graph);
  }

  // The score of a network, and of the float one where that is needed to tell.
  double score(ScoreKind kind, const VariantFigures& f) const {
    return kind == ScoreKind::kSqnr ? f.outputs.sqnr_db() : score_of(kind, f.report, float_report_);
  }

  Status exact_scores() {
    const int64_t available = evaluation_->size();
    const int64_t n = job_.exact_images > 0 ? std::min(job_.exact_images, available) : available;
    const std::vector<int64_t> images = deterministic_subset(available, n, 0);
    report_.exact_images = n;
    const ScoreKind kind = score_kind(*evaluation_, report_.prepared, true);
    report_.score_name = score_name(kind);
    const std::vector<const DecisionUnit*> worst = worst_units();
    const std::vector<const DecisionUnit*> no_alone = without_figure(worst, "alone"),
                                           no_without = without_figure(worst, "without");
    SweepOptions options = sweep_options("one at a time");
    options.reports = kind != ScoreKind::kSqnr;
    options.similarity = kind == ScoreKind::kSqnr;
    OCTET_ASSIGN(const Graph quantized, quantizer_.quantize_module(report_.prepared, report_.plan));
    const bool complete = no_alone.empty() && no_without.empty() && state_.find("", "quantized");
    if (!complete) OCTET_RETURN_IF_ERROR(score_whole_networks(kind, quantized, images, options));
    OCTET_ASSIGN(const std::shared_ptr<const BaseNetwork> exact, base_of(report_.prepared));
    UnitSweep how{.base = exact,
                  .make = [&](const DecisionUnit& u) { return Variant::of_unit(exact, quantizer_, report_.plan, u); },
                  .data = evaluation_,
                  .images = images,
                  .options = options,
                  .store = [&](const DecisionUnit& u,
                               const VariantFigures& f) { state_.set(u.node, "alone", score(kind, f)); }};
    OCTET_RETURN_IF_ERROR(sweep_saving(no_alone, how));
    how.options.stage = "all but one";
    how.make = [&](const DecisionUnit& u) { return all_but(u, how.base); };
    how.store = [&](const DecisionUnit& u, const VariantFigures& f) {
      state_.set(u.node, "without", score(kind, f));
    };
    if (kind != ScoreKind::kSqnr && !no_without.empty()) {  // an SQNR is against float
      OCTET_ASSIGN(how.base, base_of(quantized));
    }
    OCTET_RETURN_IF_ERROR(sweep_saving(no_without, how));
    for (LayerSensitivity& l : report_.layers) {
      l.alone = state_.find(l.node, "alone");
      l.without = state_.find(l.node, "without");
    }
    report_.float_score = state_.find("", "float");
    report_.quantized_score = state_.find("", "quantized");
    return Status::ok();
  }

  Status score_whole_networks(ScoreKind kind, const Graph& quantized, const std::vector<int64_t>& images,
                              SweepOptions options) {
    options.stage = "float and INT8";
    OCTET_ASSIGN(const std::shared_ptr<const BaseNetwork> base, base_of(report_.prepared));
    std::vector<std::unique_ptr<Variant>> whole(1);
    OCTET_ASSIGN(whole[0], Variant::create(base, quantized));
    OCTET_ASSIGN(const SweepFigures f, sweep(report_.prepared, *base, whole, *evaluation_, images, options));
    float_report_ = f.base;
    if (kind != ScoreKind::kSqnr) state_.set("", "float", score_of(kind, f.base, float_report_));
    state_.set("", "quantized", score(kind, f.variants[0]));
    return state_.save();
  }

  Status measure_times() {
    OCTET_ASSIGN(const Graph quantized, quantizer_.quantize_module(report_.prepared, report_.plan));
    const Result<GroupTimes> times = time_groups(quantized, job_.timing_threads, job_.timing_seconds, job_.folder);
    if (!times.is_ok()) {
      if (times.status().code() != StatusCode::kUnsupported) return times.status();
      report_.notes.push_back("no times were measured: " + times.status().message());
      return Status::ok();
    }
    for (LayerSensitivity& l : report_.layers) {
      const auto group = times->by_node.find(l.node);
      if (group == times->by_node.end()) continue;
      l.int8_us = group->second.int8_us;
      l.float_us = group->second.float_us;
    }
    report_.int8_us = times->int8_us;
    return Status::ok();
  }

  const Graph& graph_;
  const SelectiveQuantizer& quantizer_;
  const SensitivityJob& job_;
  const Dataset* evaluation_;
  SensitivityReport report_;
  std::vector<DecisionUnit> units_;  // graph order
  std::vector<int64_t> images_;
  SavedState state_;
  EvalReport float_report_;
};

}  // namespace

Result<SensitivityReport> measure_sensitivity(const Graph& graph, const SelectiveQuantizer& quantizer,
                                              const SensitivityJob& job) {
  return Measurement(graph, quantizer, job).run();
}

}  // namespace octet
