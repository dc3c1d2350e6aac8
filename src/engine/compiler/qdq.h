// What QuantizeLinear and DequantizeLinear nodes say, read once and checked.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "octet/graph.h"

namespace octet::engine {

// Per-tensor INT8 or UINT8 parameters in the engine's UINT8 form: codes and zero point of INT8 tensors plus 128, or
// as they are where no code is negative (after a Relu): codes up to 127 are what the fastest AVX2 kernel is exact for.
struct CodeParams {
  DType dtype = DType::kUint8;  // as the file has it
  float scale = 1;
  int32_t zero = 0;
  int32_t shift = 0;  // 128 or 0

  int32_t top() const { return dtype == DType::kInt8 && shift == 0 ? 127 : 255; }
  bool same_numbers(const CodeParams& o) const {
    return dtype == o.dtype && scale == o.scale && zero - shift == o.zero - o.shift;
  }
  CodeParams shifted() const { return dtype == DType::kInt8 ? CodeParams{dtype, scale, zero - shift + 128, 128} : *this; }
  // The form without the offset, when `lowest` (a real number) and all above it have codes that are not negative.
  CodeParams for_values_from(float lowest) const {
    const bool positive = dtype == DType::kInt8 && lowest >= 0 && zero - shift >= 0;
    return positive ? CodeParams{dtype, scale, zero - shift, 0} : *this;
  }
  bool operator==(const CodeParams&) const = default;
};

// Of a Q or DQ node with constant scale and zero point; nullopt and the reason for everything else.
std::optional<CodeParams> code_params(const Graph& graph, const Node& node, std::string* why);

// Constant weights behind a DequantizeLinear, zero points taken off.
struct WeightCodes {
  Dims dims;
  std::vector<int8_t> codes;
  std::vector<float> scale;  // one, or one for each index of `axis`
  int axis = -1;
};
std::optional<WeightCodes> weight_codes(const Graph& graph, const GraphIndex& index, ValueId value, std::string* why);

// A constant bias: INT32 codes where it is quantized with scale src * weight of each channel, else real numbers.
struct BiasValues {
  std::vector<int32_t> codes;
  std::vector<float> real;
};
std::optional<BiasValues> bias_values(const Graph& graph, const GraphIndex& index, ValueId value,
                                      const std::vector<float>& accumulator_scale, std::string* why);

}  // namespace octet::engine
