// Whole-file reads with a limit, and writes that never leave half a file behind.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "octet/status.h"

namespace octet {

// Reads a regular file or a pipe of at most `limit` bytes. Errors name the path.
Result<std::string> read_file(const std::string& path, int64_t limit = int64_t{8} << 30);

// A file that appears under its name only when commit() is called, and leaves nothing behind without it. What is not
// a regular file (a pipe, a device) cannot be replaced and is written directly. A link stays a link: the file that it
// leads to is replaced. A new file gets the permissions that the process gives to new files, a replaced one keeps
// its.
class PendingFile {
 public:
  static Result<PendingFile> create(const std::string& path);
  PendingFile(PendingFile&& other) noexcept;
  PendingFile& operator=(PendingFile&&) = delete;
  ~PendingFile();

  // Offsets must not decrease when the file is a pipe; gaps become zeros.
  Status write_at(int64_t offset, std::string_view bytes);
  Status flush();
  Status commit();

 private:
  PendingFile() = default;
  Status failure() const;

  std::string path_;       // as given, for messages
  std::string target_;     // behind links
  std::string temporary_;  // empty: written directly
  int descriptor_ = -1;
  int64_t position_ = 0;  // of a direct file
};

// Several files that belong together: all are complete on disk before the first gets its name.
class PendingFiles {
 public:
  Status add(const std::string& path, std::string_view bytes);
  void add(PendingFile file) { files_.push_back(std::move(file)); }
  Status commit();  // in the order of add()

 private:
  std::vector<PendingFile> files_;
};

// One PendingFile, written, flushed and committed: the target is either the old file or the complete new one.
Status write_file_atomically(const std::string& path, std::string_view bytes);

// Creates the folder and its parents.
Status make_directories(const std::string& path);

}  // namespace octet
