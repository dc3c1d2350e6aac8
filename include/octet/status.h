// How Octet reports failure: a code, one plain sentence, and the place it happened.
//
// The library never prints and never aborts on user input; every function that can fail returns Status or Result<T>.
// Exceptions of third-party libraries (protobuf, YAML, CLI) are caught at the door of the room that uses them.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace octet {

enum class StatusCode {
  kOk = 0,
  kInvalidArgument,  // the caller's input is wrong: a flag, a recipe, a shape, a label
  kNotFound,         // a file, tensor, node or rule target does not exist
  kUnsupported,      // valid input that Octet does not handle (an op, a type, an opset)
  kDataCorrupt,      // a file is truncated, malformed or inconsistent
  kIoError,          // the operating system refused: permissions, disk full
  kResourceLimit,    // a size that would exceed the configured memory limit
  kCancelled,        // interrupted by the user
  kInternal,         // our own mistake; worth a bug report
};

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message) : code_(code), message_(std::move(message)) {}

  static Status ok() { return {}; }
  bool is_ok() const { return code_ == StatusCode::kOk; }
  explicit operator bool() const { return is_ok(); }
  StatusCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // Prefixes the sentence with the place it concerns ("model.onnx: node 'conv1'"); places nest outermost first.
  Status at(const std::string& place) const {
    return is_ok() ? *this : Status(code_, place + ": " + message_);
  }

 private:
  StatusCode code_ = StatusCode::kOk;
  std::string message_;
};

inline Status invalid_argument(std::string m) { return {StatusCode::kInvalidArgument, std::move(m)}; }
inline Status not_found(std::string m) { return {StatusCode::kNotFound, std::move(m)}; }
inline Status unsupported(std::string m) { return {StatusCode::kUnsupported, std::move(m)}; }
inline Status data_corrupt(std::string m) { return {StatusCode::kDataCorrupt, std::move(m)}; }
inline Status io_error(std::string m) { return {StatusCode::kIoError, std::move(m)}; }
inline Status resource_limit(std::string m) { return {StatusCode::kResourceLimit, std::move(m)}; }
inline Status cancelled(std::string m) { return {StatusCode::kCancelled, std::move(m)}; }
inline Status internal_error(std::string m) { return {StatusCode::kInternal, std::move(m)}; }

// A value or the Status that explains why there is none. Reading value() of a failed Result is a programming error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : storage_(std::in_place_index<0>, std::move(value)) {}          // NOLINT: implicit by design
  Result(Status status) : storage_(std::in_place_index<1>, std::move(status)) {}   // NOLINT: implicit by design

  bool is_ok() const { return storage_.index() == 0; }
  explicit operator bool() const { return is_ok(); }
  T& value() & { return std::get<0>(storage_); }
  const T& value() const& { return std::get<0>(storage_); }
  T&& value() && { return std::get<0>(std::move(storage_)); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  Status status() const { return is_ok() ? Status() : std::get<1>(storage_); }
  Result<T> at(const std::string& place) && {
    if (is_ok()) return std::move(*this);
    return std::get<1>(storage_).at(place);
  }

 private:
  std::variant<T, Status> storage_;
};

}  // namespace octet

#define OCTET_CONCAT_INNER(a, b) a##b
#define OCTET_CONCAT(a, b) OCTET_CONCAT_INNER(a, b)

// Returns early with the Status of a failed expression.
#define OCTET_RETURN_IF_ERROR(expr)                      \
  do {                                                   \
    ::octet::Status octet_status_ = (expr);              \
    if (!octet_status_.is_ok()) return octet_status_;    \
  } while (0)

// OCTET_ASSIGN(auto graph, load_onnx(path)); declares or assigns, or returns early with the Status.
#define OCTET_ASSIGN(lhs, expr) OCTET_ASSIGN_IMPL(OCTET_CONCAT(octet_result_, __LINE__), lhs, expr)
#define OCTET_ASSIGN_IMPL(tmp, lhs, expr)       \
  auto tmp = (expr);                            \
  if (!tmp.is_ok()) return tmp.status();        \
  lhs = std::move(tmp).value()
