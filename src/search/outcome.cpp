#include "search/outcome.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "octet/recipe.h"
#include "search/candidates.h"
#include "search/json_figures.h"

namespace octet {
namespace {

using Json = nlohmann::ordered_json;

// No worse in anything and better in something.
bool dominates(const SearchTrial& a, const SearchTrial& b) {
  const bool no_worse = a.score >= b.score && a.latency_ms <= b.latency_ms && a.bytes <= b.bytes;
  return no_worse && (a.score > b.score || a.latency_ms < b.latency_ms || a.bytes < b.bytes);
}

void mark_front(int64_t images, std::vector<SearchTrial>* trials) {
  for (SearchTrial& t : *trials)
    t.on_front = t.images == images && std::none_of(trials->begin(), trials->end(), [&](const SearchTrial& other) {
                   return other.images == images && dominates(other, t);
                 });
}

void find_landmarks(int64_t images, SearchResult* r) {
  for (size_t t = 0; t < r->trials.size(); ++t) {
    const SearchTrial& trial = r->trials[t];
    if (trial.images != images) continue;
    if (trial.name == "naive") r->naive = t;
    if (trial.name == "selective") r->selective = t;
    const bool single = trial.origin == "recipe" && is_single_calibrator(trial.options);
    if (single && (!r->best_single || trial.score > r->trials[*r->best_single].score)) r->best_single = t;
  }
}

std::string decimals(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.2f", value);
  return text;
}

std::vector<std::string> advice_for(const Trials& trials, const SearchJob& job, const SearchResult& r) {
  std::vector<std::string> advice;
  const SearchTrial& best = r.trials[r.best];
  const bool drop_fails = trials.drop(r.best) > (trials.kind() == ScoreKind::kSqnr ? 0 : job.max_drop);
  if (job.max_latency_ms && best.latency_ms > *job.max_latency_ms)
    advice.push_back("the best network takes " + decimals(best.latency_ms) + " ms, " + decimals(*job.max_latency_ms) +
                     " were asked for; more threads, a smaller input or a smaller network are what is left");
  if (drop_fails) {
    std::string names;
    for (size_t i = 0; i < r.offenders.size() && i < 3; ++i)
      names += (i == 0 ? "'" : ", '") + r.offenders[i].node + "'";
    if (!names.empty())
      advice.push_back("the layers that hurt most are " + names + "; look at their ranges in plan.json");
    advice.emplace_back("'octet qat' fine-tunes the network from recipe.yaml and usually wins back what is missing");
    advice.emplace_back("'octet calib-check' tells whether the calibration images are enough, and like the others");
  }
  if (static_cast<int64_t>(r.trials.size()) >= job.trials)
    advice.push_back("all " + std::to_string(job.trials) + " trials are spent: --trials " +
                     std::to_string(2 * job.trials) + " goes on in the same folder");
  return advice;
}

Json trial_json(const SearchTrial& t, const SearchResult& r) {
  Json j;
  j["name"] = t.name;
  j["origin"] = t.origin;
  if (!t.nodes.empty()) j["nodes"] = t.nodes;
  j["score"] = finite(t.score);
  j["images"] = t.images;
  j["complete"] = t.images == r.images;
  if (t.latency_ms > 0) j["latency_ms"] = t.latency_ms;
  j["bytes"] = t.bytes;
  j["energy"] = t.energy;
  j["float_layers"] = t.float_layers;
  j["holds"] = t.holds;
  j["on_front"] = t.on_front;
  j["recipe"] = recipe_to_yaml(t.options);
  return j;
}

}  // namespace

void fill_outcome(Trials& trials, const SearchJob& job, SearchResult* r) {
  r->score_name = score_name(trials.kind());
  r->score_unit = score_unit(trials.kind());
  r->float_score = trials.float_score();
  r->float_latency_ms = trials.float_latency_ms();
  r->float_bytes = trials.float_bytes();
  r->images = trials.images();
  r->trials = trials.all();
  r->holds = r->trials[r->best].holds;
  mark_front(r->images, &r->trials);
  find_landmarks(r->images, r);
  r->notes = trials.notes();
  if (trials.kind() == ScoreKind::kAgreement)
    r->notes.emplace_back(
        "the data has no labels: the score is the share of images with the class that the float network gives");
  if (trials.kind() == ScoreKind::kSqnr)
    r->notes.push_back(
        "the data has no labels and the network no class scores: the score is the SQNR of its outputs, and the "
        "budget is at least " +
        decimals(job.min_sqnr_db) + " dB");
  if (trials.out_of_budget() && static_cast<int64_t>(r->trials.size()) < job.trials)
    r->notes.emplace_back(
        "the time was up before the search was through; run it again with the same folder to go on");
  if (!r->holds) r->advice = advice_for(trials, job, *r);
}

std::string search_to_json(const SearchResult& r) {
  Json root;
  root["format"] = "octet-search";
  root["version"] = 1;
  root["network"] = r.chosen.plan.fingerprint;
  root["score"] = r.score_name;
  root["unit"] = r.score_unit;
  root["images"] = r.images;
  root["float"] = {{"score", finite(r.float_score)}, {"bytes", r.float_bytes}};
  if (r.float_latency_ms > 0) root["float"]["latency_ms"] = r.float_latency_ms;
  root["holds"] = r.holds;
  root["best"] = r.best;
  if (r.naive) root["naive"] = *r.naive;
  if (r.selective) root["selective"] = *r.selective;
  if (r.best_single) root["best_single_calibrator"] = *r.best_single;
  root["front"] = Json::array();
  for (size_t t = 0; t < r.trials.size(); ++t)
    if (r.trials[t].on_front) root["front"].push_back(t);
  root["trials"] = Json::array();
  for (const SearchTrial& t : r.trials) root["trials"].push_back(trial_json(t, r));
  root["offenders"] = Json::array();
  for (size_t i = 0; i < r.offenders.size() && i < 10; ++i) {
    const LayerSensitivity& l = r.offenders[i];
    Json j = {{"node", l.node}, {"output_sqnr_db", finite(l.output_sqnr_db)}};
    if (l.kl) j["kl"] = *l.kl;
    root["offenders"].push_back(std::move(j));
  }
  root["advice"] = r.advice;
  root["notes"] = r.notes;
  return root.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace octet
