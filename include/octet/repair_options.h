// Repair without training: which methods change a network's weights so that quantization costs less, and how.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "octet/status.h"

namespace octet {

// SmoothQuant (Xiao et al. 2022, arXiv 2211.10438): LayerNormalization hands large channels over to the matrices.
struct SmoothQuantOptions {
  double alpha = 0.5;  // in [0, 1]: how much of the difficulty moves from activations to weights
  bool operator==(const SmoothQuantOptions&) const = default;
};

// Cross-layer equalization (Nagel et al. 2019, arXiv 1906.04721, section 4.1).
struct EqualizationOptions {
  // A Clip(0, c) becomes Relu when it cuts off at most this share of what calibration sees; else it stays, and so do
  // the scales around it.
  double max_clipped = 0.01;
  bool operator==(const EqualizationOptions&) const = default;
};

// High-bias absorption (the same, section 4.1.3): max(0, mean - deviations * deviation) of each channel moves on.
struct AbsorptionOptions {
  double deviations = 3;
  bool operator==(const AbsorptionOptions&) const = default;
};

// AdaRound (Nagel et al. 2020, arXiv 2004.10568): weights are rounded so that the layer's output stays.
struct AdaRoundOptions {
  int iterations = 1000;
  double warm_start = 0.2;    // share of the iterations without regulariser
  double regularization = 1;  // lambda
  double beta_start = 20, beta_end = 2;
  bool operator==(const AdaRoundOptions&) const = default;
};

// GPTQ (Frantar et al. 2022, arXiv 2210.17323): each rounding error is made good by the weights still to be rounded.
struct GptqOptions {
  double damping = 0.01;  // of the mean of the Hessian's diagonal
  bool act_order = true;  // inputs with the largest second moment first
  bool operator==(const GptqOptions&) const = default;
};

// Bias correction: the mean shift of each output channel is taken off the bias.
struct BiasCorrectionOptions {
  // empirical: measured, layer by layer, with all earlier corrections in force (arXiv 1906.04721, appendix D).
  // analytic: weight error times the expected input, from batch normalization where the network has it (section 4.2).
  bool analytic = false;
  bool operator==(const BiasCorrectionOptions&) const = default;
};

// The methods that are set run in this order: those of the float network before calibration, the others after it.
struct RepairOptions {
  std::optional<SmoothQuantOptions> smooth_quant;
  std::optional<EqualizationOptions> cross_layer_equalization;
  std::optional<AbsorptionOptions> bias_absorption;
  std::optional<AdaRoundOptions> adaround;  // not together with gptq
  std::optional<GptqOptions> gptq;
  std::optional<BiasCorrectionOptions> bias_correction;
  int64_t images = 0;  // that the methods look at; 0: those of the calibration

  bool before_calibration() const { return smooth_quant || cross_layer_equalization || bias_absorption; }
  bool after_calibration() const { return adaround || gptq || bias_correction; }
  bool any() const { return before_calibration() || after_calibration(); }
  bool operator==(const RepairOptions&) const = default;
};

// The methods' names, in the order in which they run.
const std::vector<std::string>& repair_method_names();
// Sets one method with its defaults, or takes it out. kInvalidArgument for an unknown name, with near misses.
Status set_repair_method(RepairOptions& options, const std::string& name, bool on = true);
// Refuses numbers out of range and methods that exclude each other.
Status check_repair_options(const RepairOptions& options);

}  // namespace octet
