#include "onnx/schema.h"

namespace octet {
namespace {

// Those numbers of TensorProto.DataType that graph/onnx_dtype.h leaves out.
constexpr struct {
  int32_t number;
  const char* name;
} kUnsupportedTypes[] = {{8, "STRING"},          {14, "COMPLEX64"},      {15, "COMPLEX128"},
                         {18, "FLOAT8E4M3FNUZ"}, {20, "FLOAT8E5M2FNUZ"}, {23, "FLOAT4E2M1"}};

constexpr size_t kLongestQuotedName = 120;

}  // namespace

std::string unsupported_type_name(int32_t data_type) {
  for (const auto& row : kUnsupportedTypes)
    if (row.number == data_type) return row.name;
  return "element type " + std::to_string(data_type);
}

std::string in_quotes(std::string_view name) {
  std::string text = "'";
  for (char c : name.substr(0, kLongestQuotedName)) {
    const auto byte = static_cast<unsigned char>(c);
    text += byte < 0x20 || byte == 0x7f ? '?' : c;
  }
  if (name.size() > kLongestQuotedName) text += "...";
  return text + "'";
}

std::string describe(const Node& node) { return "node " + in_quotes(node.name) + " (" + node.op_type + ")"; }

int64_t ir_version_for_opset(int opset) {
  if (opset <= 14) return 7;
  if (opset <= 18) return 8;
  if (opset <= 20) return 9;
  return 10;
}

}  // namespace octet
