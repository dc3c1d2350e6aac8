// Recipes: YAML files <-> typed options. Unknown keys and wrong values are errors with file and line.
#pragma once

#include <string>
#include <vector>

#include "octet/quantization.h"
#include "octet/status.h"

namespace octet {

// Reads a recipe file, or a built-in recipe by name (recipe_names()).
//
// Accepted at top level or under `quantization_params:`, as the original project writes them: ptq_only,
// selective_quantizer_params {calibrator_w, calibrator_i, per_channel, learn_amax, skip_modules}, calib_params
// {histogram_calib_method, percentile, num_calib_batches, verbose}; at top level also its fine-tuning block
// `pre_launch_callbacks_list: - QATRecipeModificationCallback: {...}`. Octet's own keys: regime, target, rules,
// mappings, calibration {images, batch_size}, repair, bias, activations, symmetric.
//
// What is valid but has no effect on post-training quantization is reported in options.notes.
Result<QuantizationOptions> load_recipe(const std::string& path_or_name);
// `source` is the file name that errors and rule places carry.
Result<QuantizationOptions> parse_recipe(const std::string& text, const std::string& source);

// A recipe that parse_recipe() reads back as the same options (places and notes aside).
std::string recipe_to_yaml(const QuantizationOptions& options);

std::vector<std::string> recipe_names();  // built in, sorted

}  // namespace octet
