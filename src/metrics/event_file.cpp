#include "metrics/event_file.h"

#include <array>
#include <bit>
#include <cstring>

namespace octet {
namespace {

static_assert(std::endian::native == std::endian::little);

template <class T>
void append_bytes(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
    table[i] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kTable = make_table();

// TFRecord stores checksums rotated and shifted, so that a checksum of data that holds checksums stays a good one.
uint32_t masked(uint32_t crc) { return std::rotr(crc, 15) + 0xa282ead8u; }

// Protocol buffers: a key is (field number << 3) | wire type; 0 varint, 1 eight bytes, 2 length and bytes, 5 four
// bytes.
void varint(std::string& out, uint64_t v) {
  for (; v >= 0x80; v >>= 7) out += static_cast<char>(v | 0x80);
  out += static_cast<char>(v);
}
void key(std::string& out, int field, int wire) { varint(out, static_cast<uint64_t>(field << 3 | wire)); }
void bytes_field(std::string& out, int field, std::string_view bytes) {
  key(out, field, 2);
  varint(out, bytes.size());
  out += bytes;
}

// Event: wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7.
std::string event(double wall_time, int64_t step) {
  std::string out;
  key(out, 1, 1);
  append_bytes(out, wall_time);
  if (step == 0) return out;
  key(out, 2, 0);
  varint(out, static_cast<uint64_t>(step));
  return out;
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(c)) & 0xff];
  return ~crc;
}

std::string tfrecord_frame(std::string_view bytes) {
  std::string length;
  append_bytes(length, static_cast<uint64_t>(bytes.size()));
  std::string out = length;
  append_bytes(out, masked(crc32c(length)));
  out += bytes;
  append_bytes(out, masked(crc32c(bytes)));
  return out;
}

std::string version_event(double wall_time) {
  std::string out = event(wall_time, 0);
  bytes_field(out, 3, "brain.Event:2");
  return out;
}

std::string start_event(double wall_time, int64_t step) {
  std::string log;
  key(log, 1, 0);  // SessionLog.status = START
  varint(log, 1);
  std::string out = event(wall_time, step);
  bytes_field(out, 7, log);
  return out;
}

std::string scalar_event(double wall_time, int64_t step, const std::string& tag, float value) {
  std::string entry;  // Summary.Value: tag = 1, simple_value = 2
  bytes_field(entry, 1, tag);
  key(entry, 2, 5);
  append_bytes(entry, value);
  std::string summary;  // Summary: value = 1
  bytes_field(summary, 1, entry);
  std::string out = event(wall_time, step);
  bytes_field(out, 5, summary);
  return out;
}

}  // namespace octet
