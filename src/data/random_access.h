// A stretch of a file that several threads read at any place with pread(); nothing of it is kept in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "octet/status.h"

namespace octet {

class FileHandle {
 public:
  FileHandle(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  FileHandle(const FileHandle&) = delete;
  FileHandle& operator=(const FileHandle&) = delete;
  ~FileHandle();
  int fd() const { return fd_; }
  const std::string& path() const { return path_; }

 private:
  int fd_;
  std::string path_;
};

class ByteWindow {
 public:
  static Result<ByteWindow> open(const std::string& path);
  ByteWindow(std::shared_ptr<const FileHandle> file, int64_t offset, int64_t length)
      : file_(std::move(file)), offset_(offset), length_(length) {}

  int64_t length() const { return length_; }
  const std::string& path() const { return file_->path(); }
  // A window inside this one; kDataCorrupt when it sticks out.
  Result<ByteWindow> part(int64_t offset, int64_t length) const;
  // Exactly n bytes from `at`; kDataCorrupt when the window ends before.
  Status read(int64_t at, void* dst, int64_t n) const;

 private:
  std::shared_ptr<const FileHandle> file_;
  int64_t offset_ = 0;
  int64_t length_ = 0;
};

// An already unlinked file in the system's folder for temporary files: it disappears with its last handle.
Result<std::shared_ptr<const FileHandle>> make_spool_file(const std::string& for_path);

}  // namespace octet
