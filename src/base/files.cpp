#include "base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <utility>

namespace octet {
namespace {

namespace fs = std::filesystem;

std::string reason() { return std::strerror(errno); }

// Closes on every path out.
struct FileDescriptor {
  int fd = -1;
  ~FileDescriptor() {
    if (fd >= 0) ::close(fd);
  }
};

Status too_large(const std::string& path, const std::string& bytes, int64_t limit) {
  return resource_limit("'" + path + "' has " + bytes + " bytes, more than the limit of " + std::to_string(limit));
}

// A pipe does not tell its size.
Result<std::string> read_pipe(int fd, const std::string& path, int64_t limit) {
  std::string bytes;
  char chunk[1 << 16];
  for (;;) {
    const ssize_t n = ::read(fd, chunk, sizeof chunk);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("cannot read '" + path + "': " + reason());
    if (n == 0) return bytes;
    if (static_cast<int64_t>(bytes.size()) + n > limit)
      return too_large(path, "at least " + std::to_string(bytes.size() + static_cast<size_t>(n)), limit);
    bytes.append(chunk, static_cast<size_t>(n));
  }
}

// Where a chain of links ends, whether or not something is there.
std::string behind_links(const std::string& path) {
  fs::path at = path;
  std::error_code error;
  for (int links = 0; links < 40 && fs::is_symlink(at, error); ++links) {
    const fs::path to = fs::read_symlink(at, error);
    if (error) break;
    at = to.is_absolute() ? to : at.parent_path() / to;
  }
  return at.string();
}

// Like mkstemp, but with the permissions of a new file.
int create_beside(const std::string& target, std::string* name) {
  static constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device random;
  for (int attempt = 0; attempt < 100; ++attempt) {
    *name = target + ".tmp-";
    for (int i = 0; i < 8; ++i) *name += kLetters[random() % (sizeof kLetters - 1)];
    const int fd = ::open(name->c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd >= 0 || errno != EEXIST) return fd;
  }
  return -1;
}

// A new name survives a power cut only when its folder is on disk. Not every file system can do it.
Status flush_folder_of(const std::string& path) {
  const std::string folder = fs::path(path).parent_path().string();
  const FileDescriptor file{::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (file.fd >= 0 && ::fsync(file.fd) != 0 && errno == EIO) return io_error(reason());
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
  if (S_ISFIFO(info.st_mode)) return read_pipe(file.fd, path, limit);
  if (!S_ISREG(info.st_mode)) return invalid_argument("'" + path + "' is neither a regular file nor a pipe");
  if (info.st_size > limit) return too_large(path, std::to_string(info.st_size), limit);
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

Result<PendingFile> PendingFile::create(const std::string& path) {
  PendingFile file;
  file.path_ = path;
  struct stat info {};
  const bool exists = ::stat(path.c_str(), &info) == 0;
  if (exists && !S_ISREG(info.st_mode)) {
    file.descriptor_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (file.descriptor_ < 0) return file.failure();
    return file;
  }
  file.target_ = behind_links(path);
  file.descriptor_ = create_beside(file.target_, &file.temporary_);
  if (file.descriptor_ < 0) return file.failure();
  if (exists) (void)::fchmod(file.descriptor_, info.st_mode & 07777);
  return file;
}

PendingFile::PendingFile(PendingFile&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      temporary_(std::move(other.temporary_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      position_(other.position_) {}

PendingFile::~PendingFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

Status PendingFile::failure() const { return io_error("cannot write '" + path_ + "': " + reason()); }

Status PendingFile::write_at(int64_t offset, std::string_view bytes) {
  const bool direct = temporary_.empty();
  if (direct && offset < position_) return internal_error("'" + path_ + "' can only be written front to back");
  if (direct && offset > position_) {
    const std::string zeros(static_cast<size_t>(std::min<int64_t>(offset - position_, 1 << 16)), '\0');
    while (position_ < offset)
      OCTET_RETURN_IF_ERROR(write_at(
          position_,
          std::string_view(zeros).substr(0, std::min(zeros.size(), static_cast<size_t>(offset - position_)))));
  }
  while (!bytes.empty()) {
    const ssize_t n = direct ? ::write(descriptor_, bytes.data(), bytes.size())
                             : ::pwrite(descriptor_, bytes.data(), bytes.size(), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failure();
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += n;
    if (direct) position_ = offset;
  }
  return Status::ok();
}

Status PendingFile::flush() {
  if (::fsync(descriptor_) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP) return failure();
  return Status::ok();
}

Status PendingFile::commit() {
  if (!temporary_.empty() && ::rename(temporary_.c_str(), target_.c_str()) != 0) return failure();
  if (::close(std::exchange(descriptor_, -1)) != 0 && errno != EINTR) return failure();
  if (temporary_.empty()) return Status::ok();
  return flush_folder_of(target_).at("cannot write '" + path_ + "'");
}

Status PendingFiles::add(const std::string& path, std::string_view bytes) {
  OCTET_ASSIGN(PendingFile file, PendingFile::create(path));
  OCTET_RETURN_IF_ERROR(file.write_at(0, bytes));
  OCTET_RETURN_IF_ERROR(file.flush());
  files_.push_back(std::move(file));
  return Status::ok();
}

Status PendingFiles::commit() {
  for (PendingFile& file : files_) OCTET_RETURN_IF_ERROR(file.commit());
  files_.clear();
  return Status::ok();
}

Status write_file_atomically(const std::string& path, std::string_view bytes) {
  PendingFiles files;
  OCTET_RETURN_IF_ERROR(files.add(path, bytes));
  return files.commit();
}

Status make_directories(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path, error))
    return io_error("cannot create the folder '" + path + "': " + (error ? error.message() : "a file is in the way"));
  return Status::ok();
}

}  // namespace octet
