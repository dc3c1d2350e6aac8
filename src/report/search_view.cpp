#include "report/search_view.h"

namespace octet::report {
namespace {

constexpr size_t kMostTrials = 1000;

bool flag(const Document& j, const std::string& key) {
  const Document& v = at(j, key);
  return v.is_boolean() && v.get<bool>();
}

}  // namespace

Json sensitivity_view(const Artifacts& a) {
  const Document& found = a["sensitivity"];
  if (!found.is_object()) return {};
  Json view = {{"score", text_of(found, "score")},
               {"float_score", json_of(number_of(found, "float_score"))},
               {"quantized_score", json_of(number_of(found, "quantized_score"))},
               {"images", json_of(number_of(found, "score_images"))},
               {"exact_images", json_of(number_of(found, "exact_images"))},
               {"layers", Json::array()}};
  for (const Document& l : at(found, "layers")) {
    Json layer = {{"node", text_of(l, "node")}, {"op", text_of(l, "op")}};
    layer["sqnr"] = json_of(number_of(l, "output_sqnr_db"));
    for (const char* key : {"kl", "fisher", "alone", "without", "int8_ms", "float_ms"})
      layer[key] = json_of(number_of(l, key));
    view["layers"].push_back(std::move(layer));
  }
  view["notes"] = texts_of(found, "notes");
  return view;
}

Json search_view(const Artifacts& a) {
  const Document& found = a["search"];
  if (!found.is_object()) return {};
  const Document& base = at(found, "float");
  Json view = {{"score", text_of(found, "score")},
               {"unit", text_of(found, "unit")},
               {"images", json_of(number_of(found, "images"))},
               {"float",
                {{"score", json_of(number_of(base, "score"))},
                 {"latency_ms", json_of(number_of(base, "latency_ms"))},
                 {"bytes", json_of(number_of(base, "bytes"))}}},
               {"holds", flag(found, "holds")}};
  for (const char* key : {"best", "naive", "selective", "best_single_calibrator"})
    view[key] = json_of(number_of(found, key));
  view["trials"] = Json::array();
  for (const Document& t : at(found, "trials")) {
    if (view["trials"].size() >= kMostTrials) break;
    Json trial = {{"name", text_of(t, "name")}, {"origin", text_of(t, "origin")}};
    for (const char* key : {"score", "latency_ms", "bytes", "energy", "float_layers", "images"})
      trial[key] = json_of(number_of(t, key));
    for (const char* key : {"complete", "holds", "on_front"}) trial[key] = flag(t, key);
    trial["recipe"] = text_of(t, "recipe");
    view["trials"].push_back(std::move(trial));
  }
  view["advice"] = texts_of(found, "advice");
  view["notes"] = texts_of(found, "notes");
  return view;
}

}  // namespace octet::report
