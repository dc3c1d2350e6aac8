// U-Net: Ronneberger et al., 2015, arXiv 1505.04597, figure 1, with a quarter of its channels, four levels, padded
// convolutions (the output has the size of the input) and batch norm. Initial weights as there, section 3: He, fan
// in.
#include "zoo/networks.h"

namespace octet::zoo {
namespace {

constexpr int64_t kWidth = 16;
constexpr int kLevels = 4;

ValueId two_convolutions(Builder& b, const std::string& path, ValueId x, int64_t channels) {
  for (const char* number : {"1", "2"}) {
    x = b.conv(path + ".conv" + number, x, {.channels = channels, .kernel = 3});
    x = b.activate(path + ".relu" + number, b.batch_norm(path + ".bn" + number, x), Activation::kRelu);
  }
  return x;
}

}  // namespace

void build_unet_small(Builder& b) {
  b.manner.conv = kHeFanIn;
  std::vector<ValueId> levels = {two_convolutions(b, "down.0", b.input(), kWidth)};
  for (int i = 1; i <= kLevels; ++i) {
    const std::string path = "down." + std::to_string(i);
    levels.push_back(two_convolutions(b, path, b.max_pool(path + ".pool", levels.back(), 2, 2, 0), kWidth << i));
  }
  ValueId x = levels.back();
  for (int i = kLevels - 1; i >= 0; --i) {
    const std::string path = "up." + std::to_string(i);
    const ValueId up = b.up_conv(path + ".up", x, kWidth << i);
    x = two_convolutions(b, path, b.concat(path + ".concat", {levels[static_cast<size_t>(i)], up}), kWidth << i);
  }
  b.output(b.conv("head", x, {.channels = b.options().classes, .bias = true}), "output");
}

}  // namespace octet::zoo
