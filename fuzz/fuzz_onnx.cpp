// Any bytes as an ONNX file: load, verify, infer, write, load again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "graph/shape_inference.h"
#include "graph/verify.h"
#include "octet/onnx.h"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  octet::set_tensor_byte_limit(int64_t{1} << 24);
  octet::Result<octet::Graph> graph = octet::parse_onnx({reinterpret_cast<const char*>(data), size}, "");
  if (!graph) {
    require(!graph.status().message().empty() && graph.status().code() != octet::StatusCode::kInternal);
    return 0;
  }
  require(octet::verify(*graph).is_ok());
  require(octet::infer_shapes(*graph).is_ok());
  octet::Result<std::string> bytes = octet::serialize_onnx(*graph);
  if (!bytes) {
    require(bytes.status().code() != octet::StatusCode::kInternal);
    return 0;
  }
  octet::Result<octet::Graph> again = octet::parse_onnx(*bytes, "");
  require(again.is_ok());
  octet::Result<std::string> same = octet::serialize_onnx(*again);
  require(same.is_ok() && *same == *bytes);
  return 0;
}
