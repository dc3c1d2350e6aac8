#include "report/document.h"

#include <map>

#include "report/network_view.h"
#include "report/result_view.h"
#include "report/search_view.h"
#include "report/tensor_view.h"
#include "report/training_view.h"

namespace octet::report {
namespace {

constexpr size_t kMostNotes = 200;

Json notes_of(const Artifacts& a) {
  Json notes = Json::array();
  const auto add = [&](const std::string& note) {
    if (!note.empty() && notes.size() < kMostNotes) notes.push_back(note);
  };
  for (const Document& w : at(a["run"], "warnings")) add(text_of(w, "message"));
  for (const std::string& note : texts_of(a["run"], "notes")) add(note);
  return notes;
}

std::string scalar_text(const Document& v) {
  if (v.is_string()) return v.get<std::string>();
  return v.is_number() || v.is_boolean() ? v.dump() : std::string();
}

Json settings_changes(const Document& a, const Document& b) {
  Json rows = Json::array();
  for (const char* key :
       {"model", "data", "eval_data", "recipe", "regime", "target", "calibration_images", "device"}) {
    const std::string before = scalar_text(at(a, key)), after = scalar_text(at(b, key));
    if (before != after) rows.push_back({{"key", key}, {"before", before}, {"after", after}});
  }
  return rows;
}

// Names of both objects, once.
std::vector<std::string> names_of(const Document& a, const Document& b) {
  std::map<std::string, bool> names;
  for (const Document* d : {&a, &b})
    if (d->is_object())
      for (const auto& [name, value] : d->items()) names[name] = true;
  std::vector<std::string> list;
  for (const auto& [name, unused] : names) list.push_back(name);
  return list;
}

double amax(const Document& range) {
  double most = 0;
  for (const char* key : {"lo", "hi"})
    for (const double x : numbers_of(range, key)) most = std::max(most, std::fabs(x));
  return most;
}

Json range_changes(const Document& a, const Document& b) {
  Json rows = Json::array();
  for (const std::string& name : names_of(a, b)) {
    const Document &before = at(a, name), &after = at(b, name);
    if (before.is_object() && after.is_object() && numbers_of(before, "lo") == numbers_of(after, "lo") &&
        numbers_of(before, "hi") == numbers_of(after, "hi"))
      continue;
    Json row = {{"tensor", name}};
    row["before"] = before.is_object() ? Json(rounded(amax(before))) : Json();
    row["after"] = after.is_object() ? Json(rounded(amax(after))) : Json();
    row["method_before"] = text_of(before, "method");
    row["method_after"] = text_of(after, "method");
    rows.push_back(std::move(row));
  }
  return rows;
}

Json decision_changes(const Document& a, const Document& b) {
  std::map<std::string, std::pair<const Document*, const Document*>> nodes;
  for (const Document& n : at(a, "nodes")) nodes[text_of(n, "name")].first = &n;
  for (const Document& n : at(b, "nodes")) nodes[text_of(n, "name")].second = &n;
  Json rows = Json::array();
  for (const auto& [name, pair] : nodes) {
    const std::string before = pair.first != nullptr ? text_of(*pair.first, "decision") : "";
    const std::string after = pair.second != nullptr ? text_of(*pair.second, "decision") : "";
    if (before == after) continue;
    rows.push_back({{"node", name},
                    {"before", before},
                    {"after", after},
                    {"why", text_of(pair.second != nullptr ? *pair.second : *pair.first, "why")}});
  }
  return rows;
}

Json result_changes(const Artifacts& a, const Artifacts& b) {
  Json rows = Json::array();
  const auto add = [&](const std::string& what, const std::optional<double>& before,
                       const std::optional<double>& after) {
    if (before || after) rows.push_back({{"what", what}, {"before", json_of(before)}, {"after", json_of(after)}});
  };
  constexpr std::pair<const char*, const char*> kStages[] = {
      {"float", "float"}, {"ptq", "calibrated"}, {"quantized", "quantized"}, {"eval", "trained"}};
  constexpr std::pair<const char*, const char*> kScores[] = {
      {"top1", "top-1 %"}, {"top5", "top-5 %"}, {"map50", "mAP@0.5 %"}, {"map", "mAP@[.5:.95] %"}};
  constexpr std::pair<const char*, const char*> kOthers[] = {{"quantized_bytes", "bytes of the file"},
                                                             {"agreement", "equal predictions %"},
                                                             {"total_seconds", "seconds of the job"},
                                                             {"peak_memory_bytes", "bytes of memory at most"}};
  for (const auto& [stage, network] : kStages)
    for (const auto& [key, score] : kScores)
      add(network + std::string(" ") + score, number_of(at(a["run"], stage), key),
          number_of(at(b["run"], stage), key));
  for (const auto& [key, what] : kOthers) add(what, number_of(a["run"], key), number_of(b["run"], key));
  const Json la = latency_views(a), lb = latency_views(b);
  for (const Json& x : la)
    for (const Json& y : lb)
      if (x["model"] == y["model"] && x["threads"] == y["threads"] && x["batch"] == y["batch"])
        rows.push_back({{"what", "median ms, " + x["model"].get<std::string>()},
                        {"before", x["median"]},
                        {"after", y["median"]}});
  return rows;
}

}  // namespace

Json run_view(const Artifacts& a) {
  Json run = {{"name", a.name}, {"folder", a.folder}};
  std::unordered_map<std::string, size_t> tensors, groups;
  run["facts"] = fact_views(a);
  run["notes"] = notes_of(a);
  run["variants"] = variant_views(a);
  run["latency"] = latency_views(a);
  run["groups"] = group_views(a, &groups);
  run["int8_share"] = int8_share(run["groups"]);
  run["verdict"] = verdict_view(a, run["variants"], run["latency"], run["groups"]);
  run["losses"] = loss_views(a);
  run["tensors"] = tensor_views(a, &tensors);
  run["network"] = network_view(a, tensors, groups);
  run["training"] = training_view(a);
  run["sensitivity"] = sensitivity_view(a);
  run["search"] = search_view(a);
  run["files"] = a.files;
  run["problems"] = a.problems;
  return run;
}

Json difference_view(const Artifacts& a, const Artifacts& b) {
  return {{"settings", settings_changes(a["run"], b["run"])},
          {"results", result_changes(a, b)},
          {"ranges", range_changes(at(a["ranges"], "tensors"), at(b["ranges"], "tensors"))},
          {"decisions", decision_changes(a["plan"], b["plan"])}};
}

}  // namespace octet::report
