// The best quantized network under a budget: recipes first, then layer by layer, each judged by real data and, where
// wanted, by measured time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "octet/pipeline.h"
#include "octet/sensitivity.h"

namespace octet {

// What a search makes as small as the budget allows. Energy is a proxy: multiply-adds times the bits of both
// operands, of the float network's.
enum class SearchTarget { kLatency, kSize, kEnergyProxy };

struct SearchJob {
  const Dataset* calibration = nullptr;
  // With labels: accuracy decides. Without: how far the network agrees with the float one. Null: the calibration
  // data.
  const Dataset* evaluation = nullptr;
  int64_t images = 0;                    // calibration images; 0: what the options say
  double max_drop = 0.5;                 // points below float
  double min_sqnr_db = 20;               // instead, where the score is the SQNR of the outputs
  std::optional<double> max_latency_ms;  // of one image in the engine
  SearchTarget target = SearchTarget::kLatency;
  bool timing = true;  // false: no latency is measured; kLatency then counts layers left in float
  int timing_threads = 1;
  double timing_seconds = 1;  // for the kernels of a candidate, and again for whole runs
  int64_t trials = 48;        // networks that are quantized and scored, at most
  double seconds = 0;         // wall time after which no new one is begun; 0: no limit
  uint64_t seed = 0;          // which images the early rounds see
  EvalOptions eval;
  RunOptions run;
  std::string
      folder;  // keeps all figures and timings, so that the next run with it goes on, or gives the same answer
};

// A recipe and what came of it.
struct SearchTrial {
  std::string name;  // in words
  QuantizationOptions options;
  std::string origin;              // "recipe", "block", "calibrators", "float", "precision"
  std::vector<std::string> nodes;  // that the last step changed
  double score = 0;
  int64_t images = 0;        // fewer than all: an early round left it behind
  double latency_ms = 0;     // 0: not measured
  int64_t bytes = 0;         // of the ONNX file
  double energy = 0;         // of float: 1
  int64_t float_layers = 0;  // weighted operators that stay in float
  bool holds = false;        // the budget, on all images
  bool on_front = false;     // nobody is better in one of score, latency, bytes and at least as good in the others
};

struct SearchResult {
  std::string score_name, score_unit;
  double float_score = 0, float_latency_ms = 0;
  int64_t float_bytes = 0, images = 0;
  std::vector<SearchTrial> trials;                      // in the order in which they were made
  size_t best = 0;                                      // holds the budget at the least cost; else the best score
  std::optional<size_t> naive, selective, best_single;  // best_single: one calibrator for all, the best of these
  bool holds = false;
  std::vector<LayerSensitivity> offenders;  // worst layers of the best network
  std::vector<std::string> advice;          // when the budget does not hold
  std::vector<std::string> notes;
  QuantizeResult chosen;  // of the best trial, as quantize_network gives it
};

// `base` has what every candidate keeps: target, skips, rules, bias. Deterministic for a seed and a folder with its
// timings; without timing for a seed alone. Errors: those of quantize_network and evaluate for a network or data that
// no candidate can do with; kCancelled after what is done was saved.
Result<SearchResult> search_recipe(const Graph& graph, const QuantizationOptions& base, const SearchJob& job);

// search.json.
std::string search_to_json(const SearchResult& result);

}  // namespace octet
