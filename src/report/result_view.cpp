#include "report/result_view.h"

#include <algorithm>

#include "base/text.h"

namespace octet::report {
namespace {

constexpr size_t kMostLosses = 400;

std::string metric_of(const Document& eval) { return text_of(eval, "task") == "detection" ? "mAP@0.5 %" : "top-1 %"; }

Json variant(const std::string& name, const std::string& stage, const Artifacts& a, const Document& eval,
             const Document& bytes) {
  Json v = {{"name", name}, {"stage", stage}, {"source", a.name}};
  const bool detection = text_of(eval, "task") == "detection";
  const std::vector<double> interval = numbers_of(eval, "top1_interval_95");
  v["metric"] = eval.is_object() ? metric_of(eval) : "";
  v["score"] = json_of(number_of(eval, detection ? "map50" : "top1"));
  v["low"] = interval.size() == 2 ? Json(rounded(interval[0])) : Json();
  v["high"] = interval.size() == 2 ? Json(rounded(interval[1])) : Json();
  v["second"] = json_of(number_of(eval, detection ? "map" : "top5"));
  v["bytes"] = json_of(number_of(bytes));
  v["count"] = json_of(number_of(eval, "count"));
  v["arithmetic"] = text_of(eval, "arithmetic");
  return v;
}

bool measured(const Document& run, const char* key) { return at(run, key).is_object(); }

void add_variants(const Artifacts& a, const std::string& suffix, bool with_float, Json* list) {
  const Document& run = a["run"];
  if (!run.is_object()) return;
  if (with_float && (measured(run, "float") || number_of(run, "float_bytes")))
    list->push_back(variant("float", "float", a, at(run, "float"), at(run, "float_bytes")));
  if (measured(run, "eval")) list->push_back(variant("trained" + suffix, "float", a, at(run, "eval"), Document()));
  const std::string regime = text_of(run, "regime").empty() ? "INT8" : "INT8 " + text_of(run, "regime");
  if (measured(run, "ptq"))
    list->push_back(
        variant(regime + ", calibrated" + suffix, "calibrated", a, at(run, "ptq"), at(run, "quantized_bytes")));
  if (measured(run, "quantized") || number_of(run, "quantized_bytes"))
    list->push_back(variant(regime + (measured(run, "ptq") ? ", fine-tuned" : "") + suffix,
                            measured(run, "ptq") ? "fine-tuned" : "quantized", a, at(run, "quantized"),
                            at(run, "quantized_bytes")));
}

std::vector<std::string> nodes_of(const std::string& joined) {
  std::vector<std::string> nodes;
  for (size_t begin = 0; begin < joined.size();) {
    const size_t end = std::min(joined.find(" + ", begin), joined.size());
    nodes.push_back(joined.substr(begin, end - begin));
    begin = end + 3;
  }
  return nodes;
}

// The first profiled engine of bench.json.
const Document& profiled(const Document& bench) {
  static const Document kNothing;
  for (const Document& row : at(bench, "results"))
    if (text_of(row, "model").ends_with(".octet") && at(row, "groups").is_array()) return row;
  return kNothing;
}

Json group(const Document& g) {
  return {{"what", text_of(g, "what")},
          {"nodes", text_of(g, "nodes")},
          {"precision", text_of(g, "precision")},
          {"kernel", text_of(g, "kernel")},
          {"macs", json_of(number_of(g, "macs"))},
          {"int8_ms", json_of(number_of(g, "int8_ms"))},
          {"float_ms", json_of(number_of(g, "float_ms"))},
          {"ms", Json()},
          {"reasons", texts_of(g, "reasons")}};
}

std::string key_of(const Document& g) { return text_of(g, "what") + "\n" + text_of(g, "nodes"); }

std::string with_decimals(double x, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, x);
  return text;
}

// The engine's median against the float network's at the same setting.
std::optional<double> time_ratio(const Json& latency) {
  const auto is_float = [](const Json& row) {
    const auto model = row["model"].get<std::string>();
    return !model.ends_with(".octet") && model.find("int8") == std::string::npos;
  };
  for (const Json& fast : latency) {
    if (!fast["model"].get<std::string>().ends_with(".octet")) continue;
    for (const Json& slow : latency)
      if (is_float(slow) && slow["threads"] == fast["threads"] && slow["batch"] == fast["batch"] &&
          slow["median"].is_number() && fast["median"].is_number() && slow["median"].get<double>() > 0)
        return fast["median"].get<double>() / slow["median"].get<double>();
  }
  return std::nullopt;
}

std::string worst_layer(const Artifacts& a) {
  const Document& layers = at(a["statistics"], "layer_sqnr_db");
  std::string worst;
  double least = 1e9;
  if (layers.is_object())
    for (const auto& [node, db] : layers.items())
      if (const auto x = number_of(db); x && *x < least) {
        least = *x;
        worst = node;
      }
  if (worst.empty()) return "";
  return " The layer that loses most by itself is " + worst + " (" + with_decimals(least, 1) + " dB).";
}

std::string without_percent(const Json& metric) {
  const auto text = metric.get<std::string>();
  return text.ends_with(" %") ? text.substr(0, text.size() - 2) : text;
}

std::string score_text(const Json& variant) {
  return variant["name"].get<std::string>() + " has " + with_decimals(variant["score"].get<double>(), 2) + " % " +
         without_percent(variant["metric"]);
}

std::string speed_sentence(const Json& latency, const Json& groups) {
  if (const auto ratio = time_ratio(latency))
    return *ratio <= 1 ? " It runs " + with_decimals(1 / *ratio, 2) + " times as fast as float."
                       : " It takes " + with_decimals(*ratio, 2) + " times as long as float.";
  double int8 = 0, floats = 0;
  for (const Json& g : groups) {
    const double fast = g["int8_ms"].is_number() ? g["int8_ms"].get<double>() : 0;
    const double slow = g["float_ms"].is_number() ? g["float_ms"].get<double>() : 0;
    if (fast > 0 && slow > 0) int8 += fast, floats += slow;
  }
  if (int8 <= 0) return "";
  return " Layer by layer its integers take " + with_decimals(int8 / floats, 2) +
         " of the time of float, as timed while compiling.";
}

std::string accuracy_sentence(const Json& base, const Json& best, const Document& run, std::string* level) {
  const double before = base["score"].get<double>(), after = best["score"].get<double>(), drop = before - after;
  const bool within =
      best["low"].is_number() && before >= best["low"].get<double>() && before <= best["high"].get<double>();
  std::string text = score_text(best) + ", ";
  if (std::fabs(drop) < 0.005) text += "as float has.";
  else
    text += with_decimals(std::fabs(drop), 2) + " points " + (drop > 0 ? "below" : "above") + " float's " +
            with_decimals(before, 2) + (within ? ", inside the 95 % interval of the measurement." : ".");
  const auto budget = number_of(run, "max_drop");
  const double allowed = budget.value_or(1);
  *level = drop <= allowed ? "good" : "bad";
  if (budget)
    text += " The budget of " + with_decimals(*budget, 2) +
            (drop <= allowed ? " points holds." : " points does not hold.");
  return text;
}

}  // namespace

// Float first, then the runs inside the folder, then the folder's own.
Json variant_views(const Artifacts& a) {
  Json own = Json::array(), list = Json::array();
  add_variants(a, "", true, &own);
  const auto take = [&](bool floats) {
    for (const Json& v : own)
      if ((v["stage"] == "float") == floats) list.push_back(v);
  };
  take(true);
  for (const Artifacts& part : a.parts) add_variants(part, " (" + part.name + ")", list.empty(), &list);
  take(false);
  return list;
}

Json latency_views(const Artifacts& a) {
  Json list = Json::array();
  for (const Document& row : at(a["bench"], "results")) {
    const Document& ms = at(row, "ms");
    list.push_back({{"model", text_of(row, "model")},
                    {"threads", json_of(number_of(row, "threads"))},
                    {"batch", json_of(number_of(row, "batch"))},
                    {"min", json_of(number_of(ms, "min"))},
                    {"median", json_of(number_of(ms, "median"))},
                    {"p99", json_of(number_of(ms, "p99"))},
                    {"images_per_second", json_of(number_of(row, "images_per_second"))},
                    {"ratio", json_of(number_of(row, "ratio"))},
                    {"load_ms", json_of(number_of(row, "load_ms"))}});
  }
  return list;
}

Json group_views(const Artifacts& a, std::unordered_map<std::string, size_t>* index) {
  Json list = Json::array();
  std::unordered_map<std::string, size_t> place;
  for (const Document& g : at(a["compile"], "explain")) {
    place.emplace(key_of(g), list.size());
    list.push_back(group(g));
  }
  const bool alone = list.empty();
  for (const Document& g : at(profiled(a["bench"]), "groups")) {
    const auto it = place.find(key_of(g));
    if (it == place.end() && !alone) continue;  // of another engine
    if (it == place.end()) list.push_back(group(g));
    list[it == place.end() ? list.size() - 1 : it->second]["ms"] = json_of(number_of(g, "ms"));
  }
  for (size_t i = 0; i < list.size(); ++i)
    for (const std::string& node : nodes_of(list[i]["nodes"].get<std::string>())) index->emplace(node, i);
  return list;
}

Json int8_share(const Json& groups) {
  double int8 = 0, all = 0;
  for (const Json& g : groups) {
    const bool integer = g["precision"] == "int8";
    const Json& ms = g["ms"].is_number()                     ? g["ms"]
                     : integer || g["precision"] == "layout" ? g["int8_ms"]
                                                             : g["float_ms"];
    if (!ms.is_number()) continue;
    all += ms.get<double>();
    if (integer) int8 += ms.get<double>();
  }
  return all > 0 ? Json(rounded(int8 / all, 4)) : Json();
}

Json fact_views(const Artifacts& a) {
  Json facts = Json::array();
  const Document& run = a["run"];
  const auto add = [&](const char* label, const std::string& value) {
    if (!value.empty()) facts.push_back({label, value});
  };
  const auto add_number = [&](const char* label, const char* key, const char* unit, int decimals) {
    if (const auto x = number_of(run, key)) add(label, with_decimals(*x, decimals) + unit);
  };
  add("network", text_of(run, "model").empty() ? text_of(run, "network") : text_of(run, "model"));
  add("data", text_of(run, "data"));
  if (text_of(run, "eval_data") != text_of(run, "data")) add("accuracy measured on", text_of(run, "eval_data"));
  add("recipe", text_of(run, "recipe"));
  add("regime", text_of(run, "regime"));
  add("target", text_of(run, "target"));
  add("device", text_of(run, "device"));
  add_number("parameters", "parameters", "", 0);
  add_number("calibration images", "calibration_images", "", 0);
  add_number("equal predictions", "agreement", " %", 2);
  add_number("file", "size_ratio", " times smaller", 2);
  add_number("seconds, all in all", "total_seconds", "", 1);
  if (const auto bytes = number_of(run, "peak_memory_bytes"))
    add("peak memory", with_decimals(*bytes / 1e6, 0) + " MB");
  if (at(run, "decisions").is_object())
    for (const auto& [decision, n] : at(run, "decisions").items())
      if (const auto count = number_of(n)) add(("nodes " + decision).c_str(), with_decimals(*count, 0));
  return facts;
}

Json verdict_view(const Artifacts& a, const Json& variants, const Json& latency, const Json& groups) {
  Json base,
      best;  // places in `variants`; the last quantized network is the folder's own, fine-tuned after calibrated
  for (size_t i = 0; i < variants.size(); ++i) {
    if (!variants[i]["score"].is_number()) continue;
    if (variants[i]["stage"] != "float") best = i;
    else if (base.is_null()) base = i;
  }
  std::string level = "unknown", text = "No accuracy was measured.";
  if (!base.is_null() && !best.is_null())
    text = accuracy_sentence(variants[base.get<size_t>()], variants[best.get<size_t>()], a["run"], &level);
  else if (!base.is_null()) text = score_text(variants[base.get<size_t>()]) + "; no quantized network was measured.";
  if (const auto ratio = number_of(a["run"], "size_ratio"); ratio && *ratio > 0)
    text += " The file is " + with_decimals(*ratio, 2) + " times smaller.";
  return {{"text", text + speed_sentence(latency, groups) + worst_layer(a)},
          {"level", level},
          {"base", base},
          {"best", best}};
}

Json loss_views(const Artifacts& a) {
  Json view = {{"layers", Json::array()}, {"tensors", Json::array()}};
  const Document& layers = at(a["statistics"], "layer_sqnr_db");
  if (layers.is_object())
    for (const auto& [node, db] : layers.items())
      if (const auto x = number_of(db)) view["layers"].push_back({{"node", node}, {"sqnr", *x}});
  std::stable_sort(view["layers"].begin(), view["layers"].end(),
                   [](const Json& x, const Json& y) { return x["sqnr"] < y["sqnr"]; });
  for (const Document& t : at(a["compare"], "tensors")) {
    if (view["tensors"].size() >= kMostLosses) break;
    view["tensors"].push_back({{"tensor", text_of(t, "tensor")},
                               {"op", text_of(t, "op")},
                               {"sqnr", json_of(number_of(t, "sqnr_db"))},
                               {"cosine", json_of(number_of(t, "cosine"))},
                               {"max_abs", json_of(number_of(t, "max_abs"))}});
  }
  view["agreement"] = json_of(number_of(a["compare"], "agreement"));
  return view;
}

}  // namespace octet::report
