#include "metrics/scalar_log.h"

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/text.h"
#include "metrics/event_file.h"

namespace octet {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

// The whole lines of steps below `first_step`; a line that a crash cut short is dropped.
std::string kept_lines(const std::string& text, int64_t first_step) {
  std::string kept;
  for (const std::string& line : split(text, '\n')) {
    const nlohmann::json parsed = nlohmann::json::parse(line, nullptr, false);
    if (!parsed.is_object() || !parsed.contains("step") || !parsed["step"].is_number_integer()) continue;
    if (parsed["step"].get<int64_t>() < first_step) kept += line + "\n";
  }
  return kept;
}

}  // namespace

Result<std::unique_ptr<ScalarLog>> ScalarLog::open(const std::string& folder, int64_t first_step, bool tensorboard) {
  std::unique_ptr<ScalarLog> log(new ScalarLog);
  log->lines_path_ = folder + "/metrics.jsonl";
  std::string kept;
  if (first_step > 0) {
    Result<std::string> before = read_file(log->lines_path_, int64_t{1} << 30);
    if (before.is_ok()) kept = kept_lines(*before, first_step);
    else if (before.status().code() != StatusCode::kNotFound) return before.status();
  }
  OCTET_RETURN_IF_ERROR(write_file_atomically(log->lines_path_, kept));
  log->lines_.reset(std::fopen(log->lines_path_.c_str(), "ab"));
  if (!log->lines_) return io_error("cannot write '" + log->lines_path_ + "': " + std::strerror(errno));
  if (!tensorboard) return log;
  const double time = now();
  // TensorBoard reads all files with this word in their name, oldest first.
  log->events_path_ = folder + "/events.out.tfevents." + std::to_string(static_cast<int64_t>(time * 1e6)) + ".octet";
  log->events_.reset(std::fopen(log->events_path_.c_str(), "wbx"));
  if (!log->events_) return io_error("cannot write '" + log->events_path_ + "': " + std::strerror(errno));
  std::string head = tfrecord_frame(version_event(time));
  if (first_step > 0) head += tfrecord_frame(start_event(time, first_step));
  OCTET_RETURN_IF_ERROR(log->write(log->events_.get(), head, log->events_path_));
  return log;
}

Status ScalarLog::write(std::FILE* file, const std::string& bytes, const std::string& path) const {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size() && std::fflush(file) == 0) return Status::ok();
  return io_error("cannot write '" + path + "': " + std::strerror(errno));
}

Status ScalarLog::add(int64_t step, const std::vector<std::pair<std::string, double>>& scalars) {
  const double time = now();
  nlohmann::ordered_json line = {{"step", step}, {"time", time}};
  std::string events;
  for (const auto& [tag, value] : scalars) {
    line[tag] = std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
    events += tfrecord_frame(scalar_event(time, step, tag, static_cast<float>(value)));
  }
  OCTET_RETURN_IF_ERROR(write(lines_.get(), line.dump() + "\n", lines_path_));
  return events_ ? write(events_.get(), events, events_path_) : Status::ok();
}

}  // namespace octet
