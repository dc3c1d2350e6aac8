#include "base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace octet {
namespace {

std::string reason() { return std::strerror(errno); }

// Closes on every path out.
struct FileDescriptor {
  int fd = -1;
  ~FileDescriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Status write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error(reason());
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (::fsync(fd) != 0 && errno != EINVAL && errno != EROFS) return io_error(reason());
  return Status::ok();
}

}  // namespace

Result<std::string> read_file(const std::string& path, int64_t limit) {
  FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) {
    if (errno == ENOENT) return not_found("there is no file '" + path + "'");
    return io_error("cannot open '" + path + "': " + reason());
  }
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) return io_error("cannot read '" + path + "': " + reason());
  if (!S_ISREG(info.st_mode)) return invalid_argument("'" + path + "' is not a regular file");
  if (info.st_size > limit)
    return resource_limit("'" + path + "' has " + std::to_string(info.st_size) + " bytes, more than the limit of " +
                          std::to_string(limit));
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::read(file.fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("cannot read '" + path + "': " + reason());
    if (n == 0) return data_corrupt("'" + path + "' became shorter while it was read");
    done += static_cast<size_t>(n);
  }
  return bytes;
}

Status write_file_atomically(const std::string& path, std::string_view bytes) {
  std::string temporary = path + ".tmp-XXXXXX";
  FileDescriptor file{::mkstemp(temporary.data())};
  if (file.fd < 0) return io_error("cannot write '" + path + "': " + reason());
  ::fchmod(file.fd, 0644);
  Status written = write_all(file.fd, bytes);
  if (written.is_ok() && ::rename(temporary.c_str(), path.c_str()) != 0) written = io_error(reason());
  if (!written.is_ok()) {
    ::unlink(temporary.c_str());
    return written.at("cannot write '" + path + "'");
  }
  return Status::ok();
}

Status make_directories(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error || !std::filesystem::is_directory(path, error))
    return io_error("cannot create the folder '" + path + "': " + (error ? error.message() : "a file is in the way"));
  return Status::ok();
}

}  // namespace octet
