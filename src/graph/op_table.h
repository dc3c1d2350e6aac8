// The operators Octet knows, one row each: the single place that says what is supported.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace octet {

enum class AttrType : uint8_t { kInt, kFloat, kString, kTensor, kInts, kFloats, kStrings };

struct AttrInfo {
  std::string_view name;
  AttrType type;
};

struct OpInfo {
  std::string_view op_type;  // of domain ai.onnx
  int min_inputs;
  int max_inputs;   // -1: any number
  int min_outputs;
  int max_outputs;  // -1: any number
  std::span<const AttrInfo> attributes;  // over all opsets
};

// nullptr when Octet does not know the operator.
const OpInfo* find_op(std::string_view domain, std::string_view op_type);
std::span<const OpInfo> all_ops();  // sorted by name

}  // namespace octet
