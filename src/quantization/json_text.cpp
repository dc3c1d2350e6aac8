#include "quantization/json_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/text.h"

namespace octet {
namespace {

using Json = nlohmann::json;

template <class T, class ToText>
std::string list_text(const std::vector<T>& values, ToText to_text, bool single_bare) {
  if (single_bare && values.size() == 1) return to_text(values[0]);
  std::string text = "[";
  for (size_t i = 0; i < values.size(); ++i) text += (i == 0 ? "" : ", ") + to_text(values[i]);
  return text + "]";
}

template <class T>
std::string shortest(T value) {
  char buffer[64];
  const auto [end, code] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return code == std::errc() ? std::string(buffer, end) : std::string("0");
}

// Drops each comma that only white space separates from a closing bracket; text in quotes is left alone.
std::string without_trailing_commas(const std::string& text) {
  std::string out;
  out.reserve(text.size());
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\' && i + 1 < text.size()) {
      out += c;
      out += text[++i];
      continue;
    }
    if (c == '"') quoted = !quoted;
    if (c == ',' && !quoted) {
      const size_t next = text.find_first_not_of(" \t\r\n", i + 1);
      if (next != std::string::npos && (text[next] == '}' || text[next] == ']')) continue;
    }
    out += c;
  }
  return out;
}

size_t line_of(const std::string& text, size_t byte) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(byte, text.size()));
  return 1 + static_cast<size_t>(std::count(text.begin(), end, '\n'));
}

}  // namespace

std::string json_quote(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string json_number(double value) { return std::isfinite(value) ? shortest(value) : "null"; }

std::string json_number(float value) {
  if (!std::isfinite(value)) return "null";
  // Readers go through double; should the shortest float text lose a bit there, the double's text is used.
  const std::string text = shortest(value);
  double wide = 0;
  std::from_chars(text.data(), text.data() + text.size(), wide);
  return static_cast<float>(wide) == value ? text : shortest(static_cast<double>(value));
}

JsonLine& JsonLine::raw(const std::string& key, const std::string& value) {
  body_ += (body_.empty() ? "" : ", ") + json_quote(key) + ": " + value;
  return *this;
}
JsonLine& JsonLine::add(const std::string& key, const std::string& text) { return raw(key, json_quote(text)); }
JsonLine& JsonLine::add(const std::string& key, int64_t number) { return raw(key, std::to_string(number)); }
JsonLine& JsonLine::add(const std::string& key, double number) { return raw(key, json_number(number)); }
JsonLine& JsonLine::add(const std::string& key, bool value) { return raw(key, value ? "true" : "false"); }
JsonLine& JsonLine::add(const std::string& key, const std::vector<float>& values) {
  return raw(key, list_text(
                      values, [](float v) { return json_number(v); }, true));
}
JsonLine& JsonLine::add(const std::string& key, const std::vector<int32_t>& values) {
  return raw(key, list_text(
                      values, [](int32_t v) { return std::to_string(v); }, true));
}
JsonLine& JsonLine::add(const std::string& key, const std::vector<int64_t>& values) {
  return raw(key, list_text(
                      values, [](int64_t v) { return std::to_string(v); }, false));
}
JsonLine& JsonLine::add(const std::string& key, const std::vector<std::string>& values) {
  return raw(key, list_text(
                      values, [](const std::string& v) { return json_quote(v); }, false));
}

std::string json_block(const std::string& key, const std::vector<std::pair<std::string, std::string>>& lines) {
  std::string text = "  " + json_quote(key) + ": {\n";
  for (size_t i = 0; i < lines.size(); ++i)
    text += "    " + json_quote(lines[i].first) + ": " + lines[i].second + (i + 1 < lines.size() ? ",\n" : "\n");
  return text + "  }";
}

Result<Json> parse_json(const std::string& text, const std::string& source) {
  const std::string clean = without_trailing_commas(text);
  std::vector<std::set<std::string>> open_objects;
  std::string twice;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) open_objects.emplace_back();
    if (event == Json::parse_event_t::object_end) open_objects.pop_back();
    if (event == Json::parse_event_t::key && !open_objects.back().insert(parsed.get<std::string>()).second)
      twice = parsed.get<std::string>();
    return true;
  };
  try {
    Json document = Json::parse(clean, watch);
    if (!twice.empty())
      return invalid_argument(source + ": the key '" + twice + "' is there twice; remove one of the lines");
    return document;
  } catch (const Json::parse_error& e) {
    return invalid_argument(source + ":" + std::to_string(line_of(clean, e.byte)) + ": this is not valid JSON");
  } catch (const std::exception& e) {
    return invalid_argument(source + ": this is not valid JSON (" + e.what() + ")");
  }
}

Result<JsonObject> JsonObject::open(const Json& value, std::string path) {
  if (!value.is_object()) return invalid_argument((path.empty() ? "/" : path) + ": expected an object { ... }");
  JsonObject object;
  object.value_ = &value;
  object.path_ = std::move(path);
  return object;
}

const Json* JsonObject::find(const std::string& key) {
  known_.push_back(key);
  const auto it = value_->find(key);
  return it == value_->end() ? nullptr : &*it;
}

Status JsonObject::error(const std::string& key, const std::string& sentence) const {
  return invalid_argument(path_ + "/" + key + ": " + sentence);
}

Status JsonObject::read(const std::string& key, std::string* out) {
  const Json* v = find(key);
  if (v == nullptr) return Status::ok();
  if (!v->is_string()) return error(key, "expected text in quotes");
  *out = v->get<std::string>();
  return Status::ok();
}

Status JsonObject::read(const std::string& key, int64_t* out) {
  const Json* v = find(key);
  if (v == nullptr) return Status::ok();
  const bool too_large = v->is_number_unsigned() && v->get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
  if (!v->is_number_integer() || too_large) return error(key, "expected a whole number");
  *out = v->get<int64_t>();
  return Status::ok();
}

Status JsonObject::read(const std::string& key, int* out) {
  int64_t wide = *out;
  OCTET_RETURN_IF_ERROR(read(key, &wide));
  if (wide < INT32_MIN || wide > INT32_MAX) return error(key, "the number is too large");
  *out = static_cast<int>(wide);
  return Status::ok();
}

Status JsonObject::read(const std::string& key, double* out) {
  const Json* v = find(key);
  if (v == nullptr) return Status::ok();
  if (!v->is_number()) return error(key, "expected a number");
  *out = v->get<double>();
  return Status::ok();
}

Status JsonObject::read(const std::string& key, bool* out) {
  const Json* v = find(key);
  if (v == nullptr) return Status::ok();
  if (!v->is_boolean()) return error(key, "expected true or false");
  *out = v->get<bool>();
  return Status::ok();
}

Status JsonObject::read(const std::string& key, std::vector<float>* out) {
  const Json* v = find(key);
  if (v == nullptr) return Status::ok();
  const Json list = v->is_array() ? *v : Json::array({*v});
  out->clear();
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string at = v->is_array() ? key + "/" + std::to_string(i) : key;
    if (!list[i].is_number()) return error(at, "expected a number");
    const double number = list[i].get<double>();
    if (!(std::fabs(number) <= 3.4028234663852886e38)) return error(at, "the number does not fit in a float");
    out->push_back(static_cast<float>(number));
  }
  return Status::ok();
}

Status JsonObject::read(const std::string& key, std::vector<int32_t>* out) {
  const Json* v = find(key);
  if (v == nullptr) return Status::ok();
  const Json list = v->is_array() ? *v : Json::array({*v});
  out->clear();
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string at = v->is_array() ? key + "/" + std::to_string(i) : key;
    const bool whole = list[i].is_number_integer();
    if (!whole || list[i].get<double>() < INT32_MIN || list[i].get<double>() > INT32_MAX)
      return error(at, "expected a whole number of 32 bits");
    out->push_back(list[i].get<int32_t>());
  }
  return Status::ok();
}

Status JsonObject::read(const std::string& key, std::vector<std::string>* out) {
  const Json* v = find(key);
  if (v == nullptr) return Status::ok();
  if (!v->is_array()) return error(key, "expected a list of texts");
  out->clear();
  for (size_t i = 0; i < v->size(); ++i) {
    if (!(*v)[i].is_string()) return error(key + "/" + std::to_string(i), "expected text in quotes");
    out->push_back((*v)[i].get<std::string>());
  }
  return Status::ok();
}

Status JsonObject::finish() const {
  for (const auto& [key, ignored] : value_->items())
    if (std::find(known_.begin(), known_.end(), key) == known_.end())
      return error(key, "unknown key." + did_you_mean(key, known_));
  return Status::ok();
}

Status read_artifact_head(JsonObject& root, const std::string& format, std::string* network) {
  std::string found;
  int64_t version = 0;
  OCTET_RETURN_IF_ERROR(root.read("format", &found));
  OCTET_RETURN_IF_ERROR(root.read("version", &version));
  OCTET_RETURN_IF_ERROR(root.read("network", network));
  if (found != format) return root.error("format", "expected \"" + format + "\", got \"" + found + "\"");
  if (version != 1) return root.error("version", "this Octet reads version 1, not " + std::to_string(version));
  return Status::ok();
}

}  // namespace octet
