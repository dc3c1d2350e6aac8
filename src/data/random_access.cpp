#include "data/random_access.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace octet {

FileHandle::~FileHandle() {
  if (fd_ >= 0) ::close(fd_);
}

Result<ByteWindow> ByteWindow::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return not_found("there is no file '" + path + "'");
  if (fd < 0) return io_error("cannot open '" + path + "': " + std::strerror(errno));
  auto file = std::make_shared<const FileHandle>(fd, path);
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
    return invalid_argument("'" + path + "' is not a regular file");
  return ByteWindow(std::move(file), 0, info.st_size);
}

Result<ByteWindow> ByteWindow::part(int64_t offset, int64_t length) const {
  if (offset < 0 || length < 0 || offset > length_ || length > length_ - offset)
    return data_corrupt("'" + path() + "' is truncated or damaged: it points outside of itself");
  return ByteWindow(file_, offset_ + offset, length);
}

Status ByteWindow::read(int64_t at, void* dst, int64_t n) const {
  if (at < 0 || n < 0 || at > length_ || n > length_ - at) return data_corrupt("'" + path() + "' is truncated");
  auto* out = static_cast<char*>(dst);
  while (n > 0) {
    const ssize_t got = ::pread(file_->fd(), out, static_cast<size_t>(n), offset_ + at);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return io_error("cannot read '" + path() + "': " + std::strerror(errno));
    if (got == 0) return data_corrupt("'" + path() + "' became shorter while it was read");
    out += got;
    at += got;
    n -= got;
  }
  return Status::ok();
}

Result<std::shared_ptr<const FileHandle>> make_spool_file(const std::string& for_path) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  std::string name = (error ? std::string("/tmp") : folder.string()) + "/octet-spool-XXXXXX";
  const int fd = ::mkstemp(name.data());
  if (fd < 0)
    return io_error("cannot create a temporary file '" + name + "': " + std::strerror(errno) +
                    "; point TMPDIR to a folder with space");
  ::unlink(name.c_str());
  return std::make_shared<const FileHandle>(fd, for_path);
}

}  // namespace octet
