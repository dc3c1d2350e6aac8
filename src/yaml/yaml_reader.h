// Strict reading of YAML: every error names file and line, an unknown key is an error with near misses.
//
// yaml-cpp stays behind this door: its exceptions never leave, its headers are not included by others.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "octet/status.h"

namespace octet {

// One YAML value with its place. Cheap to copy.
class YamlNode {
 public:
  enum class Kind { kNull, kScalar, kSequence, kMap };

  Kind kind() const { return kind_; }
  bool is_null() const { return kind_ == Kind::kNull; }
  bool is_scalar() const { return kind_ == Kind::kScalar; }
  bool is_sequence() const { return kind_ == Kind::kSequence; }
  bool is_map() const { return kind_ == Kind::kMap; }
  // "recipe.yaml:12"
  std::string place() const;
  Status error(const std::string& sentence) const;  // kInvalidArgument with the place in front

  // Typed reads; a value of another kind gives an error that quotes it.
  Result<std::string> as_string() const;
  Result<bool> as_bool() const;     // true/false/yes/no/on/off
  Result<int64_t> as_int() const;
  Result<double> as_double() const;  // finite
  Result<std::vector<YamlNode>> as_sequence() const;
  Result<std::vector<std::string>> as_strings() const;  // a scalar counts as a list of one
  Result<std::vector<double>> as_doubles() const;       // a scalar counts as a list of one

  // Pairs in file order; duplicate keys are reported when the document is parsed.
  const std::vector<std::pair<std::string, YamlNode>>& entries() const { return entries_; }
  const std::vector<YamlNode>& items() const { return items_; }

 private:
  friend class YamlBuilder;
  Kind kind_ = Kind::kNull;
  std::string scalar_;
  bool quoted_ = false;
  std::vector<YamlNode> items_;
  std::vector<std::pair<std::string, YamlNode>> entries_;
  std::shared_ptr<const std::string> source_;
  int line_ = 0;  // counted from 1
};

// Reads the keys of one map and, in finish(), refuses those that nobody asked for.
//
//   OCTET_ASSIGN(YamlMap map, YamlMap::open(node, "calib_params"));
//   OCTET_RETURN_IF_ERROR(map.read("percentile", &options.percentile));
//   OCTET_RETURN_IF_ERROR(map.finish());
class YamlMap {
 public:
  static Result<YamlMap> open(const YamlNode& node, std::string what);
  // nullptr when absent; marks the key as known either way.
  const YamlNode* find(const std::string& key);
  // Leaves *out alone when the key is absent or null.
  Status read(const std::string& key, std::string* out);
  Status read(const std::string& key, bool* out);
  Status read(const std::string& key, int64_t* out);
  Status read(const std::string& key, int* out);
  Status read(const std::string& key, double* out);
  Status read(const std::string& key, std::vector<std::string>* out);
  Status read(const std::string& key, std::vector<double>* out);
  Status finish() const;
  const YamlNode& node() const { return node_; }

 private:
  YamlNode node_;
  std::string what_;
  std::set<std::string> known_;
};

// `source` is the name used in error places. Documents over 4 MiB, 64 levels or 200,000 nodes are refused.
Result<YamlNode> parse_yaml(const std::string& text, const std::string& source);
Result<YamlNode> load_yaml(const std::string& path);

}  // namespace octet
