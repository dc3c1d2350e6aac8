// Which layers hurt when a network is quantized, and what each costs.
//
// A unit is a layer with its block: a weighted operator and what follows it up to the next one. "Only it quantized"
// keeps the scales and types of the full plan and takes all quantizers of other units away; "all but it" is what a
// recipe that skips the unit's nodes gives.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "octet/pipeline.h"

namespace octet {

struct LayerSensitivity {
  std::string node;  // the weighted operator, exact name
  std::string op_type;
  std::vector<std::string> nodes;    // the unit, graph order
  std::vector<std::string> skip;     // names for skip_modules that leave the unit in float
  std::string weights, activations;  // types; empty where it has none
  int64_t weight_count = 0;

  // The network's outputs when only this unit is quantized, against float.
  double output_sqnr_db = 0;         // over all float32 outputs; infinite: no difference
  std::optional<double> kl;          // nats for one image, of the class distributions; absent without class scores
  std::optional<double> fisher;      // see fisher_scores in octet/train.h
  std::optional<double> alone;       // score when only this unit is quantized, as SensitivityReport::score_name says
  std::optional<double> without;     // score when all but this unit are quantized
  double int8_us = 0, float_us = 0;  // microseconds of its fused group in the engine; 0: not measured
};

struct SensitivityReport {
  std::vector<LayerSensitivity> layers;  // worst first: by kl, or by output_sqnr_db where there is none
  std::vector<std::string> float_nodes;  // weighted operators that the plan leaves in float, so not measured
  std::string score_name;                // "top-1 %", "mAP@0.5 %", "agreement with float %" or "output SQNR dB"
  std::optional<double> float_score, quantized_score;  // simulated, on score_count images; absent without exact
  int64_t score_images = 0, exact_images = 0;
  double int8_us = 0;  // of all groups; 0: not measured
  Graph prepared;
  Ranges ranges;
  QuantizationPlan plan;
  std::vector<std::string> notes;
  int64_t resumed = 0;  // figures that an earlier run had left
};

struct SensitivityJob {
  QuantizeJob quantize;  // calibration data, or ranges; eval.detection; evaluation and callbacks are not used
  const Dataset* evaluation = nullptr;  // of the exact scores; null: the calibration data, without its labels
  int64_t score_images = 32;            // images of the sweep, the first of the calibration data
  int64_t exact = 0;                    // so many of the worst units get `alone` and `without`; -1: all
  int64_t exact_images = 0;             // 0: all of `evaluation`
  bool timing = true;                   // measure the groups, for at most timing_seconds
  double timing_seconds = 3;
  int timing_threads = 1;
  std::string folder;  // keeps what is done, so that an interrupted run goes on; must exist. Empty: nothing
  std::string name;    // tells several measurements in one folder apart
  RunOptions run;      // of everything
  // Scores units by gradients, one number each; empty: not wanted.
  std::function<Result<std::vector<double>>(const Graph& graph, const QuantizationPlan& plan,
                                            const std::vector<std::vector<std::string>>& units)>
      fisher;
};

// Each image runs through the float network once; for each unit then only what depends on it, from the activations
// that were kept. The figures are those of full runs, bit for bit, for any number of threads. Memory: the activations
// of one image for each worker, and the quantized layers once. Errors: those of quantize_network, kNotFound when the
// plan quantizes nothing, kCancelled after what is done was saved.
Result<SensitivityReport> measure_sensitivity(const Graph& graph, const SelectiveQuantizer& quantizer,
                                              const SensitivityJob& job);

// sensitivity.json.
std::string sensitivity_to_json(const SensitivityReport& report);

// The units that stand out: more than three times the median noise, at most a fifth of all, worst first. Noise is
// what output_sqnr_db says, or kl.
std::vector<const LayerSensitivity*> outstanding_layers(const SensitivityReport& report);
// A block for a recipe that leaves these in float, with the figures as comments.
std::string skip_block(const std::vector<const LayerSensitivity*>& layers);

}  // namespace octet
