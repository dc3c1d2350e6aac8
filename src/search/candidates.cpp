#include "search/candidates.h"

#include <algorithm>

namespace octet {
namespace {

SearchTrial trial_of(std::string name, QuantizationOptions options, std::string origin) {
  SearchTrial t;
  t.name = std::move(name);
  t.options = std::move(options);
  t.origin = std::move(origin);
  return t;
}

// Rules and skips cannot be in a naive recipe; a hybrid one quantizes the same.
void allow_rules(QuantizationOptions* options) {
  if (options->regime == Regime::kNaive) options->regime = Regime::kHybrid;
}

std::string count_of(size_t n, const std::string& what) {
  return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

}  // namespace

std::vector<SearchTrial> recipe_candidates(const QuantizationOptions& base, const Target& target) {
  std::vector<SearchTrial> all;
  QuantizationOptions o = base;
  o.calibrator_i.reset();
  o.calibrator_w.reset();
  if (base.rules.empty() && base.skip_modules.empty()) {
    o.regime = Regime::kNaive;
    all.push_back(trial_of("naive", o, "recipe"));
  }
  o.regime = Regime::kSelective;
  all.push_back(trial_of("selective", o, "recipe"));
  for (const Regime regime : {Regime::kHybrid, Regime::kSelective}) {
    o.regime = regime;
    const std::string layers = regime == Regime::kHybrid ? "all layers" : "advised layers";
    for (const char* calibrator : {"max", "percentile", "entropy", "mse", "auto"}) {
      o.calibrator_i = calibrator;
      all.push_back(trial_of(layers + ", " + calibrator, o, "recipe"));
    }
    QuantizationOptions other = o;  // over auto
    other.calibrator_w = "mse";
    all.push_back(trial_of(layers + ", auto, weights mse", other, "recipe"));
    other.calibrator_w.reset();
    other.per_channel = !base.per_channel;
    all.push_back(
        trial_of(layers + ", auto, weights per " + (other.per_channel ? "channel" : "tensor"), other, "recipe"));
    other.per_channel = base.per_channel;
    if (!target.symmetric_activations && !base.symmetric) {
      other.symmetric = true;
      all.push_back(trial_of(layers + ", auto, symmetric", other, "recipe"));
    }
  }
  return all;
}

bool is_single_calibrator(const QuantizationOptions& options) {
  const std::string method =
      options.calibrator_i.value_or(options.regime == Regime::kSelective ? "auto" : "histogram");
  const bool one = method == "histogram" ? options.histogram_calib_method != "auto" : method != "auto";
  return one && std::none_of(options.rules.begin(), options.rules.end(),
                             [](const QuantizationRule& r) { return r.calibrator_i.has_value(); });
}

std::vector<SearchTrial> block_candidates(const SearchTrial& start, const Target& target) {
  std::vector<SearchTrial> all;
  for (const std::string& block : block_names()) {
    const auto mapped = start.options.mappings.find(block);
    const std::string now = mapped != start.options.mappings.end() ? mapped->second : target.blocks.at(block);
    for (const std::string& treatment : block_treatments(block)) {
      if (treatment == now || treatment == "float") continue;
      SearchTrial t = trial_of(start.name + "; " + block + " " + treatment, start.options, "block");
      t.options.mappings[block] = treatment;
      all.push_back(std::move(t));
    }
  }
  return all;
}

SearchTrial with_layers(const SearchTrial& start, const std::vector<const LayerSensitivity*>& layers,
                        const std::string& precision) {
  const std::string where = precision.empty() ? "in float" : "in " + precision;
  SearchTrial t = trial_of(start.name + "; " + count_of(layers.size(), "layer") + " " + where, start.options,
                           precision.empty() ? "float" : "precision");
  allow_rules(&t.options);
  for (const LayerSensitivity* l : layers) {
    t.nodes.push_back(l->node);
    if (precision.empty()) {
      t.options.skip_modules.insert(t.options.skip_modules.end(), l->skip.begin(), l->skip.end());
      continue;
    }
    QuantizationRule rule;
    rule.name = l->node;
    rule.precision = precision;
    t.options.rules.push_back(std::move(rule));
  }
  return t;
}

std::vector<ActivationCalibrator> activation_calibrators() {
  return {{"max", std::nullopt},
          {"percentile", std::nullopt},
          {"percentile", 99.9},
          {"entropy", std::nullopt},
          {"mse", std::nullopt}};
}

SearchTrial with_calibrators(const SearchTrial& start, const std::vector<LayerCalibrator>& layers) {
  SearchTrial t = trial_of(start.name + "; " + count_of(layers.size(), "layer") + " with another calibrator",
                           start.options, "calibrators");
  allow_rules(&t.options);
  for (const LayerCalibrator& l : layers) {
    t.nodes.push_back(l.layer->node);
    for (const std::string& node : l.layer->skip) {  // the nodes that read codes
      QuantizationRule rule;
      rule.name = node;
      rule.calibrator_i = l.calibrator.method;
      rule.percentile = l.calibrator.percentile;
      t.options.rules.push_back(std::move(rule));
    }
  }
  return t;
}

}  // namespace octet
