// Tensor data kept in files beside the model (TensorProto.external_data).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "octet/status.h"
#include "onnx/schema.h"

namespace octet {

// Reads ranges of files in and below one folder; whatever leads out of the folder is refused.
class ExternalReader {
 public:
  // An empty folder forbids external data.
  explicit ExternalReader(std::string folder) : folder_(std::move(folder)) {}
  ~ExternalReader();
  ExternalReader(const ExternalReader&) = delete;
  ExternalReader& operator=(const ExternalReader&) = delete;

  // Checks that the tensor's range holds exactly `bytes` bytes of an existing file. Call before allocating.
  Status open(const onnx::TensorProto& proto, int64_t bytes);
  // Fills `dst` with the range of the last open().
  Status read(void* dst);

 private:
  struct File {
    int64_t size = 0;
    int64_t taken = 0;  // bytes handed out so far, over all tensors
  };
  Status open_file(const std::string& location);
  Status check_range(const onnx::TensorProto& proto, int64_t bytes);

  std::string folder_;
  std::string location_;  // of the file that is open
  int descriptor_ = -1;
  int64_t offset_ = 0;
  int64_t length_ = 0;
  std::map<std::string, File> files_;
};

}  // namespace octet
