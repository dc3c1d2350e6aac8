// Writing and reading the artifacts: JSON laid out so that a person can delete a line.
//
// nlohmann's exceptions end in json_text.cpp and the two readers; its header is not included by others.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "octet/status.h"

namespace octet {

// {"key": value, ...} on one line, keys in the order given.
class JsonLine {
 public:
  JsonLine& add(const std::string& key, const std::string& text);
  JsonLine& add(const std::string& key, const char* text) { return add(key, std::string(text)); }
  JsonLine& add(const std::string& key, int64_t number);
  JsonLine& add(const std::string& key, double number);
  JsonLine& add(const std::string& key, bool value);
  JsonLine& add(const std::string& key, const std::vector<float>& values);  // one value without brackets
  JsonLine& add(const std::string& key, const std::vector<int32_t>& values);
  JsonLine& add(const std::string& key, const std::vector<int64_t>& values);  // always with brackets
  JsonLine& add(const std::string& key, const std::vector<std::string>& values);
  std::string text() const { return "{" + body_ + "}"; }

 private:
  JsonLine& raw(const std::string& key, const std::string& value);
  std::string body_;
};

std::string json_quote(const std::string& text);
// The shortest decimal that reads back as the same bits.
std::string json_number(float value);
std::string json_number(double value);
// "  key: {\n    line,\n    line\n  }"; names quoted.
std::string json_block(const std::string& key, const std::vector<std::pair<std::string, std::string>>& lines);

// Parses a whole document. Commas in front of } and ] are forgiven, a key that is there twice is not. Errors name source
// and line.
Result<nlohmann::json> parse_json(const std::string& text, const std::string& source);

// Reads the keys of one JSON object; finish() refuses keys that nobody asked for. Errors begin with the path.
class JsonObject {
 public:
  static Result<JsonObject> open(const nlohmann::json& value, std::string path);
  const nlohmann::json* find(const std::string& key);
  // Leaves *out alone when the key is absent.
  Status read(const std::string& key, std::string* out);
  Status read(const std::string& key, int64_t* out);
  Status read(const std::string& key, int* out);
  Status read(const std::string& key, double* out);
  Status read(const std::string& key, bool* out);
  Status read(const std::string& key, std::vector<float>* out);  // a number counts as a list of one
  Status read(const std::string& key, std::vector<int32_t>* out);
  Status read(const std::string& key, std::vector<std::string>* out);
  Status finish() const;
  Status error(const std::string& key, const std::string& sentence) const;
  const std::string& path() const { return path_; }
  const nlohmann::json& value() const { return *value_; }

 private:
  const nlohmann::json* value_ = nullptr;
  std::string path_;
  std::vector<std::string> known_;
};

// Checks "format" and "version" of an artifact and reads its "network".
Status read_artifact_head(JsonObject& root, const std::string& format, std::string* network);

}  // namespace octet
