// EfficientNet-B0: Tan and Le, 2019, arXiv 1905.11946, table 1. Names and initial weights (He, fan out; Linear
// uniform in +-1 / sqrt(classes)) are torchvision's. Stochastic depth, a matter of training alone, is not in the
// graph.
#include <algorithm>
#include <cmath>

#include "zoo/networks.h"

namespace octet::zoo {
namespace {

struct Stage {
  int64_t expansion, kernel, stride, channels, blocks;
};
constexpr Stage kStages[] = {{1, 3, 1, 16, 1},  {6, 3, 2, 24, 2},  {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3},
                             {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1}};

ValueId mb_conv(Builder& b, const std::string& path, ValueId x, const Stage& stage, int64_t stride) {
  const int64_t in = b.channels(x), hidden = in * stage.expansion;
  ValueId y = x;
  int part = 0;
  const auto next = [&] { return path + ".block." + std::to_string(part++); };
  if (hidden != in) y = b.conv_norm(next(), y, {.channels = hidden}, Activation::kSilu);
  y = b.conv_norm(next(), y, {.channels = hidden, .kernel = stage.kernel, .stride = stride, .groups = hidden},
                  Activation::kSilu);
  y = b.squeeze_excite(next(), y, std::max<int64_t>(1, in / 4), Activation::kSilu, "Sigmoid");
  y = b.conv_norm(next(), y, {.channels = stage.channels}, Activation::kNone);
  return stride == 1 && in == stage.channels ? b.add(path, y, x) : y;
}

}  // namespace

void build_efficientnet_b0(Builder& b) {
  const int64_t classes = b.options().classes;
  b.manner.linear = {Init::Kind::kUniform, 1.0 / std::sqrt(static_cast<double>(classes))};
  ValueId x = b.conv_norm("features.0", b.input(), {.channels = 32, .kernel = 3, .stride = 2}, Activation::kSilu);
  int number = 1;
  for (const Stage& stage : kStages) {
    const std::string path = "features." + std::to_string(number++) + ".";
    for (int64_t i = 0; i < stage.blocks; ++i)
      x = mb_conv(b, path + std::to_string(i), x, stage, i == 0 ? stage.stride : 1);
  }
  x = b.conv_norm("features." + std::to_string(number), x, {.channels = 1280}, Activation::kSilu);
  x = b.dropout("classifier.0", b.flatten("flatten", b.global_average("avgpool", x)), 0.2F);
  b.output(b.linear("classifier.1", x, classes), "output");
}

}  // namespace octet::zoo
