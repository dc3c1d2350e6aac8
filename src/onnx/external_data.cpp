#include "onnx/external_data.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <optional>

namespace octet {
namespace {

namespace fs = std::filesystem;

// Weights are shared by a few tensors at most; a file read over and over is an attempt to exhaust memory.
constexpr int64_t kMaxReuse = 4;

std::optional<int64_t> parse_count(const std::string& text) {
  int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size() || n < 0) return std::nullopt;
  return n;
}

bool lies_within(const fs::path& file, const fs::path& folder) {
  auto at = file.begin();
  for (const fs::path& part : folder) {
    if (at == file.end() || *at != part) return false;
    ++at;
  }
  return at != file.end();
}

std::string entry(const onnx::TensorProto& proto, const std::string& key) {
  for (const auto& pair : proto.external_data())
    if (pair.key() == key) return pair.value();
  return {};
}

}  // namespace

ExternalReader::~ExternalReader() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Status ExternalReader::open(const onnx::TensorProto& proto, int64_t bytes) {
  const std::string location = entry(proto, "location");
  if (location.empty()) return data_corrupt("its data is external, but no file is named");
  if (folder_.empty())
    return invalid_argument("its data is in the file " + in_quotes(location) +
                            ", which can be read only when the model is loaded by its path");
  if (location != location_ || descriptor_ < 0) OCTET_RETURN_IF_ERROR(open_file(location));
  return check_range(proto, bytes);
}

Status ExternalReader::open_file(const std::string& location) {
  const std::string what = "external data file " + in_quotes(location);
  const fs::path relative(location);
  if (location.find('\0') != std::string::npos || relative.is_absolute())
    return data_corrupt(what + " is not named relative to the model's folder");
  for (const fs::path& part : relative)
    if (part == "..") return data_corrupt(what + " leads out of the model's folder");
  std::error_code error;
  const fs::path folder = fs::canonical(folder_, error);
  if (error) return io_error("cannot open the model's folder: " + error.message());
  const fs::path file = fs::canonical(folder / relative, error);
  if (error == std::errc::no_such_file_or_directory) return not_found(what + " does not exist beside the model");
  if (error) return io_error("cannot open " + what + ": " + error.message());
  if (!lies_within(file, folder)) return data_corrupt(what + " is a link that leads out of the model's folder");

  if (descriptor_ >= 0) ::close(descriptor_);
  location_ = location;
  // Non-blocking, so that a pipe in the model's folder cannot make the open wait for a writer.
  descriptor_ = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (descriptor_ < 0) return io_error("cannot open " + what + ": " + std::strerror(errno));
  struct stat info {};
  if (::fstat(descriptor_, &info) != 0) return io_error("cannot read " + what + ": " + std::strerror(errno));
  if (!S_ISREG(info.st_mode)) return data_corrupt(what + " is not a regular file");
  files_[location].size = info.st_size;
  return Status::ok();
}

Status ExternalReader::check_range(const onnx::TensorProto& proto, int64_t bytes) {
  const std::string offset_text = entry(proto, "offset");
  const std::string length_text = entry(proto, "length");
  const std::optional<int64_t> offset = offset_text.empty() ? 0 : parse_count(offset_text);
  const std::optional<int64_t> length = length_text.empty() ? bytes : parse_count(length_text);
  if (!offset || !length)
    return data_corrupt("offset " + in_quotes(offset_text) + " or length " + in_quotes(length_text) +
                        " of its external data is not a byte count");
  if (*length != bytes)
    return data_corrupt("its shape needs " + std::to_string(bytes) + " bytes, but its external data has " +
                        std::to_string(*length));
  File& file = files_[location_];
  if (*offset > file.size || bytes > file.size - *offset)
    return data_corrupt("its external data ends at byte " +
                        std::to_string(static_cast<uint64_t>(*offset) + static_cast<uint64_t>(bytes)) + " of " +
                        in_quotes(location_) + ", which has only " + std::to_string(file.size));
  if (bytes > kMaxReuse * file.size - file.taken)
    return resource_limit("the tensors claim the bytes of " + in_quotes(location_) + " more than " +
                          std::to_string(kMaxReuse) + " times over");
  file.taken += bytes;
  offset_ = *offset;
  length_ = bytes;
  return Status::ok();
}

Status ExternalReader::read(void* dst) {
  auto* at = static_cast<char*>(dst);
  int64_t done = 0;
  while (done < length_) {
    const ssize_t n = ::pread(descriptor_, at + done, static_cast<size_t>(length_ - done), offset_ + done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return io_error("cannot read " + in_quotes(location_) + ": " + std::strerror(errno));
    if (n == 0) return data_corrupt(in_quotes(location_) + " became shorter while it was read");
    done += n;
  }
  return Status::ok();
}

}  // namespace octet
