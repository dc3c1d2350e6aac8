#include "onnx/file_check.h"

#include <cstdint>
#include <optional>
#include <string>

namespace octet {
namespace {

// Protobuf's wire types; 3 and 4 (groups) do not occur in ONNX.
enum WireType : uint64_t { kVarint = 0, kFixed64 = 1, kLength = 2, kFixed32 = 5 };

constexpr uint64_t kIrVersion = 1;
constexpr uint64_t kGraph = 7;

// Wire type that ModelProto gives to a field of its own; nothing for numbers it does not know.
std::optional<uint64_t> expected_wire_type(uint64_t field) {
  switch (field) {
    case kIrVersion:
    case 5: return kVarint;
    case 2:
    case 3:
    case 4:
    case 6:
    case kGraph:
    case 8:
    case 14:
    case 20:
    case 25: return kLength;
    default: return std::nullopt;
  }
}

class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : bytes_(bytes) {}
  bool done() const { return bytes_.empty(); }
  size_t left() const { return bytes_.size(); }
  // Nothing when the bytes end inside the number; `malformed` when it is longer than 64 bits.
  std::optional<uint64_t> varint(bool& malformed) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes_.size(); ++i) {
      if (i == 10) {
        malformed = true;
        return std::nullopt;
      }
      value |= static_cast<uint64_t>(bytes_[i] & 0x7f) << (7 * i);
      if ((bytes_[i] & 0x80) == 0) {
        bytes_.remove_prefix(i + 1);
        return value;
      }
    }
    return std::nullopt;
  }
  bool skip(uint64_t n) {
    if (n > bytes_.size()) return false;
    bytes_.remove_prefix(static_cast<size_t>(n));
    return true;
  }

 private:
  std::string_view bytes_;
};

enum class Step { kOk, kCutOff, kMalformed };

struct Seen {
  bool ir_version = false;
  bool graph = false;
};

Step read_field(WireReader& reader, Seen& seen) {
  bool malformed = false;
  const std::optional<uint64_t> tag = reader.varint(malformed);
  if (!tag) return malformed ? Step::kMalformed : Step::kCutOff;
  const uint64_t field = *tag >> 3;
  const uint64_t wire_type = *tag & 7;
  const std::optional<uint64_t> expected = expected_wire_type(field);
  if (field == 0 || field >= (uint64_t{1} << 29) || (expected && *expected != wire_type)) return Step::kMalformed;
  if (wire_type == kFixed64) return reader.skip(8) ? Step::kOk : Step::kCutOff;
  if (wire_type == kFixed32) return reader.skip(4) ? Step::kOk : Step::kCutOff;
  if (wire_type != kVarint && wire_type != kLength) return Step::kMalformed;
  const std::optional<uint64_t> number = reader.varint(malformed);
  if (!number) return malformed ? Step::kMalformed : Step::kCutOff;
  seen.ir_version = seen.ir_version || field == kIrVersion;
  seen.graph = seen.graph || field == kGraph;
  if (wire_type == kVarint) return Step::kOk;
  return reader.skip(*number) ? Step::kOk : Step::kCutOff;
}

}  // namespace

Status check_onnx_file(std::string_view bytes) {
  if (bytes.empty()) return data_corrupt("this is not an ONNX model: the file is empty");
  WireReader reader(bytes);
  Seen seen;
  while (!reader.done()) {
    const size_t at = bytes.size() - reader.left();
    const Step step = read_field(reader, seen);
    if (step == Step::kOk) continue;
    if (!seen.ir_version) return data_corrupt("this is not an ONNX model");
    if (step == Step::kCutOff)
      return data_corrupt("the file is cut off: it ends inside the field that starts at byte " + std::to_string(at) +
                          "; get it again");
    return data_corrupt("the file is damaged at byte " + std::to_string(at) + "; get it again");
  }
  if (!seen.ir_version) return data_corrupt("this is not an ONNX model: it has no ir_version");
  if (!seen.graph) return data_corrupt("this is not an ONNX model, or it is cut off: it has no graph");
  return Status::ok();
}

}  // namespace octet
