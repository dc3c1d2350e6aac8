// Quantizes, scores and times candidates, each once: what was measured before is looked up.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octet/search.h"
#include "search/saved_state.h"
#include "search/score.h"

namespace octet {

class Trials {
 public:
  Trials(const Graph& graph, const SearchJob& job) : graph_(graph), job_(job) {}

  // The float network: prepared, scored and timed.
  Status open(const QuantizationOptions& base);

  // Adds the candidate unless its recipe is there already; its index. nullopt: the budget of trials or time is spent.
  Result<std::optional<size_t>> add(SearchTrial trial);
  // Scores it on the first `images` of the shuffled evaluation data, or on all.
  Status score(size_t trial, int64_t images);
  // On all images, and times it.
  Status complete(size_t trial);
  bool is_complete(size_t trial) const { return all_[trial].images == images(); }
  bool out_of_budget() const;

  int64_t images() const { return images_; }
  ScoreKind kind() const { return kind_; }
  const std::vector<SearchTrial>& all() const { return all_; }
  SearchTrial& operator[](size_t trial) { return all_[trial]; }
  SavedState& state() { return state_; }
  const Graph& prepared() const { return prepared_; }
  const Dataset& calibration() const { return *job_.calibration; }
  double float_score() const { return float_score_; }
  double float_latency_ms() const { return float_latency_ms_; }
  int64_t float_bytes() const { return float_bytes_; }
  // Points below float; for kSqnr dB below min_sqnr_db.
  double drop(size_t trial) const;  // of a complete trial
  // Twice the standard error of the drop, from the images whose prediction differs (McNemar); 0 when not known.
  double uncertainty(size_t trial) const;
  bool holds(size_t trial) const;
  double cost(size_t trial) const;  // what the target makes small
  std::vector<std::string>& notes() { return notes_; }

  Result<QuantizeResult> quantize(const QuantizationOptions& options);

 private:
  Status score_float();
  Status measure_static(size_t trial, const QuantizeResult& result);
  Result<double> score_graph(const Graph& quantized, int64_t images, double* differing);
  Result<const QuantizeResult*> result_of(size_t trial);
  std::string key_of(size_t trial) const;

  const Graph& graph_;
  const SearchJob& job_;
  const Dataset* evaluation_ = nullptr;
  std::unique_ptr<Dataset> shuffled_;
  Graph prepared_;
  std::map<std::string, std::map<std::string, TensorStatistics>> statistics_;
  SavedState state_;
  ScoreKind kind_ = ScoreKind::kTop1;
  EvalReport float_report_;
  double float_score_ = 0, float_latency_ms_ = 0;
  int64_t float_bytes_ = 0, images_ = 0;
  std::vector<SearchTrial> all_;
  std::vector<double> differing_;  // images whose prediction is not the float one's, of those last scored
  std::map<std::string, size_t> by_recipe_;
  std::optional<size_t> held_;  // the trial whose quantization is at hand
  QuantizeResult held_result_;
  std::vector<std::string> notes_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace octet
