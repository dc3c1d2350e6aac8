// sensitivity.json, the layers that stand out, and the block for a recipe.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "octet/sensitivity.h"
#include "search/json_figures.h"

namespace octet {
namespace {

using Json = nlohmann::ordered_json;

// Noise of the network's outputs for that of 1: what ranks layers and adds up.
double noise(const LayerSensitivity& layer) {
  return layer.kl ? *layer.kl : std::pow(10.0, -layer.output_sqnr_db / 10);
}

std::string figures(const LayerSensitivity& layer) {
  char text[96];
  if (layer.kl) std::snprintf(text, sizeof text, "alone: KL %.3g, outputs %.1f dB", *layer.kl, layer.output_sqnr_db);
  else std::snprintf(text, sizeof text, "alone: outputs %.1f dB", layer.output_sqnr_db);
  return text;
}

// In double quotes, as YAML and JSON both read it.
std::string quoted(const std::string& name) {
  return Json(name).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string sensitivity_to_json(const SensitivityReport& report) {
  Json root;
  root["format"] = "octet-sensitivity";
  root["version"] = 1;
  root["network"] = report.plan.fingerprint;
  root["target"] = report.plan.target;
  root["score_images"] = report.score_images;
  if (report.exact_images > 0) {
    root["score"] = report.score_name;
    root["exact_images"] = report.exact_images;
    if (report.float_score) root["float_score"] = finite(*report.float_score);
    if (report.quantized_score) root["quantized_score"] = finite(*report.quantized_score);
  }
  if (report.int8_us > 0) root["int8_ms"] = report.int8_us / 1000;
  root["layers"] = Json::array();
  for (const LayerSensitivity& l : report.layers) {
    Json j;
    j["node"] = l.node;
    j["op"] = l.op_type;
    j["block"] = l.nodes;
    j["skip"] = l.skip;
    if (!l.weights.empty()) j["weights"] = l.weights;
    if (!l.activations.empty()) j["activations"] = l.activations;
    j["weight_count"] = l.weight_count;
    j["output_sqnr_db"] = finite(l.output_sqnr_db);  // null: no difference at all
    if (l.kl) j["kl"] = *l.kl;
    if (l.fisher) j["fisher"] = finite(*l.fisher);
    if (l.alone) j["alone"] = finite(*l.alone);
    if (l.without) j["without"] = finite(*l.without);
    if (l.int8_us > 0) j["int8_ms"] = l.int8_us / 1000;
    if (l.float_us > 0) j["float_ms"] = l.float_us / 1000;
    root["layers"].push_back(std::move(j));
  }
  root["float_nodes"] = report.float_nodes;
  root["notes"] = report.notes;
  return root.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::vector<const LayerSensitivity*> outstanding_layers(const SensitivityReport& report) {
  std::vector<double> all;
  for (const LayerSensitivity& l : report.layers) all.push_back(noise(l));
  std::vector<const LayerSensitivity*> found;
  if (all.empty()) return found;
  std::nth_element(all.begin(), all.begin() + static_cast<int64_t>(all.size() / 2), all.end());
  const double limit = 3 * all[all.size() / 2];
  const size_t most = std::max<size_t>(1, report.layers.size() / 5);
  for (const LayerSensitivity& l : report.layers)
    if (found.size() < most && noise(l) > limit) found.push_back(&l);
  return found;
}

std::string skip_block(const std::vector<const LayerSensitivity*>& layers) {
  if (layers.empty()) return "# no layer stands out\n";
  std::string text = "regime: hybrid\nselective_quantizer_params:\n  skip_modules:\n";
  for (const LayerSensitivity* l : layers)
    for (size_t i = 0; i < l->skip.size(); ++i)
      text += "    - " + quoted(l->skip[i]) + (i == 0 ? "  # " + figures(*l) : "  # in its block") + "\n";
  return text;
}

}  // namespace octet
