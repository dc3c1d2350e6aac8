#include "training/loop/device.h"

#include <ATen/autocast_mode.h>

#if __has_include(<torch/version.h>)
#include <torch/version.h>
#else
#include <torch/csrc/api/include/torch/version.h>
#endif

#include <charconv>

namespace octet::training {
namespace {

void set_autocast(bool on) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  at::autocast::set_autocast_enabled(at::kCUDA, on);
  at::autocast::set_autocast_dtype(at::kCUDA, at::kBFloat16);
#else
  at::autocast::set_enabled(on);
  at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
#endif
}

}  // namespace

Result<at::Device> parse_device(const std::string& name) {
  if (name == "cpu") return at::Device(at::kCPU);
  int index = 0;
  if (name.starts_with("cuda:")) {
    const char* end = name.data() + name.size();
    const auto [at, code] = std::from_chars(name.data() + 5, end, index);
    if (code != std::errc() || at != end || index < 0 || index > 127)
      return invalid_argument("'" + name + "' is no device; give cpu, cuda or cuda:N");
  } else if (name != "cuda") {
    return invalid_argument("'" + name + "' is no device; give cpu, cuda or cuda:N");
  }
  if (!at::hasCUDA())
    return unsupported("the device '" + name +
                       "' needs a GPU and an Octet built with a LibTorch that has CUDA; --device cpu works here");
  const at::Device device(at::kCUDA, static_cast<c10::DeviceIndex>(index));
  const Status there = without_exceptions([&] {
    (void)at::empty({1}, at::TensorOptions().device(device));
    return Status::ok();
  });
  if (!there.is_ok()) return unsupported("the device '" + name + "' cannot be used: " + there.message());
  return device;
}

MixedPrecision::MixedPrecision(bool on) : on_(on) {
  if (!on_) return;
  set_autocast(true);
  at::autocast::increment_nesting();
}

MixedPrecision::~MixedPrecision() {
  if (!on_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  set_autocast(false);
}

Status without_exceptions(const std::function<Status()>& work) {
  try {
    return work();
  } catch (const c10::Error& e) {
    const std::string text = e.what_without_backtrace();
    const std::string line = text.substr(0, text.find('\n'));
    if (text.find("out of memory") != std::string::npos)
      return resource_limit("the device's memory is not enough (" + line + "); lower batch_size");
    return internal_error("LibTorch refused: " + line);
  } catch (const std::bad_alloc&) {
    return resource_limit("not enough memory; lower batch_size");
  } catch (const std::exception& e) {
    return internal_error(e.what());
  }
}

}  // namespace octet::training
