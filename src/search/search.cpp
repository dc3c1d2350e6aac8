#include "octet/search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "base/files.h"
#include "octet/recipe.h"
#include "search/candidates.h"
#include "search/outcome.h"
#include "search/trials.h"

namespace octet {
namespace {

constexpr int64_t kFirstRound = 512, kRoundFactor = 4;  // images
constexpr size_t kLeastSurvivors = 4;
constexpr double kEqualCost = 0.02;     // costs within 2 % are taken as equal: what a repeated measurement differs by
constexpr int64_t kNoiseImages = 16;    // of the sweeps over layers
constexpr double kClearlyBetter = 0.9;  // noise of another calibrator, of the present one's
constexpr double kMostOfTheNoise = 0.95;

using Layers = std::vector<const LayerSensitivity*>;

class Search {
 public:
  Search(const Graph& graph, const QuantizationOptions& base, const SearchJob& job)
      : base_(base), job_(job), trials_(graph, job) {}

  Result<SearchResult> run() {
    OCTET_ASSIGN(target_, load_target(base_.target));
    if (!job_.folder.empty()) OCTET_RETURN_IF_ERROR(make_directories(job_.folder + "/layers"));
    OCTET_RETURN_IF_ERROR(trials_.open(base_));
    OCTET_RETURN_IF_ERROR(try_recipes());
    OCTET_RETURN_IF_ERROR(try_blocks());
    OCTET_RETURN_IF_ERROR(try_calibrators());
    OCTET_RETURN_IF_ERROR(try_better_precision());
    if (job_.target != SearchTarget::kLatency) OCTET_RETURN_IF_ERROR(try_fewer_bits());
    return finish();
  }

 private:
  // ---- choosing -----------------------------------------------------------------------------------------------

  // Of the complete trials: of those that hold the budget the best score among the cheapest ones; when none holds,
  // the best score. Earlier ones win ties.
  size_t best() const {
    double least = std::numeric_limits<double>::infinity();
    for (size_t t = 0; t < trials_.all().size(); ++t)
      if (trials_.all()[t].holds) least = std::min(least, trials_.cost(t));
    std::optional<size_t> found;
    for (size_t t = 0; t < trials_.all().size(); ++t) {
      const SearchTrial& trial = trials_.all()[t];
      if (!trials_.is_complete(t) ||
          (std::isfinite(least) && !(trial.holds && trials_.cost(t) <= (1 + kEqualCost) * least)))
        continue;
      if (!found || trial.score > trials_.all()[*found].score) found = t;
    }
    return *found;  // the recipes of the first stage are complete
  }

  // ---- recipes for the whole network --------------------------------------------------------------------------

  // Successive halving: all recipes see a few images, those that may still be the best see more.
  Status try_recipes() {
    std::vector<size_t> alive;
    for (SearchTrial& candidate : recipe_candidates(base_, target_)) {
      OCTET_ASSIGN(const std::optional<size_t> trial, trials_.add(std::move(candidate)));
      if (trial) alive.push_back(*trial);
    }
    if (alive.empty()) return invalid_argument("a search needs at least one trial; give more --trials or --time");
    const std::vector<size_t> all = alive;
    for (int64_t n = kFirstRound; n < trials_.images(); n *= kRoundFactor) {
      for (size_t t : alive) OCTET_RETURN_IF_ERROR(trials_.score(t, n));
      alive = survivors(std::move(alive));
    }
    for (size_t t : all)  // naive and selective are what everything is compared with
      if (trials_.all()[t].name == "naive" || trials_.all()[t].name == "selective") alive.push_back(t);
    std::sort(alive.begin(), alive.end());
    alive.erase(std::unique(alive.begin(), alive.end()), alive.end());
    for (size_t t : alive) OCTET_RETURN_IF_ERROR(trials_.complete(t));
    return Status::ok();
  }

  // Those whose score, within its error, may be that of the best; at most half of them; of both regimes some, because
  // they differ in speed.
  std::vector<size_t> survivors(std::vector<size_t> alive) {
    std::stable_sort(alive.begin(), alive.end(),
                     [&](size_t a, size_t b) { return trials_.all()[a].score > trials_.all()[b].score; });
    const double bar = trials_.all()[alive[0]].score - trials_.uncertainty(alive[0]);
    const size_t most = std::max(kLeastSurvivors, alive.size() / 2);
    std::vector<size_t> kept;
    std::map<bool, size_t> of_regime;
    for (size_t t : alive) {
      const bool selective = trials_.all()[t].options.regime == Regime::kSelective;
      const bool may_win = trials_.all()[t].score + trials_.uncertainty(t) >= bar && kept.size() < most;
      if (!may_win && of_regime[selective] >= kLeastSurvivors / 2) continue;
      ++of_regime[selective];
      kept.push_back(t);
    }
    return kept;
  }

  // ---- changes of the best recipe -----------------------------------------------------------------------------

  // Adds and completes a candidate; nullopt when the budget of the search is spent.
  Result<std::optional<size_t>> attempt(SearchTrial candidate) {
    OCTET_ASSIGN(const std::optional<size_t> trial, trials_.add(std::move(candidate)));
    if (trial) OCTET_RETURN_IF_ERROR(trials_.complete(*trial));
    return trial;
  }

  Status try_blocks() {
    const SearchTrial start = trials_.all()[best()];
    OCTET_ASSIGN(const QuantizeResult now, trials_.quantize(start.options));
    std::set<std::string> plans = {plan_to_json(now.plan)};
    for (SearchTrial& candidate : block_candidates(start, target_)) {
      if (trials_.out_of_budget()) return Status::ok();
      OCTET_ASSIGN(const QuantizeResult other, trials_.quantize(candidate.options));
      if (!plans.insert(plan_to_json(other.plan)).second) continue;  // the network has no such block
      OCTET_RETURN_IF_ERROR(attempt(std::move(candidate)).status());
    }
    return Status::ok();
  }

  // How much noise each layer of these options brings, and what it costs.
  Result<SensitivityReport> layers_of(const QuantizationOptions& options, bool timing) {
    OCTET_ASSIGN(const QuantizeResult now, trials_.quantize(options));
    SensitivityJob s;
    s.quantize.calibration = job_.calibration;
    s.quantize.ranges = now.ranges;
    s.score_images = kNoiseImages;
    s.timing = timing && trials_.float_latency_ms() > 0;
    s.timing_threads = job_.timing_threads;
    s.timing_seconds = job_.timing_seconds;
    s.folder = job_.folder;
    s.name = "layers/" + digest(recipe_to_yaml(options)) + "-";
    s.run = job_.run;
    return measure_sensitivity(now.prepared, SelectiveQuantizer(options), s);
  }

  static double noise_of(const LayerSensitivity& l) { return l.kl ? *l.kl : std::pow(10, -l.output_sqnr_db / 10); }

  // For every layer the calibrator that disturbs the network's outputs least when only that layer is quantized.
  Status try_calibrators() {
    const SearchTrial start = trials_.all()[best()];
    if (trials_.out_of_budget()) return Status::ok();
    const Result<SensitivityReport> now = layers_of(start.options, false);
    if (!now.is_ok()) return ignore_missing(now.status());
    std::vector<double> least;  // by layer of `now`
    std::vector<std::optional<ActivationCalibrator>> choice(now->layers.size());
    for (const LayerSensitivity& l : now->layers) least.push_back(kClearlyBetter * noise_of(l));
    for (const ActivationCalibrator& calibrator : activation_calibrators()) {
      if (trials_.out_of_budget()) return Status::ok();
      QuantizationOptions options = start.options;
      options.calibrator_i = calibrator.method;
      if (calibrator.percentile) options.percentile = *calibrator.percentile;
      OCTET_ASSIGN(const SensitivityReport other, layers_of(options, false));
      std::map<std::string, double> noise;
      for (const LayerSensitivity& l : other.layers) noise[l.node] = noise_of(l);
      for (size_t l = 0; l < least.size(); ++l) {
        const auto it = noise.find(now->layers[l].node);
        if (it == noise.end() || it->second >= least[l]) continue;
        least[l] = it->second;
        choice[l] = calibrator;
      }
    }
    std::vector<LayerCalibrator> changes;  // worst layers first, as the report has them
    for (size_t l = 0; l < least.size(); ++l)
      if (choice[l]) changes.push_back({&now->layers[l], *choice[l]});
    for (size_t n = changes.size(); n > 0; n = n > 3 ? n / 3 : 0)
      OCTET_RETURN_IF_ERROR(
          attempt(with_calibrators(start, {changes.begin(), changes.begin() + static_cast<int64_t>(n)})).status());
    return Status::ok();
  }

  // A plan that quantizes nothing has no layers to look at; that is no reason to end the search.
  static Status ignore_missing(const Status& status) {
    return status.code() == StatusCode::kNotFound ? Status::ok() : status;
  }

  // What giving up the layer's integers costs, in the unit of the target.
  double cost_of(const LayerSensitivity& l) const {
    constexpr double kLeast = 1e-3;
    if (job_.target == SearchTarget::kLatency && l.int8_us > 0) return std::max(kLeast, l.float_us - l.int8_us);
    return std::max(kLeast, static_cast<double>(l.weight_count));
  }

  // The layers that bring most of the noise by noise for cost, and then the others by noise.
  Layers order_of(const SensitivityReport& report) const {
    Layers order;
    for (const LayerSensitivity& l : report.layers) order.push_back(&l);
    std::stable_sort(order.begin(), order.end(), [](const LayerSensitivity* a, const LayerSensitivity* b) {
      return noise_of(*a) > noise_of(*b);
    });
    double total = 0, sum = 0;
    for (const LayerSensitivity* l : order) total += noise_of(*l);
    auto end = order.begin();
    while (end != order.end() && sum < kMostOfTheNoise * total) sum += noise_of(**end++);
    std::stable_sort(order.begin(), end, [this](const LayerSensitivity* a, const LayerSensitivity* b) {
      return noise_of(*a) / cost_of(*a) > noise_of(*b) / cost_of(*b);
    });
    return order;
  }

  // The kind of number that layers get that 8 bits hurt: 16-bit activations where files count and the target can.
  std::string better_precision() const {
    const bool has =
        std::find(target_.precisions.begin(), target_.precisions.end(), "w8a16") != target_.precisions.end();
    return job_.target != SearchTarget::kLatency && has ? "w8a16" : "";
  }

  // From the recipe with the best score per cost: more and more layers in float until the budget holds, then as few
  // of them as it takes.
  Status try_better_precision() {
    if (trials_.out_of_budget()) return Status::ok();
    const size_t from = best();
    const SearchTrial start = trials_.all()[from];
    const Result<SensitivityReport> report = layers_of(start.options, true);
    if (!report.is_ok()) return ignore_missing(report.status());
    const Layers order = order_of(*report);
    const std::string precision = better_precision();
    size_t failed = 0, held = 0;
    for (size_t k = 1; k <= order.size() && held == 0; k = k < order.size() ? std::min(2 * k, order.size()) : k + 1) {
      OCTET_ASSIGN(const std::optional<size_t> trial, attempt(with_layers(start, first(order, k), precision)));
      if (!trial) return Status::ok();
      if (start.holds && k >= 4) return Status::ok();  // a little better at little cost is all that is asked for
      if (start.holds) continue;
      (trials_.all()[*trial].holds ? held : failed) = k;
    }
    while (held > failed + 1) {
      const size_t middle = (held + failed) / 2;
      OCTET_ASSIGN(const std::optional<size_t> trial, attempt(with_layers(start, first(order, middle), precision)));
      if (!trial) return Status::ok();
      (trials_.all()[*trial].holds ? held : failed) = middle;
    }
    return held > 1 ? prune(start, first(order, held), precision) : Status::ok();
  }

  static Layers first(const Layers& order, size_t n) {
    return {order.begin(), order.begin() + static_cast<int64_t>(n)};
  }

  // Takes back what the budget does not need: large parts of the list first, the least useful layers before others.
  Status prune(const SearchTrial& start, Layers kept, const std::string& precision) {
    std::stable_sort(kept.begin(), kept.end(), [this](const LayerSensitivity* a, const LayerSensitivity* b) {
      return noise_of(*a) / cost_of(*a) < noise_of(*b) / cost_of(*b);
    });
    for (size_t part = kept.size() / 2; part > 0; part /= 2) {
      for (size_t begin = 0; begin + part <= kept.size() && kept.size() > part;) {
        Layers fewer = kept;
        fewer.erase(fewer.begin() + static_cast<int64_t>(begin), fewer.begin() + static_cast<int64_t>(begin + part));
        OCTET_ASSIGN(const std::optional<size_t> trial, attempt(with_layers(start, fewer, precision)));
        if (!trial) return Status::ok();
        if (trials_.all()[*trial].holds) kept = std::move(fewer);
        else begin += part;
      }
    }
    return Status::ok();
  }

  // 4-bit weights for as many layers as the budget lets have them: those that save most for their noise first.
  Status try_fewer_bits() {
    const bool can =
        std::find(target_.precisions.begin(), target_.precisions.end(), "w4a8") != target_.precisions.end();
    const SearchTrial start = trials_.all()[best()];
    if (!can || !start.holds || trials_.out_of_budget()) return Status::ok();
    QuantizationOptions all = start.options;
    if (all.regime == Regime::kNaive) all.regime = Regime::kHybrid;
    for (const char* op : {"Conv", "ConvTranspose", "Gemm", "MatMul"}) {
      QuantizationRule rule;
      rule.op = op;
      rule.weights = "int4";
      if (has_op(op)) all.rules.push_back(std::move(rule));
    }
    const Result<SensitivityReport> report = layers_of(all, false);
    if (!report.is_ok()) return ignore_missing(report.status());
    Layers order;
    for (const LayerSensitivity& l : report->layers)
      if (l.weights == "int4") order.push_back(&l);
    std::stable_sort(order.begin(), order.end(), [](const LayerSensitivity* a, const LayerSensitivity* b) {
      return static_cast<double>(a->weight_count) / std::max(noise_of(*a), 1e-30) >
             static_cast<double>(b->weight_count) / std::max(noise_of(*b), 1e-30);
    });
    for (size_t held = 0, failed = order.size() + 1; held + 1 < failed;) {
      const size_t middle = (held + failed) / 2;
      OCTET_ASSIGN(const std::optional<size_t> trial, attempt(with_layers(start, first(order, middle), "w4a8")));
      if (!trial) return Status::ok();
      (trials_.all()[*trial].holds ? held : failed) = middle;
    }
    return Status::ok();
  }

  bool has_op(const std::string& op) const {
    const auto& nodes = trials_.prepared().nodes;
    return std::any_of(nodes.begin(), nodes.end(), [&](const Node& n) { return n.is(op); });
  }

  Result<SearchResult> finish() {
    SearchResult result;
    result.best = best();
    // Read from its text, so that the reasons name the recipe's lines, as they will when it is used.
    const std::string path = (job_.folder.empty() ? "" : job_.folder + "/") + "recipe.yaml";
    OCTET_ASSIGN(const QuantizationOptions recipe,
                 parse_recipe(recipe_to_yaml(trials_.all()[result.best].options), path));
    OCTET_ASSIGN(result.chosen, trials_.quantize(recipe));
    const Result<SensitivityReport> layers = layers_of(trials_.all()[result.best].options, true);
    if (layers.is_ok()) result.offenders = layers->layers;
    else OCTET_RETURN_IF_ERROR(ignore_missing(layers.status()));
    fill_outcome(trials_, job_, &result);
    return result;
  }

  const QuantizationOptions& base_;
  const SearchJob& job_;
  Target target_;
  Trials trials_;
};

}  // namespace

Result<SearchResult> search_recipe(const Graph& graph, const QuantizationOptions& base, const SearchJob& job) {
  return Search(graph, base, job).run();
}

}  // namespace octet
