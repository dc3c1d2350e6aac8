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

// How many bytes the stream will have, known without unpacking it: the size of a plain file, or what the index at the
// end of an xz file says. -1 for gzip, which does not say. A file that changes or lies may turn out otherwise.
Result<int64_t> unpacked_size(const std::string& path);

// Appends up to n bytes to *out, growing only as the bytes arrive, so a lying header cannot make us allocate.
Result<int64_t> read_up_to(ByteStream& stream, int64_t n, std::vector<uint8_t>* out);

}  // namespace octet
