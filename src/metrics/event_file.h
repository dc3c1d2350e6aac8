// TensorBoard's event files: TFRecord frames around Event messages (TensorFlow's core/util/event.proto), of which the
// few fields that scalars need are encoded here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "octet/status.h"

namespace octet {

// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of the bytes.
uint32_t crc32c(std::string_view bytes);

// Length, masked checksum of the length, bytes, masked checksum of the bytes, as TFRecord files have it.
std::string tfrecord_frame(std::string_view bytes);

// Event messages. `wall_time` is in seconds since 1970.
std::string version_event(double wall_time);              // the first of every file: "brain.Event:2"
std::string start_event(double wall_time, int64_t step);  // later steps of earlier files are void
std::string scalar_event(double wall_time, int64_t step, const std::string& tag, float value);

}  // namespace octet
