// Where training runs: devices by name, mixed precision, and what LibTorch throws.
#pragma once

#include <functional>
#include <string>

#include "octet/status.h"
#include "training/torch.h"

namespace octet::training {

// "cpu", "cuda" or "cuda:N". kInvalidArgument for another name, kUnsupported when this build or machine has no such
// device.
Result<at::Device> parse_device(const std::string& name);

// While it lives, operators that profit from it compute in bfloat16 on CUDA: its range is float32's, so that
// gradients need no scaling. Does nothing when `on` is false.
class MixedPrecision {
 public:
  explicit MixedPrecision(bool on);
  ~MixedPrecision();
  MixedPrecision(const MixedPrecision&) = delete;
  MixedPrecision& operator=(const MixedPrecision&) = delete;

 private:
  bool on_;
};

// Runs `work`; an exception of LibTorch or the allocator becomes a Status.
Status without_exceptions(const std::function<Status()>& work);

}  // namespace octet::training
