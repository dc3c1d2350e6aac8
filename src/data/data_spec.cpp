#include "data/data_spec.h"

#include <filesystem>

#include "base/text.h"
#include "data/spec_keys.h"
#include "octet/data.h"
#include "yaml/yaml_reader.h"

namespace octet {
namespace {

namespace fs = std::filesystem;

// mean and std mean nothing without the scale they were measured at; 0..1 and 0..255 are both in common use.
Status check_spec(const DataSpec& spec) {
  const Preprocess& p = spec.preprocess;
  if (spec.path.empty()) return invalid_argument("the data spec has no 'path'");
  if ((!p.mean.empty() || !p.std.empty()) && !p.scale)
    return invalid_argument(
        "'mean' or 'std' is given without 'scale'; add 'scale: 1/255' when they are for pixels from 0 to 1, or "
        "'scale: 1' when they are for 0 to 255");
  for (double s : p.std)
    if (s == 0) return invalid_argument("'std' must not be 0: the pixels are divided by it");
  if (p.size && p.resize && *p.resize != ResizeMode::kShorterSide)
    return invalid_argument("'size' is only for 'resize: shorter_side'; give 'width' and 'height'");
  return Status::ok();
}

std::string beside(const fs::path& folder, const std::string& path) {
  if (path.empty() || fs::path(path).is_absolute()) return path;
  return (folder / path).string();
}

void place_beside(const fs::path& folder, DataSpec* spec) {
  spec->path = beside(folder, spec->path);
  spec->class_names = beside(folder, spec->class_names);
  if (spec->kind != DataKind::kNpz) spec->labels = beside(folder, spec->labels);  // in an npz it names an array
}

// An unknown key is named before its value is looked at.
Status read_key(const std::string& key, const YamlNode& value, SpecSection section, DataSpec* spec) {
  Status set = set_spec_key(spec, section, key, {});
  if (set.is_ok()) {
    OCTET_ASSIGN(const std::vector<std::string> values, value.as_strings());
    set = set_spec_key(spec, section, key, values);
  }
  return set.is_ok() ? set : value.error(set.message());
}

Status read_section(const YamlNode& node, SpecSection section, const char* what, DataSpec* spec) {
  OCTET_ASSIGN(const YamlMap map, YamlMap::open(node, what));
  for (const auto& [key, value] : map.node().entries()) {
    OCTET_RETURN_IF_ERROR(read_key(key, value, section, spec));
  }
  return Status::ok();
}

Status read_inputs(const YamlNode& node, DataSpec* spec) {
  OCTET_ASSIGN(const YamlMap map, YamlMap::open(node, "inputs"));
  for (const auto& [input, array] : map.node().entries()) {
    OCTET_ASSIGN(spec->inputs[input], array.as_string());
  }
  return Status::ok();
}

Result<DataSpec> from_map(const YamlNode& root, const std::string& source, const fs::path& folder) {
  if (!root.is_map()) return root.error("a data spec must be a map of keys and values, such as 'kind: folder'");
  DataSpec spec;
  spec.source = source;
  bool has_kind = false;
  for (const auto& [key, value] : root.entries()) {
    if (key == "preprocess") {
      OCTET_RETURN_IF_ERROR(read_section(value, SpecSection::kPreprocess, "preprocess", &spec));
    } else if (key == "detection") {
      OCTET_RETURN_IF_ERROR(read_section(value, SpecSection::kDetection, "detection", &spec));
    } else if (key == "inputs") {
      OCTET_RETURN_IF_ERROR(read_inputs(value, &spec));
    } else {
      OCTET_RETURN_IF_ERROR(read_key(key, value, SpecSection::kTop, &spec));
      has_kind = has_kind || (key == "kind" && !value.is_null());
    }
  }
  if (!has_kind) return root.error("the data spec has no 'kind' (idx, cifar10, folder, npy, npz, yolo or masks)");
  const Status checked = check_spec(spec);
  if (!checked.is_ok()) return root.error(checked.message());
  place_beside(folder, &spec);
  return spec;
}

Result<DataSpec> from_yaml(const std::string& path) {
  OCTET_ASSIGN(const YamlNode root, load_yaml(path));
  return from_map(root, path, fs::path(path).parent_path());
}

Status read_query(const std::string& query, DataSpec* spec) {
  for (const std::string& pair : split(query, '&')) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos)
      return invalid_argument("'" + pair + "' is not of the form key=value; keys follow '?' and are joined by '&'");
    const std::string key = pair.substr(0, equals), value = pair.substr(equals + 1);
    if (key.starts_with("inputs.")) {
      spec->inputs[key.substr(7)] = value;
      continue;
    }
    OCTET_RETURN_IF_ERROR(set_spec_key(spec, SpecSection::kAny, key, split(value, ',')));
  }
  return Status::ok();
}

Result<DataSpec> from_inline(DataKind kind, const std::string& rest) {
  DataSpec spec;
  const size_t question = rest.rfind('?');
  const bool has_query = question != std::string::npos;
  if (has_query) OCTET_RETURN_IF_ERROR(read_query(rest.substr(question + 1), &spec));
  spec.kind = kind;
  spec.path = rest.substr(0, question);
  OCTET_RETURN_IF_ERROR(check_spec(spec));
  return spec;
}

Status not_a_spec(const std::string& text) {
  std::error_code error;
  const std::string forms = "use a YAML file, or kind:PATH with kind idx, cifar10, folder, npy, npz, yolo or masks";
  if (fs::is_directory(text, error))
    return invalid_argument("'" + text + "' is a folder; say what it holds, for example 'folder:" + text + "'");
  const std::string low = to_lower(text);
  if (low.ends_with(".npz") || low.ends_with(".npy"))
    return invalid_argument("write '" + low.substr(low.size() - 3) + ":" + text + "' to use the arrays of this file");
  if (fs::exists(text, error)) return invalid_argument("'" + text + "' is not a YAML file (.yaml or .yml); " + forms);
  const size_t colon = text.find(':');
  if (colon != std::string::npos)
    return data_kind_from_name(text.substr(0, colon)).status().at("the kind of the data '" + text + "'");
  return not_found("there is no data spec '" + text + "'; " + forms);
}

bool names_yaml_file(const std::string& text) {
  const std::string low = to_lower(text);
  return low.ends_with(".yaml") || low.ends_with(".yml");
}

}  // namespace

Result<DataSpec> read_data_spec(const YamlNode& node, const std::string& folder) {
  if (!node.is_scalar()) return from_map(node, node.place(), folder);
  OCTET_ASSIGN(const std::string text, node.as_string());
  const bool file = names_yaml_file(text);
  Result<DataSpec> spec = load_data_spec(file ? beside(folder, text) : text);
  if (!spec.is_ok()) return spec.status().at(node.place());
  if (!file) place_beside(folder, &*spec);
  return spec;
}

Result<DataSpec> load_data_spec(const std::string& text) {
  if (names_yaml_file(text)) return from_yaml(text);
  const size_t colon = text.find(':');
  Result<DataKind> kind = data_kind_from_name(text.substr(0, colon));
  if (colon == std::string::npos || !kind.is_ok()) return not_a_spec(text);
  Result<DataSpec> spec = from_inline(*kind, text.substr(colon + 1)).at("data '" + text + "'");
  if (spec.is_ok()) spec->source = text;
  return spec;
}

}  // namespace octet
