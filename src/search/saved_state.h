// What a long job has done so far, in its output folder: figures by name, valid for one job only.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "octet/status.h"

namespace octet {

// Numbers survive the file bit for bit, infinities included.
class SavedState {
 public:
  // Empty when the folder is empty (nothing is ever saved then), when there is no file, and when the file is of a job
  // with another key. kDataCorrupt: the file is no such state.
  static Result<SavedState> open(const std::string& folder, const std::string& file, const std::string& key);

  std::optional<double> find(const std::string& name, const std::string& figure) const;
  void set(const std::string& name, const std::string& figure, double value);
  std::optional<std::string> find_text(const std::string& name) const;
  void set_text(const std::string& name, const std::string& text) { texts_[name] = text; }
  // Atomically: an interrupted save leaves the state before.
  Status save() const;

 private:
  std::string path_, key_;
  std::map<std::string, std::map<std::string, double>> figures_;
  std::map<std::string, std::string> texts_;
};

// 16 hexadecimal digits over the text.
std::string digest(const std::string& text);

}  // namespace octet
