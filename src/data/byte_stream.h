// Sequential bytes of a file that may be compressed: plain, gzip or xz, told apart by their first bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "octet/status.h"

namespace octet {

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Reads up to n bytes; fewer only at the end. A damaged or truncated compressed file is kDataCorrupt.
  virtual Result<int64_t> read(uint8_t* dst, int64_t n) = 0;
};

// Errors name the path.
Result<std::unique_ptr<ByteStream>> open_byte_stream(const std::string& path);

// Appends up to n bytes to *out, growing only as the bytes arrive, so a lying header cannot make us allocate.
Result<int64_t> read_up_to(ByteStream& stream, int64_t n, std::vector<uint8_t>* out);

}  // namespace octet
