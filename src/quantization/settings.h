// What the recipe, read together with the target, says for each node.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "octet/quantization.h"
#include "quantization/network.h"
#include "quantization/target.h"

namespace octet {

struct NodeSettings {
  DType weights = DType::kInt8;       // kFloat32: stay in float; kFloat16: stored so
  DType activations = DType::kUint8;  // kFloat32: stay in float
  bool symmetric = false;             // of activations
  bool narrow_weights = false;
  std::string calibrator_w = "max";
  std::string calibrator_i = "auto";
  double percentile = 99.99;
  bool per_channel = true;
  int64_t group_size = 0;
  std::string mapping;       // of the block that ends here; "" is the target's
  std::string float_reason;  // why nothing of this node is quantized; "" when it may be
  std::string source;        // the rule that decided, "" for the defaults

  bool keeps_float() const { return !float_reason.empty(); }
};

// One entry per node. Errors: a rule or skip entry that matches nothing, unknown calibrators, precisions and
// mappings.
Result<std::vector<NodeSettings>> resolve_settings(const Network& net, const QuantizationOptions& options,
                                                   const Target& target);

// Refuses unknown names with near misses; `histogram` stands for histogram_calib_method.
Status check_calibrator(const std::string& name);
// All of the options that can be judged without a network.
Status check_options(const QuantizationOptions& options);

}  // namespace octet
