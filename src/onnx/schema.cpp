#include "onnx/schema.h"

#include <algorithm>

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

// Well-formed sequences only (Unicode 15, table 3-7): no overlong forms, surrogates or code points over 10FFFF.
bool is_utf8(std::string_view text) {
  size_t i = 0;
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  while (i < text.size()) {
    const unsigned lead = byte(i);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xc2 && lead < 0xe0 ? 2
                          : (lead & 0xf0) == 0xe0       ? 3
                          : lead >= 0xf0 && lead < 0xf5 ? 4
                                                        : 0;
    if (length == 0 || text.size() - i < length) return false;
    for (size_t k = 1; k < length; ++k)
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    if (lead == 0xe0 && byte(i + 1) < 0xa0) return false;
    if (lead == 0xed && byte(i + 1) >= 0xa0) return false;
    if (lead == 0xf0 && byte(i + 1) < 0x90) return false;
    if (lead == 0xf4 && byte(i + 1) >= 0x90) return false;
    i += length;
  }
  return true;
}

std::string in_quotes(std::string_view name) {
  const bool only_ascii = !is_utf8(name);
  size_t shown = std::min(name.size(), kLongestQuotedName);
  while (!only_ascii && shown < name.size() && (static_cast<unsigned char>(name[shown]) & 0xc0) == 0x80) --shown;
  std::string text = "'";
  for (char c : name.substr(0, shown)) {
    const auto byte = static_cast<unsigned char>(c);
    text += byte < 0x20 || byte == 0x7f || (only_ascii && byte >= 0x80) ? '?' : c;
  }
  if (shown < name.size()) text += "...";
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
