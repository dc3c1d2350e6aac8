// Whole-file reads with a limit, and writes that never leave half a file behind.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "octet/status.h"

namespace octet {

// Reads a regular file of at most `limit` bytes. Errors name the path.
Result<std::string> read_file(const std::string& path, int64_t limit = int64_t{8} << 30);

// Writes to a temporary name in the same folder, flushes to disk, then renames: the target is either the old file or
// the complete new one. On failure (disk full, permissions) the temporary file is removed.
Status write_file_atomically(const std::string& path, std::string_view bytes);

// Creates the folder and its parents.
Status make_directories(const std::string& path);

}  // namespace octet
