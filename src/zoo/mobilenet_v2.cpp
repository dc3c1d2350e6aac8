// MobileNetV2: Sandler et al., 2018, arXiv 1801.04381, table 2. Names and initial weights (He, fan out; Linear normal
// 0.01) are torchvision's. The CIFAR form keeps the size in the stem and in the stage of 24 channels, so that 32x32
// images end as 4x4.
#include "zoo/networks.h"

namespace octet::zoo {
namespace {

struct Stage {
  int64_t expansion, channels, blocks, stride;
};

ValueId inverted_residual(Builder& b, const std::string& path, ValueId x, const Stage& stage, int64_t stride) {
  const int64_t hidden = stage.expansion * b.channels(x);
  ValueId y = x;
  int part = 0;
  const auto next = [&] { return path + ".conv." + std::to_string(part++); };
  if (stage.expansion != 1) y = b.conv_norm(next(), y, {.channels = hidden}, Activation::kRelu6);
  y = b.conv_norm(next(), y, {.channels = hidden, .kernel = 3, .stride = stride, .groups = hidden},
                  Activation::kRelu6);
  y = b.conv(next(), y, {.channels = stage.channels});
  y = b.batch_norm(next(), y);
  return stride == 1 && b.channels(x) == stage.channels ? b.add(path, x, y) : y;
}

void build(Builder& b, int64_t stem_stride, const std::vector<Stage>& stages) {
  ValueId x =
      b.conv_norm("features.0", b.input(), {.channels = 32, .kernel = 3, .stride = stem_stride}, Activation::kRelu6);
  int block = 1;
  for (const Stage& stage : stages)
    for (int64_t i = 0; i < stage.blocks; ++i)
      x = inverted_residual(b, "features." + std::to_string(block++), x, stage, i == 0 ? stage.stride : 1);
  x = b.conv_norm("features." + std::to_string(block), x, {.channels = 1280}, Activation::kRelu6);
  x = b.dropout("classifier.0", b.flatten("flatten", b.global_average("avgpool", x)), 0.2F);
  b.output(b.linear("classifier.1", x, b.options().classes), "output");
}

}  // namespace

void build_mobilenet_v2(Builder& b) {
  build(b, 2,
        {{1, 16, 1, 1}, {6, 24, 2, 2}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}});
}

void build_mobilenet_v2_cifar(Builder& b) {
  build(b, 1,
        {{1, 16, 1, 1}, {6, 24, 2, 1}, {6, 32, 3, 2}, {6, 64, 4, 2}, {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}});
}

}  // namespace octet::zoo
