// The format of safetensors (huggingface/safetensors, README): 8 bytes with the length of a JSON header, the header
// {name: {"dtype", "shape", "data_offsets": [begin, end]}}, and the elements, row-major and little-endian.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/files.h"
#include "octet/zoo.h"
#include "zoo/state_names.h"
#include "zoo/weight_file.h"

namespace octet::zoo {
namespace {

using Json = nlohmann::json;

constexpr int64_t kLargestHeader = int64_t{16} << 20;  // thousands of times what networks of the zoo need
constexpr size_t kMostDimensions = 32;

DType dtype_of_name(const std::string& name) {
  static const std::map<std::string, DType> known = {
      {"F64", DType::kFloat64},   {"F32", DType::kFloat32},        {"F16", DType::kFloat16},
      {"BF16", DType::kBFloat16}, {"F8_E4M3", DType::kFloat8E4M3}, {"F8_E5M2", DType::kFloat8E5M2},
      {"I64", DType::kInt64},     {"I32", DType::kInt32},          {"I16", DType::kInt16},
      {"I8", DType::kInt8},       {"U64", DType::kUint64},         {"U32", DType::kUint32},
      {"U16", DType::kUint16},    {"U8", DType::kUint8},           {"BOOL", DType::kBool},
  };
  const auto found = known.find(name);
  return found == known.end() ? DType::kUndefined : found->second;
}

// Parses without exceptions; refuses names that occur twice and anything deeper than the format needs.
std::optional<Json> parse_header(const std::string& text) {
  std::set<std::string> names;
  bool sound = true;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > 4) sound = false;
    if (event == Json::parse_event_t::key && depth == 1 && !names.insert(parsed.get<std::string>()).second)
      sound = false;
    return sound;
  };
  Json header = Json::parse(text, watch, false);
  if (!sound || header.is_discarded() || !header.is_object()) return std::nullopt;
  return header;
}

std::optional<Dims> sizes(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array() || found->size() > kMostDimensions) return std::nullopt;
  Dims dims;
  for (const Json& n : *found) {
    if (!n.is_number_unsigned() || n.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    dims.push_back(static_cast<int64_t>(n.get<uint64_t>()));
  }
  return dims;
}

struct Extent {
  int64_t begin, end;
  std::string name;
  auto operator<=>(const Extent&) const = default;
};

Status check_no_overlap(std::vector<Extent> extents) {
  std::sort(extents.begin(), extents.end());
  int64_t end = 0;
  for (const Extent& e : extents) {
    if (e.begin < end) return data_corrupt("the bytes of tensor '" + e.name + "' belong to another one, too");
    end = e.end;
  }
  return Status::ok();
}

Status add_entry(const std::string& name, const Json& description, const ByteWindow& data, WeightTable* table,
                 std::vector<Extent>* extents) {
  const Status damaged = data_corrupt("the description of tensor '" + name + "' is damaged");
  if (!description.is_object()) return damaged;
  const auto type = description.find("dtype");
  const std::optional<Dims> dims = sizes(description, "shape"), range = sizes(description, "data_offsets");
  if (type == description.end() || !type->is_string() || !dims || !range || range->size() != 2) return damaged;
  const int64_t begin = (*range)[0], end = (*range)[1];
  if (begin > end || end > data.length())
    return data_corrupt("tensor '" + name + "' lies outside of the file, so it is truncated or damaged");
  WeightEntry entry{
      name, dtype_of_name(type->get<std::string>()), *dims, contiguous_strides(*dims), 0, table->storages.size()};
  OCTET_RETURN_IF_ERROR(check_extent(entry, end - begin));
  OCTET_ASSIGN(const int64_t numel, checked_numel(*dims));
  const auto width = static_cast<int64_t>(dtype_size(entry.dtype));
  if (width != 0 && numel != (end - begin) / width) return damaged;
  OCTET_ASSIGN(ByteWindow window, data.part(begin, end - begin));
  table->storages.push_back(std::move(window));
  table->entries.push_back(std::move(entry));
  extents->push_back({begin, end, name});
  return Status::ok();
}

}  // namespace

Result<WeightTable> read_safetensors(const ByteWindow& file) {
  uint64_t size = 0;
  OCTET_RETURN_IF_ERROR(file.read(0, &size, sizeof size));
  if (size > static_cast<uint64_t>(file.length() - 8))
    return data_corrupt("its header is longer than the file, so it is truncated or damaged");
  if (size > static_cast<uint64_t>(kLargestHeader))
    return resource_limit("its header has more than " + std::to_string(kLargestHeader) + " bytes");
  std::string text(static_cast<size_t>(size), '\0');
  OCTET_RETURN_IF_ERROR(file.read(8, text.data(), static_cast<int64_t>(size)));
  const std::optional<Json> header = parse_header(text);
  if (!header) return data_corrupt("its header is not the JSON of a safetensors file");
  const auto begin = static_cast<int64_t>(8 + size);
  OCTET_ASSIGN(const ByteWindow data, file.part(begin, file.length() - begin));
  WeightTable table;
  std::vector<Extent> extents;
  for (const auto& [name, description] : header->items()) {
    if (name == "__metadata__") continue;
    OCTET_RETURN_IF_ERROR(add_entry(name, description, data, &table, &extents));
  }
  OCTET_RETURN_IF_ERROR(check_no_overlap(std::move(extents)));
  return table;
}

}  // namespace octet::zoo

namespace octet {

Status save_safetensors(const Graph& graph, const std::string& path) {
  std::vector<zoo::StateValue> states = zoo::state_values(graph);
  std::sort(states.begin(), states.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  nlohmann::ordered_json header;
  header["__metadata__"] = {{"format", "pt"}};
  int64_t end = 0;
  for (const zoo::StateValue& state : states) {
    const int64_t begin = end;
    end += graph.value(state.id).constant->nbytes();
    header[state.name] = {{"dtype", "F32"}, {"shape", state.dims}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');  // aligns the elements
  const uint64_t size = text.size();
  OCTET_ASSIGN(PendingFile file, PendingFile::create(path));
  OCTET_RETURN_IF_ERROR(file.write_at(0, {reinterpret_cast<const char*>(&size), sizeof size}));
  OCTET_RETURN_IF_ERROR(file.write_at(8, text));
  auto at = static_cast<int64_t>(8 + size);
  for (const zoo::StateValue& state : states) {
    Tensor tensor = *graph.value(state.id).constant;
    if (state.transposed) {
      OCTET_ASSIGN(tensor, zoo::transposed(tensor));
    }
    OCTET_RETURN_IF_ERROR(file.write_at(at, {tensor.data<char>(), static_cast<size_t>(tensor.nbytes())}));
    at += tensor.nbytes();
  }
  OCTET_RETURN_IF_ERROR(file.flush());
  return file.commit();
}

}  // namespace octet
