#include "search/trials.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/cost.h"
#include "metrics/similarity.h"
#include "octet/onnx.h"
#include "octet/recipe.h"
#include "passes/fusion_patterns.h"
#include "pipeline/image_runner.h"
#include "search/latency.h"

namespace octet {
namespace {

// The images of another data set in an order of their own.
class Reordered : public Dataset {
 public:
  Reordered(const Dataset& data, std::vector<int64_t> images) : data_(data), images_(std::move(images)) {}
  int64_t size() const override { return static_cast<int64_t>(images_.size()); }
  Result<Sample> get(int64_t index) const override {
    if (index < 0 || index >= size()) return invalid_argument("there is no image " + std::to_string(index));
    return data_.get(images_[static_cast<size_t>(index)]);
  }
  std::string describe() const override { return data_.describe(); }
  std::vector<std::string> notes() const override { return data_.notes(); }
  int64_t num_classes() const override { return data_.num_classes(); }
  std::vector<std::string> class_names() const override { return data_.class_names(); }
  bool has_labels() const override { return data_.has_labels(); }
  bool has_boxes() const override { return data_.has_boxes(); }
  bool has_masks() const override { return data_.has_masks(); }

 private:
  const Dataset& data_;
  std::vector<int64_t> images_;
};

double bits_of(DType type) {
  switch (type) {
    case DType::kInt4:
    case DType::kUint4: return 4;
    case DType::kInt16:
    case DType::kUint16:
    case DType::kFloat16: return 16;
    default: return 8;
  }
}

// Bits of the operand that `node` reads at `input`; 32 when it is float.
std::map<std::pair<std::string, int>, double> operand_bits(const QuantizationPlan& plan) {
  std::map<std::pair<std::string, int>, double> bits;
  for (const auto& [name, t] : plan.tensors)
    for (const TensorReader& reader : t.readers)
      if (t.dtype != DType::kFloat16) bits[{reader.node, reader.input}] = bits_of(t.dtype);
  return bits;
}

double energy_of(const Graph& graph, const QuantizationPlan& plan) {
  const auto bits = operand_bits(plan);
  double spent = 0, in_float = 0;
  for (const Node& node : graph.nodes) {
    const auto macs = static_cast<double>(multiply_accumulates(graph, node));
    const auto at = [&](int input) {
      const auto it = bits.find({node.name, input});
      return it == bits.end() ? 32.0 : it->second;
    };
    const double product = at(0) == 32 || at(1) == 32 ? 32.0 * 32.0 : at(0) * at(1);
    spent += macs * product;
    in_float += macs * 32 * 32;
  }
  return in_float > 0 ? spent / in_float : 1;
}

}  // namespace

Status Trials::open(const QuantizationOptions& base) {
  if (job_.calibration == nullptr) return invalid_argument("a search needs data to calibrate on: give --data");
  evaluation_ = job_.evaluation != nullptr ? job_.evaluation : job_.calibration;
  const int64_t size = evaluation_->size();
  images_ = job_.eval.max_images > 0 ? std::min(job_.eval.max_images, size) : size;
  shuffled_ = std::make_unique<Reordered>(*evaluation_, deterministic_subset(size, images_, job_.seed));
  OCTET_ASSIGN(prepared_, simplify_network(graph_));
  kind_ = score_kind(*evaluation_, prepared_, job_.evaluation != nullptr);
  const std::string key = digest(graph_fingerprint(prepared_) + recipe_to_yaml(base) + job_.calibration->describe() +
                                 std::to_string(job_.images) + evaluation_->describe() + std::to_string(images_) +
                                 std::to_string(job_.seed) + score_name(kind_));
  OCTET_ASSIGN(state_, SavedState::open(job_.folder, "search.state.json", key));
  OCTET_ASSIGN(const std::string bytes, serialize_onnx(graph_));
  float_bytes_ = static_cast<int64_t>(bytes.size());
  return score_float();
}

Status Trials::score_float() {
  EvalOptions eval = job_.eval;
  eval.run = job_.run;
  eval.max_images = 0;
  if (kind_ != ScoreKind::kSqnr) {
    OCTET_ASSIGN(float_report_, evaluate(graph_, *shuffled_, eval));
    float_score_ = score_of(kind_, float_report_, float_report_);
  }
  if (!job_.timing) return Status::ok();
  const Result<Latency> latency =
      octet::measure_latency(prepared_, {job_.timing_threads, job_.timing_seconds, job_.folder, false});
  if (latency.is_ok()) float_latency_ms_ = latency->ms;
  else if (latency.status().code() == StatusCode::kUnsupported)
    notes_.push_back("no latency was measured: " + latency.status().message());
  else return latency.status();
  return Status::ok();
}

bool Trials::out_of_budget() const {
  const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  return static_cast<int64_t>(all_.size()) >= job_.trials || (job_.seconds > 0 && spent > job_.seconds);
}

Result<std::optional<size_t>> Trials::add(SearchTrial trial) {
  const std::string recipe = recipe_to_yaml(trial.options);
  const auto known = by_recipe_.find(recipe);
  if (known != by_recipe_.end()) return std::optional<size_t>(known->second);
  if (out_of_budget()) return std::optional<size_t>();
  by_recipe_[recipe] = all_.size();
  all_.push_back(std::move(trial));
  differing_.push_back(0);
  return std::optional<size_t>(all_.size() - 1);
}

std::string Trials::key_of(size_t trial) const { return digest(recipe_to_yaml(all_[trial].options)); }

Result<QuantizeResult> Trials::quantize(const QuantizationOptions& options) {
  QuantizeJob job;
  job.calibration = job_.calibration;
  job.images = job_.images;
  job.statistics = &statistics_;
  job.summarize = false;
  job.run = job_.run;
  return quantize_network(graph_, SelectiveQuantizer(options), job);
}

Result<const QuantizeResult*> Trials::result_of(size_t trial) {
  if (held_ != trial) {
    OCTET_ASSIGN(held_result_, quantize(all_[trial].options));
    held_ = trial;
  }
  return &held_result_;
}

// The score on the first images, and how many predictions differ from the float network's.
Result<double> Trials::score_graph(const Graph& quantized, int64_t images, double* differing) {
  EvalOptions eval = job_.eval;
  eval.run = job_.run;
  eval.max_images = images;
  if (kind_ == ScoreKind::kSqnr) {
    OCTET_ASSIGN(const CompareReport report, compare(graph_, quantized, *shuffled_, images, job_.run));
    double worst = std::numeric_limits<double>::infinity();
    for (const TensorDifference& t : report.tensors)
      if (t.is_output) worst = std::min(worst, t.sqnr_db);
    return worst;
  }
  OCTET_ASSIGN(const EvalReport report, evaluate(quantized, *shuffled_, eval));
  EvalReport exact = float_report_;
  exact.predictions.resize(std::min(exact.predictions.size(), report.predictions.size()));
  for (size_t i = 0; i < exact.predictions.size(); ++i) *differing += exact.predictions[i] != report.predictions[i];
  return score_of(kind_, report, exact);
}

Status Trials::score(size_t trial, int64_t images) {
  const int64_t n = std::min(images, images_);
  const std::string key = key_of(trial), figure = "score " + std::to_string(n);
  if (!state_.find(key, figure) || !state_.find(key, "bytes")) {
    OCTET_ASSIGN(const QuantizeResult* result, result_of(trial));
    OCTET_RETURN_IF_ERROR(measure_static(trial, *result));
    double differing = 0;
    OCTET_ASSIGN(const double score, score_graph(result->quantized, n, &differing));
    state_.set(key, figure, score);
    state_.set(key, "differing " + std::to_string(n), differing);
    OCTET_RETURN_IF_ERROR(state_.save());
  }
  SearchTrial& t = all_[trial];
  t.score = *state_.find(key, figure);
  t.images = n;
  t.bytes = static_cast<int64_t>(state_.find(key, "bytes").value_or(0));
  t.energy = state_.find(key, "energy").value_or(1);
  t.float_layers = static_cast<int64_t>(state_.find(key, "float layers").value_or(0));
  differing_[trial] = state_.find(key, "differing " + std::to_string(n)).value_or(0);
  return Status::ok();
}

Status Trials::measure_static(size_t trial, const QuantizeResult& result) {
  const std::string key = key_of(trial);
  OCTET_ASSIGN(const std::string bytes, serialize_onnx(result.quantized));
  int64_t in_float = 0;
  for (const NodePlan& n : result.plan.nodes)
    in_float += n.decision == NodeDecision::kFloat && is_weighted_op(n.op_type) ? 1 : 0;
  state_.set(key, "bytes", static_cast<double>(bytes.size()));
  state_.set(key, "energy", energy_of(result.prepared, result.plan));
  state_.set(key, "float layers", static_cast<double>(in_float));
  return Status::ok();
}

Status Trials::complete(size_t trial) {
  OCTET_RETURN_IF_ERROR(score(trial, images_));
  const std::string key = key_of(trial), figure = "ms with " + std::to_string(job_.timing_threads) + " threads";
  if (float_latency_ms_ > 0 && !state_.find(key, figure)) {
    OCTET_ASSIGN(const QuantizeResult* result, result_of(trial));
    const Result<Latency> latency =
        octet::measure_latency(result->quantized, {job_.timing_threads, job_.timing_seconds, job_.folder, true});
    if (!latency.is_ok() && latency.status().code() != StatusCode::kUnsupported) return latency.status();
    state_.set(key, figure, latency.is_ok() ? latency->ms : 0);
    OCTET_RETURN_IF_ERROR(state_.save());
  }
  all_[trial].latency_ms = state_.find(key, figure).value_or(0);
  all_[trial].holds = holds(trial);
  return Status::ok();
}

double Trials::drop(size_t trial) const {
  if (kind_ == ScoreKind::kSqnr) return job_.min_sqnr_db - all_[trial].score;
  return float_score_ - all_[trial].score;
}

double Trials::uncertainty(size_t trial) const {
  const auto n = static_cast<double>(std::max<int64_t>(1, all_[trial].images));
  if (kind_ != ScoreKind::kTop1 && kind_ != ScoreKind::kAgreement) return 0;
  return 200 * std::sqrt(differing_[trial]) / n;
}

bool Trials::holds(size_t trial) const {
  constexpr double kRounding = 1e-9;  // 91.73 - 91.23 is a little more than 0.5
  const double limit = kind_ == ScoreKind::kSqnr ? 0 : job_.max_drop;
  const bool quick =
      !job_.max_latency_ms || (all_[trial].latency_ms > 0 && all_[trial].latency_ms <= *job_.max_latency_ms);
  return is_complete(trial) && drop(trial) <= limit + kRounding && quick;
}

double Trials::cost(size_t trial) const {
  const SearchTrial& t = all_[trial];
  switch (job_.target) {
    case SearchTarget::kSize: return static_cast<double>(t.bytes);
    case SearchTarget::kEnergyProxy: return t.energy;
    case SearchTarget::kLatency: break;
  }
  if (float_latency_ms_ == 0) return t.energy;
  return t.latency_ms > 0 ? t.latency_ms : std::numeric_limits<double>::infinity();
}

}  // namespace octet
