#include "report/training_view.h"

#include <map>

namespace octet::report {
namespace {

struct Series {
  std::vector<double> steps, values;
};

Json series_view(const std::string& tag, const Series& s) {
  const size_t stride = (s.steps.size() + kMostPoints - 1) / kMostPoints;
  Json steps = Json::array(), values = Json::array();
  for (size_t i = 0; i < s.steps.size(); ++i) {
    if (i % stride != 0 && i + 1 != s.steps.size()) continue;
    steps.push_back(s.steps[i]);
    values.push_back(rounded(s.values[i]));
  }
  return {{"tag", tag}, {"steps", std::move(steps)}, {"values", std::move(values)}};
}

}  // namespace

Json training_view(const Artifacts& a) {
  std::map<std::string, Series> series;
  for (const Document& line : a.metrics) {
    const auto step = number_of(line, "step");
    if (!step) continue;
    for (const auto& [tag, value] : line.items()) {
      const auto x = number_of(value);
      if (!x || tag == "step" || tag == "time") continue;
      series[tag].steps.push_back(*step);
      series[tag].values.push_back(*x);
    }
  }
  Json view = {{"series", Json::array()}, {"epochs", Json::array()}};
  for (const auto& [tag, s] : series) view["series"].push_back(series_view(tag, s));
  for (const Document& e : at(a["run"], "epochs")) {
    Json epoch;
    for (const char* key : {"epoch", "step", "lr", "train_loss", "val_loss", "val_top1", "val_top5", "seconds"})
      epoch[key] = json_of(number_of(e, key));
    view["epochs"].push_back(std::move(epoch));
  }
  view["best_epoch"] = json_of(number_of(a["run"], "best_epoch"));
  view["running"] = !a.metrics.empty() && !a["run"].is_object();
  return view["series"].empty() && view["epochs"].empty() ? Json() : view;
}

}  // namespace octet::report
