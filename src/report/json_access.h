// Reading documents that people edit and other programs write: what is missing or of another kind counts as absent.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace octet::report {

using Json = nlohmann::ordered_json;  // what the page gets: keys in the order of writing
using Document = nlohmann::json;      // what was read

inline const Document& at(const Document& j, const std::string& key) {
  static const Document kNothing;
  if (!j.is_object()) return kNothing;
  const auto it = j.find(key);
  return it == j.end() ? kNothing : *it;
}

inline std::string text_of(const Document& j, const std::string& key) {
  const Document& v = at(j, key);
  return v.is_string() ? v.get<std::string>() : std::string();
}

inline std::optional<double> number_of(const Document& j) {
  if (!j.is_number()) return std::nullopt;
  const double x = j.get<double>();
  return std::isfinite(x) ? std::optional(x) : std::nullopt;
}
inline std::optional<double> number_of(const Document& j, const std::string& key) { return number_of(at(j, key)); }

// A number counts as a list of one; what is no number becomes 0.
inline std::vector<double> numbers_of(const Document& j, const std::string& key) {
  const Document& v = at(j, key);
  std::vector<double> list;
  if (v.is_number()) list.push_back(number_of(v).value_or(0));
  if (v.is_array())
    for (const Document& x : v) list.push_back(number_of(x).value_or(0));
  return list;
}

inline std::vector<std::string> texts_of(const Document& j, const std::string& key) {
  std::vector<std::string> list;
  for (const Document& v : at(j, key))
    if (v.is_string()) list.push_back(v.get<std::string>());
  return list;
}

// The number with so many significant digits: half the size of a page is digits that nobody sees.
double rounded(double x, int digits = 5);

inline Json json_of(const std::optional<double>& x) { return x ? Json(rounded(*x, 6)) : Json(); }

}  // namespace octet::report
