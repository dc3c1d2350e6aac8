// ranges.json: one line per tensor.
#include "base/files.h"
#include "octet/quantization.h"
#include "quantization/json_text.h"

namespace octet {
namespace {

constexpr const char* kFormat = "octet-ranges";

std::string range_line(const TensorRangeEntry& e) {
  JsonLine line;
  line.add("lo", e.lo).add("hi", e.hi).add("role", tensor_role_name(e.role));
  if (e.axis >= 0) line.add("axis", static_cast<int64_t>(e.axis));
  if (e.block_size > 0) line.add("block_size", e.block_size);
  line.add("method", e.method).add("count", e.count).add("min", e.min).add("max", e.max).add("why", e.why);
  return line.text();
}

Result<TensorRangeEntry> read_range(const nlohmann::json& value, const std::string& path) {
  OCTET_ASSIGN(JsonObject object, JsonObject::open(value, path));
  TensorRangeEntry e;
  std::string role = "activation";
  OCTET_RETURN_IF_ERROR(object.read("lo", &e.lo));
  OCTET_RETURN_IF_ERROR(object.read("hi", &e.hi));
  OCTET_RETURN_IF_ERROR(object.read("role", &role));
  OCTET_RETURN_IF_ERROR(object.read("axis", &e.axis));
  OCTET_RETURN_IF_ERROR(object.read("block_size", &e.block_size));
  OCTET_RETURN_IF_ERROR(object.read("method", &e.method));
  OCTET_RETURN_IF_ERROR(object.read("why", &e.why));
  OCTET_RETURN_IF_ERROR(object.read("count", &e.count));
  OCTET_RETURN_IF_ERROR(object.read("min", &e.min));
  OCTET_RETURN_IF_ERROR(object.read("max", &e.max));
  OCTET_RETURN_IF_ERROR(object.finish());
  if (e.lo.empty() || e.hi.empty()) return object.error(e.lo.empty() ? "lo" : "hi", "a range needs lo and hi");
  if (role == "weight") e.role = TensorRole::kWeight;
  else if (role == "constant") e.role = TensorRole::kConstant;
  else if (role != "activation") return object.error("role", "expected activation, weight or constant");
  return e;
}

Result<Ranges> read_ranges(const nlohmann::json& document) {
  OCTET_ASSIGN(JsonObject root, JsonObject::open(document, ""));
  Ranges ranges;
  OCTET_RETURN_IF_ERROR(read_artifact_head(root, kFormat, &ranges.fingerprint));
  const nlohmann::json* tensors = root.find("tensors");
  if (const nlohmann::json* left_out = root.find("left_out"); left_out != nullptr) {
    if (!left_out->is_object()) return root.error("left_out", "expected an object { ... }");
    for (const auto& [name, why] : left_out->items()) {
      if (!why.is_string()) return root.error("left_out/" + name, "expected text in quotes");
      ranges.left_out[name] = why.get<std::string>();
    }
  }
  OCTET_RETURN_IF_ERROR(root.finish());
  if (tensors == nullptr || !tensors->is_object()) return root.error("tensors", "expected an object { ... }");
  for (const auto& [name, value] : tensors->items()) {
    OCTET_ASSIGN(TensorRangeEntry entry, read_range(value, "/tensors/" + name));
    ranges.tensors.emplace(name, std::move(entry));
  }
  return ranges;
}

}  // namespace

std::string ranges_to_json(const Ranges& ranges) {
  std::vector<std::pair<std::string, std::string>> lines;
  for (const auto& [name, entry] : ranges.tensors) lines.emplace_back(name, range_line(entry));
  std::vector<std::pair<std::string, std::string>> reasons;
  for (const auto& [name, why] : ranges.left_out) reasons.emplace_back(name, json_quote(why));
  return "{\n  \"format\": \"" + std::string(kFormat) +
         "\",\n  \"version\": 1,\n  \"network\": " + json_quote(ranges.fingerprint) + ",\n" +
         (reasons.empty() ? "" : json_block("left_out", reasons) + ",\n") + json_block("tensors", lines) + "\n}\n";
}

Result<Ranges> ranges_from_json(const std::string& text, const std::string& source) {
  OCTET_ASSIGN(const nlohmann::json document, parse_json(text, source));
  return read_ranges(document).at(source);
}

Status save_ranges(const Ranges& ranges, const std::string& path) {
  return write_file_atomically(path, ranges_to_json(ranges));
}

Result<Ranges> load_ranges(const std::string& path) {
  OCTET_ASSIGN(const std::string text, read_file(path, int64_t{1} << 30));
  return ranges_from_json(text, path);
}

}  // namespace octet
