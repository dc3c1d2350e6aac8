#include "search/saved_state.h"

#include <cmath>
#include <filesystem>
#include <limits>

#include "base/files.h"
#include "engine/checksum.h"
#include "quantization/json_text.h"

namespace octet {
namespace {

constexpr const char* kFormat = "octet-state";

nlohmann::json json_of(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

std::optional<double> number_of(const nlohmann::json& value) {
  if (value.is_number()) return value.get<double>();
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  if (value == "inf") return kInfinity;
  if (value == "-inf") return -kInfinity;
  if (value == "nan") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

}  // namespace

Result<SavedState> SavedState::open(const std::string& folder, const std::string& file, const std::string& key) {
  SavedState state;
  state.key_ = key;
  if (folder.empty()) return state;
  state.path_ = folder + "/" + file;
  std::error_code error;
  if (!std::filesystem::exists(state.path_, error)) return state;
  OCTET_ASSIGN(const std::string text, read_file(state.path_, int64_t{1} << 30));
  OCTET_ASSIGN(const nlohmann::json root, parse_json(text, state.path_));
  const auto broken = [&] {
    return data_corrupt("this is not the state of an interrupted job; delete the file to begin anew").at(state.path_);
  };
  if (!root.is_object() || root.value("format", nlohmann::json()) != kFormat || !root.contains("figures") ||
      !root["figures"].is_object() || !root.contains("texts") || !root["texts"].is_object())
    return broken();
  if (root.value("key", nlohmann::json()) != key) return state;
  for (const auto& [name, figures] : root["figures"].items()) {
    if (!figures.is_object()) return broken();
    for (const auto& [figure, value] : figures.items()) {
      const std::optional<double> number = number_of(value);
      if (!number) return broken();
      state.figures_[name][figure] = *number;
    }
  }
  for (const auto& [name, value] : root["texts"].items()) {
    if (!value.is_string()) return broken();
    state.texts_[name] = value.get<std::string>();
  }
  return state;
}

std::optional<double> SavedState::find(const std::string& name, const std::string& figure) const {
  const auto it = figures_.find(name);
  if (it == figures_.end()) return std::nullopt;
  const auto value = it->second.find(figure);
  return value == it->second.end() ? std::nullopt : std::optional(value->second);
}

void SavedState::set(const std::string& name, const std::string& figure, double value) {
  figures_[name][figure] = value;
}

std::optional<std::string> SavedState::find_text(const std::string& name) const {
  const auto it = texts_.find(name);
  return it == texts_.end() ? std::nullopt : std::optional(it->second);
}

Status SavedState::save() const {
  if (path_.empty()) return Status::ok();
  nlohmann::ordered_json root;
  root["format"] = kFormat;
  root["key"] = key_;
  root["figures"] = nlohmann::ordered_json::object();
  for (const auto& [name, figures] : figures_)
    for (const auto& [figure, value] : figures) root["figures"][name][figure] = json_of(value);
  root["texts"] = nlohmann::ordered_json::object();
  for (const auto& [name, text] : texts_) root["texts"][name] = text;
  return write_file_atomically(path_, root.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

std::string digest(const std::string& text) {
  constexpr char kDigits[] = "0123456789abcdef";
  const uint64_t sum = engine::checksum(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  std::string digits;
  for (int shift = 60; shift >= 0; shift -= 4) digits += kDigits[(sum >> shift) & 15];
  return digits;
}

}  // namespace octet
