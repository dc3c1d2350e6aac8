// MobileNetV3: Howard et al., 2019, arXiv 1905.02244, tables 1 and 2. Names, the rounding of channels and the initial
// weights (He, fan out; Linear normal 0.01) are torchvision's.
#include <algorithm>

#include "zoo/networks.h"

namespace octet::zoo {
namespace {

constexpr Activation RE = Activation::kRelu, HS = Activation::kHardSwish;

// A row of the tables.
struct Bottleneck {
  int64_t kernel, expanded, channels;
  bool squeeze;
  Activation activation;
  int64_t stride;
};

// To the nearest multiple of 8, at most a tenth below n.
int64_t rounded_to_8(int64_t n) {
  const int64_t rounded = std::max<int64_t>(8, (n + 4) / 8 * 8);
  return 10 * rounded < 9 * n ? rounded + 8 : rounded;
}

ValueId bottleneck(Builder& b, const std::string& path, ValueId x, const Bottleneck& row) {
  ValueId y = x;
  int part = 0;
  const auto next = [&] { return path + ".block." + std::to_string(part++); };
  if (row.expanded != b.channels(x)) y = b.conv_norm(next(), y, {.channels = row.expanded}, row.activation);
  y = b.conv_norm(next(), y,
                  {.channels = row.expanded, .kernel = row.kernel, .stride = row.stride, .groups = row.expanded},
                  row.activation);
  if (row.squeeze) y = b.squeeze_excite(next(), y, rounded_to_8(row.expanded / 4), RE, "HardSigmoid");
  y = b.conv_norm(next(), y, {.channels = row.channels}, Activation::kNone);
  return row.stride == 1 && b.channels(x) == row.channels ? b.add(path, y, x) : y;
}

void build(Builder& b, const std::vector<Bottleneck>& rows, int64_t head) {
  b.manner.norm = {.epsilon = 1e-3F, .momentum = 0.01F};
  ValueId x = b.conv_norm("features.0", b.input(), {.channels = 16, .kernel = 3, .stride = 2}, HS);
  int block = 1;
  for (const Bottleneck& row : rows) x = bottleneck(b, "features." + std::to_string(block++), x, row);
  x = b.conv_norm("features." + std::to_string(block), x, {.channels = 6 * b.channels(x)}, HS);
  x = b.flatten("flatten", b.global_average("avgpool", x));
  x = b.dropout("classifier.2", b.activate("classifier.1", b.linear("classifier.0", x, head), HS), 0.2F);
  b.output(b.linear("classifier.3", x, b.options().classes), "output");
}

}  // namespace

void build_mobilenet_v3_large(Builder& b) {
  build(b,
        {{3, 16, 16, false, RE, 1},
         {3, 64, 24, false, RE, 2},
         {3, 72, 24, false, RE, 1},
         {5, 72, 40, true, RE, 2},
         {5, 120, 40, true, RE, 1},
         {5, 120, 40, true, RE, 1},
         {3, 240, 80, false, HS, 2},
         {3, 200, 80, false, HS, 1},
         {3, 184, 80, false, HS, 1},
         {3, 184, 80, false, HS, 1},
         {3, 480, 112, true, HS, 1},
         {3, 672, 112, true, HS, 1},
         {5, 672, 160, true, HS, 2},
         {5, 960, 160, true, HS, 1},
         {5, 960, 160, true, HS, 1}},
        1280);
}

void build_mobilenet_v3_small(Builder& b) {
  build(b,
        {{3, 16, 16, true, RE, 2},
         {3, 72, 24, false, RE, 2},
         {3, 88, 24, false, RE, 1},
         {5, 96, 40, true, HS, 2},
         {5, 240, 40, true, HS, 1},
         {5, 240, 40, true, HS, 1},
         {5, 120, 48, true, HS, 1},
         {5, 144, 48, true, HS, 1},
         {5, 288, 96, true, HS, 2},
         {5, 576, 96, true, HS, 1},
         {5, 576, 96, true, HS, 1}},
        1024);
}

}  // namespace octet::zoo
