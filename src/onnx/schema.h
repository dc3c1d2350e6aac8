// ONNX's wire schema and what Octet's terms are called there. Only files of this room include this header.
//
// Debian's schema is ONNX 1.12: element types that came later are known by number, fields that came later arrive as
// protobuf unknown fields and are kept.
#pragma once

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "graph/onnx_dtype.h"
#include "octet/graph.h"

namespace octet {

constexpr int kOldestOpset = 7;
constexpr int kNewestOpset = 22;
constexpr int kOldestWrittenOpset = 13;
constexpr int kOldestIrVersion = 3;    // the first that says which opsets a model uses
constexpr int kNewestIrVersion = 13;   // ONNX 1.20
constexpr size_t kMaxDimensions = 64;  // more dimensions than any operator or runtime takes

// "STRING", "COMPLEX64", ... or "element type 77": for sentences about types that Octet does not hold.
std::string unsupported_type_name(int32_t data_type);

bool is_utf8(std::string_view text);
// A name of an untrusted file in quotes: what a terminal or a log could not show is replaced, long ones are
// shortened.
std::string in_quotes(std::string_view name);
// "node 'conv1' (Conv)"; check_names() has accepted both.
std::string describe(const Node& node);

// The oldest ir_version that may carry this opset of ai.onnx (table in ONNX's docs/Versioning.md).
int64_t ir_version_for_opset(int opset);

}  // namespace octet
