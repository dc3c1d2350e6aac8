// Parts of the .octet file that its writer, its reader and their tests share. docs/engine_file.md describes the file.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/program_codec.h"

namespace octet::engine {

struct Program;

// To be raised whenever a field, an enumeration or the packed form of any kernel changes.
constexpr uint32_t kFormatVersion = 2;
constexpr uint64_t kDataAlignment =
    4096;  // of the data part in the file: a page, so that mapped constants are aligned
constexpr uint64_t kBlobAlignment = 64;

// The first 128 bytes; of the same form in every version.
struct FileHeader {
  char magic[8];
  uint32_t format_version;
  uint32_t features;       // cpu::Feature bits
  char octet_version[16];  // zero-padded
  uint64_t file_bytes;
  uint64_t program_offset;
  uint64_t program_bytes;
  uint64_t program_checksum;
  uint64_t data_offset;
  uint64_t constants_bytes;  // at data_offset
  uint64_t tensors_bytes;    // of islands, after the constants
  uint64_t data_checksum;    // of all from data_offset to the end of the file
  uint64_t reserved[3];
  uint64_t header_checksum;  // of the bytes before it
};
static_assert(sizeof(FileHeader) == 128);

std::string encode_program(const Program& program, TensorSink& tensors);
// False when the bytes are no program; then `program` is in no useful state.
bool decode_program(std::span<const uint8_t> bytes, TensorSource& tensors, Program& program);

// Fills in the checksums of a file with a header. Tests and fuzzers get past them with it.
void set_checksums(std::string& file);

}  // namespace octet::engine
