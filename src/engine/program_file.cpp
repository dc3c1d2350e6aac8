#include "engine/program_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/files.h"
#include "engine/checksum.h"
#include "engine/program.h"
#include "kernels/cpu/features.h"

namespace octet::engine {
namespace {

constexpr char kMagic[8] = {'\x8f', 'O', 'C', 'T', 'E', 'T', '\r', '\n'};

uint64_t round_up(uint64_t n, uint64_t unit) { return (n + unit - 1) / unit * unit; }

uint64_t header_checksum(const FileHeader& header) {
  return checksum(reinterpret_cast<const uint8_t*>(&header), offsetof(FileHeader, header_checksum));
}

// Appends the tensors of islands to what becomes the data part after the constants.
class DataPart final : public TensorSink {
 public:
  uint64_t put(const Tensor& tensor) override {
    bytes_.resize(round_up(bytes_.size(), kBlobAlignment), '\0');
    const uint64_t offset = bytes_.size();
    bytes_.append(static_cast<const char*>(tensor.raw()), static_cast<size_t>(tensor.nbytes()));
    return offset;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

class MappedTensors final : public TensorSource {
 public:
  MappedTensors(std::span<const uint8_t> bytes, std::shared_ptr<const void> keep_alive)
      : bytes_(bytes), keep_alive_(std::const_pointer_cast<void>(std::move(keep_alive))) {}

  Tensor get(DType dtype, const Dims& dims, uint64_t offset, uint64_t bytes) override {
    if (offset % kBlobAlignment != 0 || offset > bytes_.size() || bytes > bytes_.size() - offset) return {};
    // Nobody writes to constants: whoever wants to overwrite a tensor asks unique(), and the program holds the owner.
    return Tensor(dtype, dims, const_cast<uint8_t*>(bytes_.data()) + offset, keep_alive_);
  }

 private:
  std::span<const uint8_t> bytes_;
  std::shared_ptr<void> keep_alive_;
};

Status damaged(const std::string& part) {
  return data_corrupt("the file is damaged: " + part + "; copy or compile it again");
}

std::string version_of(const FileHeader& header) {
  std::string version(header.octet_version, strnlen(header.octet_version, sizeof(header.octet_version)));
  std::replace_if(
      version.begin(), version.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return version;
}

Status check_machine(const FileHeader& header) {
  if (header.format_version > kFormatVersion)
    return unsupported("the file was written by Octet " + version_of(header) + " in format " +
                       std::to_string(header.format_version) + ", and this Octet reads formats up to " +
                       std::to_string(kFormatVersion) + ": update Octet, or compile the network again with this one");
  if (header.format_version < kFormatVersion)
    return unsupported("the file was written by Octet " + version_of(header) + " in the older format " +
                       std::to_string(header.format_version) + ": compile the network again with this Octet");
  if (const uint32_t missing = header.features & ~cpu::cpu_features(); missing != 0)
    return unsupported("the file was compiled for a CPU with " + cpu::features_to_string(missing) +
                       ", which this one lacks: compile it again on this machine");
  return Status::ok();
}

Status read_header(std::span<const uint8_t> bytes, FileHeader& header) {
  const size_t seen = std::min(bytes.size(), sizeof(kMagic));
  if (bytes.empty() || std::memcmp(bytes.data(), kMagic, seen) != 0)
    return data_corrupt("this is not an .octet file");
  if (bytes.size() < sizeof(FileHeader)) return damaged("it ends inside its header");
  std::memcpy(&header, bytes.data(), sizeof(FileHeader));
  if (header.header_checksum != header_checksum(header)) return damaged("its header has the wrong checksum");
  OCTET_RETURN_IF_ERROR(check_machine(header));
  if (bytes.size() < header.file_bytes)
    return damaged("it has " + std::to_string(bytes.size()) + " of " + std::to_string(header.file_bytes) + " bytes");
  if (bytes.size() > header.file_bytes) return damaged("it goes on after its end");
  return Status::ok();
}

// Program after the header, then the data part up to the end; nothing overlaps and every sum is free of overflow.
Status check_extents(const FileHeader& h) {
  const uint64_t end = h.file_bytes;
  const bool program_fits =
      h.program_offset == sizeof(FileHeader) && h.program_offset <= end && h.program_bytes <= end - h.program_offset;
  if (!program_fits || h.data_offset % kDataAlignment != 0 || h.data_offset > end ||
      h.data_offset < h.program_offset + h.program_bytes)
    return damaged("its parts lie outside of it");
  const uint64_t data = end - h.data_offset;
  const uint64_t slack = static_cast<uint64_t>(cpu::kReadSlack);
  if (data < slack || h.constants_bytes > data - slack || h.tensors_bytes > data - slack - h.constants_bytes ||
      h.constants_bytes % kBlobAlignment != 0)
    return damaged("its constants lie outside of it");
  return Status::ok();
}

// Unmaps with the last program that uses it.
struct Mapping {
  void* data = MAP_FAILED;
  size_t size = 0;
  ~Mapping() {
    if (data != MAP_FAILED) ::munmap(data, size);
  }
};

struct AlignedDelete {
  void operator()(const void* p) const { std::free(const_cast<void*>(p)); }
};

Status describe_errno(const std::string& path) {
  const int error = errno;
  if (error == ENOENT) return not_found("there is no file '" + path + "'");
  return io_error("cannot read '" + path + "': " + std::strerror(error));
}

Result<std::shared_ptr<Mapping>> map_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return describe_errno(path);
  auto mapping = std::make_shared<Mapping>();
  struct stat info {};
  Status status;
  if (::fstat(fd, &info) != 0) status = describe_errno(path);
  else if (!S_ISREG(info.st_mode)) status = invalid_argument("'" + path + "' is not a regular file");
  else if (info.st_size == 0) status = data_corrupt("'" + path + "' is empty");
  if (status.is_ok()) {
    mapping->size = static_cast<size_t>(info.st_size);
    mapping->data = ::mmap(nullptr, mapping->size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (mapping->data == MAP_FAILED) status = describe_errno(path);
  }
  ::close(fd);
  if (!status.is_ok()) return status;
  return mapping;
}

}  // namespace

std::string serialize_program(const Program& program) {
  DataPart tensors;
  const std::string body = encode_program(program, tensors);
  FileHeader header{};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.format_version = kFormatVersion;
  header.features = program.features;
  std::strncpy(header.octet_version, OCTET_VERSION, sizeof(header.octet_version) - 1);
  header.program_offset = sizeof(FileHeader);
  header.program_bytes = body.size();
  header.data_offset = round_up(sizeof(FileHeader) + body.size(), kDataAlignment);
  header.constants_bytes = round_up(program.constants.size(), kBlobAlignment);
  header.tensors_bytes = tensors.bytes().size();
  header.file_bytes = round_up(header.data_offset + header.constants_bytes + header.tensors_bytes, kBlobAlignment) +
                      static_cast<uint64_t>(cpu::kReadSlack);
  std::string file;
  file.reserve(header.file_bytes);
  file.resize(sizeof(FileHeader));
  file += body;
  file.resize(header.data_offset, '\0');
  file.append(reinterpret_cast<const char*>(program.constants.data()), program.constants.size());
  file.resize(header.data_offset + header.constants_bytes, '\0');
  file += tensors.bytes();
  file.resize(header.file_bytes, '\0');
  std::memcpy(file.data(), &header, sizeof(header));
  set_checksums(file);
  return file;
}

void set_checksums(std::string& file) {
  FileHeader header{};
  if (file.size() < sizeof(header)) return;
  std::memcpy(&header, file.data(), sizeof(header));
  const auto part = [&](uint64_t offset, uint64_t bytes) {
    const auto* data = reinterpret_cast<const uint8_t*>(file.data());
    return offset <= file.size() && bytes <= file.size() - offset ? checksum(data + offset, bytes) : 0;
  };
  header.program_checksum = part(header.program_offset, header.program_bytes);
  header.data_checksum = part(header.data_offset, header.file_bytes - header.data_offset);
  header.header_checksum = header_checksum(header);
  std::memcpy(file.data(), &header, sizeof(header));
}

Status save_program(const Program& program, const std::string& path) {
  OCTET_RETURN_IF_ERROR(verify_program(program, program.features));  // it may be for another CPU
  return write_file_atomically(path, serialize_program(program));
}

Result<Program> parse_program(std::span<const uint8_t> bytes, std::shared_ptr<const void> keep_alive) {
  FileHeader header{};
  OCTET_RETURN_IF_ERROR(read_header(bytes, header));
  OCTET_RETURN_IF_ERROR(check_extents(header));
  const std::span<const uint8_t> body = bytes.subspan(header.program_offset, header.program_bytes);
  std::span<const uint8_t> data = bytes.subspan(header.data_offset);
  if (header.program_checksum != checksum(body.data(), body.size()))
    return damaged("the list of operations has the wrong checksum");
  if (header.data_checksum != checksum(data.data(), data.size()))
    return damaged("the constants have the wrong checksum");
  if (reinterpret_cast<uintptr_t>(data.data()) % kBlobAlignment != 0 || keep_alive == nullptr) {
    auto* copy = static_cast<uint8_t*>(std::aligned_alloc(kBlobAlignment, round_up(data.size(), kBlobAlignment)));
    if (copy == nullptr) return resource_limit("not enough memory for the constants of the network");
    std::memcpy(copy, data.data(), data.size());
    keep_alive = std::shared_ptr<const void>(copy, AlignedDelete{});
    data = {copy, data.size()};
  }
  Program program;
  program.features = header.features;
  program.constants = data.subspan(0, header.constants_bytes);
  program.keep_alive = keep_alive;
  MappedTensors tensors(data.subspan(header.constants_bytes, header.tensors_bytes), keep_alive);
  if (!decode_program(body, tensors, program)) return damaged("its list of operations makes no sense");
  OCTET_RETURN_IF_ERROR(verify_program(program));
  return program;
}

Result<Program> load_program(const std::string& path) {
  OCTET_ASSIGN(const std::shared_ptr<Mapping> mapping, map_file(path));
  const std::span<const uint8_t> bytes(static_cast<const uint8_t*>(mapping->data), mapping->size);
  return parse_program(bytes, mapping).at("'" + path + "'");
}

}  // namespace octet::engine
