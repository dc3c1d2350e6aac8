// plan.json in words: every decision with its reason.
#pragma once

#include <string>

#include "octet/quantization.h"

namespace octet::cli {

// A paragraph for each node in graph order: what becomes of it, why, and which of its inputs are quantized how.
// `rows` nodes at most; 0: all.
std::string explain_plan_text(const QuantizationPlan& plan, size_t rows);
std::string explain_plan_json(const QuantizationPlan& plan);

}  // namespace octet::cli
