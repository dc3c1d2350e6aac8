#include "data/zip_archive.h"

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace octet {
namespace {

constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kLocator64Signature = 0x07064b50;
constexpr uint32_t kDirectorySignature = 0x02014b50;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr int64_t kEndSize = 22;
constexpr int64_t kMember = 46;
constexpr int64_t kLocalSize = 30;
constexpr uint32_t kIn64 = 0xffffffff;  // "the real value is in the ZIP64 record"

// Little-endian number of Bytes bytes; the caller has checked the range.
template <int Bytes>
uint64_t little(const std::string& s, size_t at) {
  uint64_t v = 0;
  for (int i = Bytes - 1; i >= 0; --i) v = v << 8 | static_cast<uint8_t>(s[at + static_cast<size_t>(i)]);
  return v;
}

Result<std::string> read_bytes(const ByteWindow& file, int64_t at, int64_t n) {
  if (n < 0 || n > file.length()) return data_corrupt("'" + file.path() + "' is a damaged ZIP file");
  std::string bytes(static_cast<size_t>(n), '\0');
  OCTET_RETURN_IF_ERROR(file.read(at, bytes.data(), n));
  return bytes;
}

// Takes the next 8-byte value of the ZIP64 extra field when the 4-byte one says so.
bool widen(uint64_t* value, const std::string& extra, size_t* at) {
  if (*value != kIn64) return true;
  if (*at + 8 > extra.size()) return false;
  *value = little<8>(extra, *at);
  *at += 8;
  return true;
}

std::string zip64_field(const std::string& extra) {
  for (size_t at = 0; at + 4 <= extra.size();) {
    const auto id = little<2>(extra, at);
    const auto n = static_cast<size_t>(little<2>(extra, at + 2));
    if (at + 4 + n > extra.size()) break;
    if (id == 1) return extra.substr(at + 4, n);
    at += 4 + n;
  }
  return "";
}

Status write_fully(int fd, const uint8_t* bytes, size_t n) {
  while (n > 0) {
    const ssize_t put = ::write(fd, bytes, n);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0)
      return io_error(std::string("cannot write a temporary file: ") + std::strerror(errno) +
                      "; point TMPDIR to a folder with space, or save the arrays uncompressed (numpy.savez)");
    bytes += put;
    n -= static_cast<size_t>(put);
  }
  return Status::ok();
}

// Frees zlib's state on every path out.
struct InflateState {
  z_stream z{};
  bool started = false;
  ~InflateState() {
    if (started) inflateEnd(&z);
  }
};

}  // namespace

Status ZipArchive::corrupt(const std::string& why) const {
  return data_corrupt("'" + file_.path() + "' is not a sound ZIP (.npz, .pth) file: " + why);
}

Result<ZipArchive> ZipArchive::open(const std::string& path) {
  OCTET_ASSIGN(ByteWindow file, ByteWindow::open(path));
  ZipArchive archive(std::move(file));
  OCTET_RETURN_IF_ERROR(archive.read_directory());
  return archive;
}

Status ZipArchive::read_directory() {
  constexpr int64_t kLongestComment = 65535;
  constexpr uint64_t kLargestDirectory = uint64_t{64} << 20;
  const int64_t tail_size = std::min(file_.length(), kEndSize + kLongestComment);
  const int64_t tail_at = file_.length() - tail_size;
  OCTET_ASSIGN(const std::string tail, read_bytes(file_, tail_at, tail_size));
  int64_t end = tail_size - kEndSize;
  while (end >= 0 && little<4>(tail, static_cast<size_t>(end)) != kEndSignature) --end;
  if (end < 0) return corrupt("it has no directory at its end, so it is truncated or of another format");
  const auto e = static_cast<size_t>(end);
  uint64_t count = little<2>(tail, e + 10), size = little<4>(tail, e + 12), offset = little<4>(tail, e + 16);
  if (count == 0xffff || size == kIn64 || offset == kIn64) {
    if (end < 20 || little<4>(tail, e - 20) != kLocator64Signature) return corrupt("its ZIP64 directory is missing");
    const uint64_t end64 = little<8>(tail, e - 12);
    if (end64 > static_cast<uint64_t>(file_.length())) return corrupt("its ZIP64 directory lies outside of the file");
    OCTET_ASSIGN(const std::string record, read_bytes(file_, static_cast<int64_t>(end64), 56));
    if (little<4>(record, 0) != kEnd64Signature) return corrupt("its ZIP64 directory is damaged");
    count = little<8>(record, 32), size = little<8>(record, 40), offset = little<8>(record, 48);
  }
  const auto length = static_cast<uint64_t>(file_.length());
  if (offset > length || size > length - offset || size > kLargestDirectory || count > size / kMember)
    return corrupt("its directory lies outside of the file");
  OCTET_ASSIGN(const std::string directory,
               read_bytes(file_, static_cast<int64_t>(offset), static_cast<int64_t>(size)));
  size_t at = 0;
  for (uint64_t i = 0; i < count; ++i) OCTET_RETURN_IF_ERROR(read_member(directory, &at));
  return Status::ok();
}

Status ZipArchive::read_member(const std::string& directory, size_t* at) {
  const size_t p = *at;
  if (p + kMember > directory.size() || little<4>(directory, p) != kDirectorySignature)
    return corrupt("its directory is damaged");
  const auto name_size = static_cast<size_t>(little<2>(directory, p + 28));
  const auto extra_size = static_cast<size_t>(little<2>(directory, p + 30));
  const auto comment_size = static_cast<size_t>(little<2>(directory, p + 32));
  if (p + kMember + name_size + extra_size + comment_size > directory.size())
    return corrupt("its directory is damaged");
  ZipMember member;
  member.name = directory.substr(p + kMember, name_size);
  const std::string extra = zip64_field(directory.substr(p + kMember + name_size, extra_size));
  const uint64_t flags = little<2>(directory, p + 8), method = little<2>(directory, p + 10);
  uint64_t packed = little<4>(directory, p + 20), size = little<4>(directory, p + 24);
  uint64_t header = little<4>(directory, p + 42);
  size_t extra_at = 0;
  if (!widen(&size, extra, &extra_at) || !widen(&packed, extra, &extra_at) || !widen(&header, extra, &extra_at))
    return corrupt("the sizes of member '" + member.name + "' are missing");
  const auto length = static_cast<uint64_t>(file_.length());
  if ((flags & 1) != 0) return unsupported("'" + file_.path() + "': member '" + member.name + "' is encrypted");
  if (method != 0 && method != 8)
    return unsupported("'" + file_.path() + "': member '" + member.name + "' is packed by method " +
                       std::to_string(method) + "; only stored and deflated members are known");
  // Deflate cannot pack tighter than 1032:1 (zlib's technical details), so a larger promise is a lie.
  if (packed > length || header > length || size / 1032 > packed + 1 || (method == 0 && packed != size))
    return corrupt("the sizes of member '" + member.name + "' cannot be true");
  member.compressed_size = static_cast<int64_t>(packed);
  member.size = static_cast<int64_t>(size);
  member.header_offset = static_cast<int64_t>(header);
  member.crc = static_cast<uint32_t>(little<4>(directory, p + 16));
  member.deflated = method == 8;
  members_.push_back(std::move(member));
  *at = p + kMember + name_size + extra_size + comment_size;
  return Status::ok();
}

Result<ByteWindow> ZipArchive::content(const ZipMember& member) const {
  OCTET_ASSIGN(const std::string local, read_bytes(file_, member.header_offset, kLocalSize));
  if (little<4>(local, 0) != kLocalSignature) return corrupt("the header of member '" + member.name + "' is damaged");
  const auto skip = static_cast<int64_t>(little<2>(local, 26) + little<2>(local, 28)) + kLocalSize;
  OCTET_ASSIGN(ByteWindow packed, file_.part(member.header_offset + skip, member.compressed_size));
  if (!member.deflated) return packed;
  OCTET_ASSIGN(auto spool, make_spool_file(file_.path() + ":" + member.name));
  OCTET_RETURN_IF_ERROR(inflate(packed, member, spool->fd()));
  return ByteWindow(spool, 0, member.size);
}

Status ZipArchive::inflate(const ByteWindow& packed, const ZipMember& member, int fd) const {
  constexpr size_t kPiece = 1 << 17;
  const Status damaged = corrupt("member '" + member.name + "' does not decompress to what its directory says");
  std::vector<uint8_t> in(kPiece), out(kPiece);
  InflateState state;
  state.started = inflateInit2(&state.z, -MAX_WBITS) == Z_OK;
  if (!state.started) return resource_limit("not enough memory to decompress '" + file_.path() + "'");
  int64_t read = 0, written = 0;
  uLong crc = crc32(0, nullptr, 0);
  int code = Z_OK;
  while (code != Z_STREAM_END) {
    if (state.z.avail_in == 0 && read < packed.length()) {
      const int64_t n = std::min<int64_t>(kPiece, packed.length() - read);
      OCTET_RETURN_IF_ERROR(packed.read(read, in.data(), n));
      read += n;
      state.z.next_in = in.data();
      state.z.avail_in = static_cast<uInt>(n);
    }
    state.z.next_out = out.data();
    state.z.avail_out = kPiece;
    code = ::inflate(&state.z, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END) return damaged;  // Z_BUF_ERROR: the input ended too early
    const size_t got = kPiece - state.z.avail_out;
    written += static_cast<int64_t>(got);
    if (written > member.size) return damaged;
    crc = crc32(crc, out.data(), static_cast<uInt>(got));
    OCTET_RETURN_IF_ERROR(write_fully(fd, out.data(), got));
  }
  return written == member.size && crc == member.crc ? Status::ok() : damaged;
}

}  // namespace octet
