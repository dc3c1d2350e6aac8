// The part of ZIP (PKWARE APPNOTE 6.3, with ZIP64) that .npz and .pth files use: stored and deflated members.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/random_access.h"
#include "octet/status.h"

namespace octet {

struct ZipMember {
  std::string name;
  int64_t compressed_size = 0;
  int64_t size = 0;
  int64_t header_offset = 0;
  uint32_t crc = 0;
  bool deflated = false;
};

class ZipArchive {
 public:
  static Result<ZipArchive> open(const std::string& path);
  // In the order of the archive's directory.
  const std::vector<ZipMember>& members() const { return members_; }
  // The member's bytes: a stored member in place, a deflated one from a temporary file (its checksum is verified).
  Result<ByteWindow> content(const ZipMember& member) const;

 private:
  explicit ZipArchive(ByteWindow file) : file_(std::move(file)) {}
  Status read_directory();
  Status read_member(const std::string& directory, size_t* at);
  Status inflate(const ByteWindow& packed, const ZipMember& member, int fd) const;
  Status corrupt(const std::string& why) const;

  ByteWindow file_;
  std::vector<ZipMember> members_;
};

}  // namespace octet
