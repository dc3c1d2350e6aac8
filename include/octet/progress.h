// How long work tells the caller where it stands, and how the caller stops it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace octet {

// Called from one thread at a time with the number of finished items; the CLI draws a bar, a service logs a line.
using ProgressSink = std::function<void(const std::string& stage, int64_t done, int64_t total)>;

// Set by a signal handler or another thread; long loops poll it and return StatusCode::kCancelled.
using CancelFlag = std::atomic<bool>;

}  // namespace octet
