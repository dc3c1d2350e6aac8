// What a runtime wants from a Q/DQ file: the data of targets/*.yaml.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "octet/status.h"
#include "octet/tensor.h"

namespace octet {

struct Target {
  std::string name;
  std::string summary;
  DType activation_type = DType::kUint8;
  bool symmetric_activations = false;
  DType weight_type = DType::kInt8;
  bool narrow_weights = false;
  bool integer_bias = false;
  std::set<std::string> weighted_ops;
  std::set<std::string> integer_ops;
  std::set<std::string> commuting_ops;
  std::set<std::string> fused_activations;
  std::set<std::string> requires_quantized_output;
  std::map<std::string, std::string> blocks;  // residual_add -> quantize_skip, ...
  std::vector<std::string> precisions;        // beside its own 8 bits and float, as rules name them: what it can run
  int64_t min_channels = 16;
  bool keep_gemv_float = false;
  bool keep_box_regression_float = true;
};

// A built-in name, or the path of a file (anything with a slash or ending in .yaml or .yml).
Result<Target> load_target(const std::string& name_or_path);
Result<Target> parse_target(const std::string& text, const std::string& source);
std::vector<std::string> target_names();  // built in, sorted

// The treatments each block knows, default of the octet target first; empty for an unknown block.
const std::vector<std::string>& block_treatments(const std::string& block);
std::vector<std::string> block_names();
// Refuses a treatment that the block or operator does not know, with near misses.
Status check_mapping(const std::string& pattern, const std::string& treatment);

}  // namespace octet
