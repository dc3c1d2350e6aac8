// What passes must know about operators besides their definition.
#pragma once

#include <algorithm>
#include <string_view>

#include "octet/graph.h"

namespace octet {

// Gives another result each time.
inline bool is_random(const Node& node) {
  constexpr std::string_view kRandom[] = {"RandomNormal",      "RandomNormalLike", "RandomUniform",
                                          "RandomUniformLike", "Multinomial",      "Bernoulli"};
  return std::find(std::begin(kRandom), std::end(kRandom), node.op_type) != std::end(kRandom) ||
         (node.is("Dropout") && node.has_input(2));
}

// Somebody's quantization decision; passes keep it as it stands.
inline bool is_quantize_or_dequantize(const Node& node) {
  return node.op_type == "QuantizeLinear" || node.op_type == "DequantizeLinear" ||
         node.op_type == "DynamicQuantizeLinear";
}

}  // namespace octet
