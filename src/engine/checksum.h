// A fast 64-bit checksum against accidents: truncation, bad disks, half copies. It is no protection against intent.
#pragma once

#include <cstddef>
#include <cstdint>

namespace octet::engine {

uint64_t checksum(const uint8_t* data, size_t size);

}  // namespace octet::engine
