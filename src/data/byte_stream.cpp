#include "data/byte_stream.h"

#include <fcntl.h>
#include <lzma.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "data/random_access.h"

namespace octet {
namespace {

constexpr uint64_t kXzMemoryLimit = uint64_t{256} << 20;  // xz -9 needs 65 MiB

Status xz_error(const std::string& path, lzma_ret code) {
  if (code == LZMA_MEMLIMIT_ERROR)
    return resource_limit("'" + path + "' needs more than 256 MiB to decompress; compress it again with xz -9");
  return data_corrupt("'" + path + "' is a damaged or truncated xz file; copy it again");
}

class PlainStream : public ByteStream {
 public:
  PlainStream(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~PlainStream() override { ::close(fd_); }

  Result<int64_t> read(uint8_t* dst, int64_t n) override {
    int64_t done = 0;
    while (done < n) {
      const ssize_t got = ::read(fd_, dst + done, static_cast<size_t>(n - done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return io_error("cannot read '" + path_ + "': " + std::strerror(errno));
      if (got == 0) break;
      done += got;
    }
    return done;
  }

 private:
  int fd_;
  std::string path_;
};

class GzipStream : public ByteStream {
 public:
  GzipStream(gzFile file, std::string path) : file_(file), path_(std::move(path)) {}
  ~GzipStream() override { gzclose(file_); }

  Result<int64_t> read(uint8_t* dst, int64_t n) override {
    constexpr int64_t kPiece = int64_t{1} << 24;  // gzread counts in unsigned int
    int64_t done = 0;
    while (done < n) {
      const int got = gzread(file_, dst + done, static_cast<unsigned>(std::min(n - done, kPiece)));
      int code = Z_OK;
      gzerror(file_, &code);
      if (got < 0 || code == Z_BUF_ERROR || code == Z_DATA_ERROR)
        return data_corrupt("'" + path_ + "' is a damaged or truncated gzip file; copy it again");
      if (got == 0) break;
      done += got;
    }
    return done;
  }

 private:
  gzFile file_;
  std::string path_;
};

class XzStream : public ByteStream {
 public:
  XzStream(std::unique_ptr<PlainStream> raw, std::string path) : raw_(std::move(raw)), path_(std::move(path)) {}
  ~XzStream() override { lzma_end(&lzma_); }

  Status start() {
    if (lzma_stream_decoder(&lzma_, kXzMemoryLimit, LZMA_CONCATENATED) != LZMA_OK)
      return resource_limit("not enough memory to decompress '" + path_ + "'");
    return Status::ok();
  }

  Result<int64_t> read(uint8_t* dst, int64_t n) override {
    lzma_.next_out = dst;
    lzma_.avail_out = static_cast<size_t>(n);
    while (lzma_.avail_out > 0 && !ended_) {
      if (lzma_.avail_in == 0 && !raw_ended_) {
        OCTET_ASSIGN(const int64_t got, raw_->read(buffer_.data(), static_cast<int64_t>(buffer_.size())));
        lzma_.next_in = buffer_.data();
        lzma_.avail_in = static_cast<size_t>(got);
        raw_ended_ = got < static_cast<int64_t>(buffer_.size());
      }
      const lzma_ret code = lzma_code(&lzma_, raw_ended_ ? LZMA_FINISH : LZMA_RUN);
      ended_ = code == LZMA_STREAM_END;
      if (code != LZMA_OK && !ended_) return xz_error(path_, code);
    }
    return n - static_cast<int64_t>(lzma_.avail_out);
  }

 private:
  std::unique_ptr<PlainStream> raw_;
  std::string path_;
  lzma_stream lzma_ = LZMA_STREAM_INIT;
  std::array<uint8_t, 1 << 16> buffer_{};
  bool raw_ended_ = false;
  bool ended_ = false;
};

enum class Packing { kNone, kGzip, kXz };

Packing packing_of(const uint8_t* magic, int64_t bytes) {
  constexpr std::array<uint8_t, 6> kXz = {0xfd, '7', 'z', 'X', 'Z', 0};
  if (bytes >= 2 && magic[0] == 0x1f && magic[1] == 0x8b) return Packing::kGzip;
  return bytes >= 6 && std::equal(kXz.begin(), kXz.end(), magic) ? Packing::kXz : Packing::kNone;
}

// Sums up the indexes of all streams of an xz file; reads little more than them.
class XzIndexReader {
 public:
  explicit XzIndexReader(const ByteWindow& file) : file_(file) {}
  ~XzIndexReader() {
    lzma_end(&lzma_);
    lzma_index_end(index_, nullptr);
  }
  XzIndexReader(const XzIndexReader&) = delete;
  XzIndexReader& operator=(const XzIndexReader&) = delete;

  Result<int64_t> size() {
    if (lzma_file_info_decoder(&lzma_, &index_, kXzMemoryLimit, static_cast<uint64_t>(file_.length())) != LZMA_OK)
      return resource_limit("not enough memory to read '" + file_.path() + "'");
    for (int64_t at = 0;;) {
      if (lzma_.avail_in == 0) {
        const int64_t n = std::min(static_cast<int64_t>(buffer_.size()), file_.length() - at);
        OCTET_RETURN_IF_ERROR(file_.read(at, buffer_.data(), n));
        lzma_.next_in = buffer_.data();
        lzma_.avail_in = static_cast<size_t>(n);
        at += n;
      }
      const lzma_ret code = lzma_code(&lzma_, LZMA_RUN);
      if (code == LZMA_STREAM_END) return static_cast<int64_t>(lzma_index_uncompressed_size(index_));
      if (code == LZMA_SEEK_NEEDED) {
        at = static_cast<int64_t>(lzma_.seek_pos);
        lzma_.avail_in = 0;
      } else if (code != LZMA_OK) {
        return xz_error(file_.path(), code);
      }
    }
  }

 private:
  const ByteWindow& file_;
  lzma_stream lzma_ = LZMA_STREAM_INIT;
  lzma_index* index_ = nullptr;
  std::array<uint8_t, 1 << 13> buffer_{};
};

}  // namespace

Result<int64_t> unpacked_size(const std::string& path) {
  OCTET_ASSIGN(const ByteWindow file, ByteWindow::open(path));
  std::array<uint8_t, 6> magic{};
  const int64_t got = std::min(file.length(), static_cast<int64_t>(magic.size()));
  OCTET_RETURN_IF_ERROR(file.read(0, magic.data(), got));
  switch (packing_of(magic.data(), got)) {
    case Packing::kNone: return file.length();
    case Packing::kGzip: return -1;
    case Packing::kXz: break;
  }
  return XzIndexReader(file).size();
}

Result<std::unique_ptr<ByteStream>> open_byte_stream(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) return not_found("there is no file '" + path + "'");
  if (fd < 0) return io_error("cannot open '" + path + "': " + std::strerror(errno));
  auto raw = std::make_unique<PlainStream>(fd, path);
  struct stat info {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
    return invalid_argument("'" + path + "' is not a regular file");
  std::array<uint8_t, 6> magic{};
  const Packing packing = packing_of(magic.data(), ::pread(fd, magic.data(), magic.size(), 0));
  if (packing == Packing::kGzip) {
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    gzFile file = copy < 0 ? nullptr : gzdopen(copy, "rb");
    if (file == nullptr) {
      if (copy >= 0) ::close(copy);
      return io_error("cannot open '" + path + "': out of memory or file handles");
    }
    return std::unique_ptr<ByteStream>(std::make_unique<GzipStream>(file, path));
  }
  if (packing == Packing::kXz) {
    auto stream = std::make_unique<XzStream>(std::move(raw), path);
    OCTET_RETURN_IF_ERROR(stream->start());
    return std::unique_ptr<ByteStream>(std::move(stream));
  }
  return std::unique_ptr<ByteStream>(std::move(raw));
}

Result<int64_t> read_up_to(ByteStream& stream, int64_t n, std::vector<uint8_t>* out) {
  constexpr int64_t kPiece = int64_t{4} << 20;
  int64_t done = 0;
  try {
    while (done < n) {
      const int64_t piece = std::min(n - done, kPiece);
      const size_t before = out->size();
      out->resize(before + static_cast<size_t>(piece));
      OCTET_ASSIGN(const int64_t got, stream.read(out->data() + before, piece));
      out->resize(before + static_cast<size_t>(got));
      done += got;
      if (got < piece) break;
    }
  } catch (const std::bad_alloc&) {
    return resource_limit("not enough memory for " + std::to_string(n >> 20) + " MiB of data");
  }
  return done;
}

}  // namespace octet
