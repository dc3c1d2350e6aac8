// ResNet for CIFAR: He et al., 2015, arXiv 1512.03385, section 4.2, with shortcuts of option A (strided identity,
// padded with zero channels, without weights). Initial weights as there ([12]: He, fan in); names are those of
// github.com/akamaster/pytorch_resnet_cifar10, which pads channels on both sides.
#include <limits>

#include "zoo/networks.h"

namespace octet::zoo {
namespace {

ValueId shortcut(Builder& b, const std::string& path, ValueId x, int64_t channels, int64_t stride) {
  if (stride == 1 && b.channels(x) == channels) return x;
  const int64_t h = (b.dim(x, 2) + stride - 1) / stride, w = (b.dim(x, 3) + stride - 1) / stride;
  constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
  const ValueId sliced = b.op("Slice", path + ".slice",
                              {x, b.integers(path + ".starts", {0, 0}), b.integers(path + ".ends", {kEnd, kEnd}),
                               b.integers(path + ".axes", {2, 3}), b.integers(path + ".steps", {stride, stride})},
                              {b.channels(x), h, w});
  const int64_t before = (channels - b.channels(x)) / 2, after = channels - b.channels(x) - before;
  return b.op("Pad", path, {sliced, b.integers(path + ".pads", {0, before, 0, 0, 0, after, 0, 0})}, {channels, h, w});
}

ValueId block(Builder& b, const std::string& path, ValueId x, int64_t width, int64_t stride) {
  ValueId y = b.conv(path + ".conv1", x, {.channels = width, .kernel = 3, .stride = stride});
  y = b.activate(path + ".relu1", b.batch_norm(path + ".bn1", y), Activation::kRelu);
  y = b.batch_norm(path + ".bn2", b.conv(path + ".conv2", y, {.channels = width, .kernel = 3}));
  y = b.add(path + ".add", y, shortcut(b, path + ".shortcut", x, width, stride));
  return b.activate(path + ".relu", y, Activation::kRelu);
}

// 6n + 2 layers.
void build(Builder& b, int n) {
  b.manner.conv = b.manner.linear = kHeFanIn;
  ValueId x = b.conv("conv1", b.input(), {.channels = 16, .kernel = 3});
  x = b.activate("relu", b.batch_norm("bn1", x), Activation::kRelu);
  for (int stage = 0; stage < 3; ++stage)
    for (int i = 0; i < n; ++i)
      x = block(b, "layer" + std::to_string(stage + 1) + "." + std::to_string(i), x, int64_t{16} << stage,
                stage > 0 && i == 0 ? 2 : 1);
  x = b.flatten("flatten", b.global_average("avgpool", x));
  b.output(b.linear("linear", x, b.options().classes), "output");
}

}  // namespace

void build_resnet20_cifar(Builder& b) { build(b, 3); }
void build_resnet56_cifar(Builder& b) { build(b, 9); }

}  // namespace octet::zoo
