// ResNet for ImageNet: He et al., 2015, arXiv 1512.03385, table 1. Names, the stride in the 3x3 convolution of a
// bottleneck and the initial weights (He, fan out; PyTorch's Linear) are torchvision's.
#include "zoo/networks.h"

namespace octet::zoo {
namespace {

constexpr int64_t kExpansion = 4;  // of a bottleneck

// The shortcut, projected where the shape changes.
ValueId shortcut(Builder& b, const std::string& path, ValueId x, int64_t channels, int64_t stride) {
  if (stride == 1 && b.channels(x) == channels) return x;
  return b.batch_norm(path + ".downsample.1",
                      b.conv(path + ".downsample.0", x, {.channels = channels, .stride = stride}));
}

ValueId convolution(Builder& b, const std::string& path, const std::string& number, ValueId x, const ConvSpec& spec,
                    Activation activation) {
  const ValueId y = b.batch_norm(path + ".bn" + number, b.conv(path + ".conv" + number, x, spec));
  return b.activate(path + ".relu" + number, y, activation);
}

ValueId basic_block(Builder& b, const std::string& path, ValueId x, int64_t width, int64_t stride) {
  ValueId y = convolution(b, path, "1", x, {.channels = width, .kernel = 3, .stride = stride}, Activation::kRelu);
  y = convolution(b, path, "2", y, {.channels = width, .kernel = 3}, Activation::kNone);
  return b.activate(path + ".relu", b.add(path + ".add", y, shortcut(b, path, x, width, stride)), Activation::kRelu);
}

ValueId bottleneck(Builder& b, const std::string& path, ValueId x, int64_t width, int64_t stride) {
  const int64_t out = kExpansion * width;
  ValueId y = convolution(b, path, "1", x, {.channels = width}, Activation::kRelu);
  y = convolution(b, path, "2", y, {.channels = width, .kernel = 3, .stride = stride}, Activation::kRelu);
  y = convolution(b, path, "3", y, {.channels = out}, Activation::kNone);
  return b.activate(path + ".relu", b.add(path + ".add", y, shortcut(b, path, x, out, stride)), Activation::kRelu);
}

using Block = ValueId (*)(Builder&, const std::string&, ValueId, int64_t, int64_t);

void build(Builder& b, Block block, const std::vector<int>& depths) {
  b.manner.linear = b.manner.linear_bias = kUniformFanIn;
  ValueId x = b.conv("conv1", b.input(), {.channels = 64, .kernel = 7, .stride = 2});
  x = b.activate("relu", b.batch_norm("bn1", x), Activation::kRelu);
  x = b.max_pool("maxpool", x, 3, 2, 1);
  int64_t width = 64;
  for (size_t stage = 0; stage < depths.size(); ++stage, width *= 2)
    for (int i = 0; i < depths[stage]; ++i)
      x = block(b, "layer" + std::to_string(stage + 1) + "." + std::to_string(i), x, width,
                stage > 0 && i == 0 ? 2 : 1);
  x = b.flatten("flatten", b.global_average("avgpool", x));
  b.output(b.linear("fc", x, b.options().classes), "output");
}

}  // namespace

void build_resnet18(Builder& b) { build(b, basic_block, {2, 2, 2, 2}); }
void build_resnet34(Builder& b) { build(b, basic_block, {3, 4, 6, 3}); }
void build_resnet50(Builder& b) { build(b, bottleneck, {3, 4, 6, 3}); }

}  // namespace octet::zoo
