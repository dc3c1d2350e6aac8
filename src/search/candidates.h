// What a search tries: recipes for the whole network, and changes of one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "octet/search.h"
#include "quantization/target.h"

namespace octet {

// Regimes, calibrators, granularity and symmetry over what `base` says for all. The first is the naive recipe (left
// out where base has rules or skips, which it cannot have), the second the selective one.
std::vector<SearchTrial> recipe_candidates(const QuantizationOptions& base, const Target& target);
// One calibrator for the inputs of all layers, no look at each tensor.
bool is_single_calibrator(const QuantizationOptions& options);

// Every other treatment of every block, over `start`; the caller drops those that change no plan.
std::vector<SearchTrial> block_candidates(const SearchTrial& start, const Target& target);

// `start` with these layers, skipped or in another precision ("": in float), by exact names.
SearchTrial with_layers(const SearchTrial& start, const std::vector<const LayerSensitivity*>& layers,
                        const std::string& precision);
// How the range of an activation is chosen.
struct ActivationCalibrator {
  std::string method;
  std::optional<double> percentile;  // absent: the recipe's
};
std::vector<ActivationCalibrator> activation_calibrators();

// `start` with calibrators of their own for what these layers read, inside of their blocks too.
struct LayerCalibrator {
  const LayerSensitivity* layer = nullptr;
  ActivationCalibrator calibrator;
};
SearchTrial with_calibrators(const SearchTrial& start, const std::vector<LayerCalibrator>& layers);

}  // namespace octet
