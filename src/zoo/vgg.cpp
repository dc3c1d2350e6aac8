// VGG with batch norm: Simonyan and Zisserman, 2014, arXiv 1409.1556, table 1, columns A and D. Names and initial
// weights (He, fan out; Linear normal 0.01) are torchvision's, whose classifier reads 7x7 maps of any input.
#include "zoo/networks.h"

namespace octet::zoo {
namespace {

constexpr int64_t kMap = 7;

// torchvision's AdaptiveAvgPool2d(7) for the sizes where it is a plain pooling, or a copy of one pixel.
ValueId adapt(Builder& b, ValueId x) {
  const int64_t size = b.dim(x, 2);
  if (size == kMap) return x;
  if (size == 1) return b.upsample("avgpool", x, kMap);
  if (size % kMap == 0) return b.average_pool("avgpool", x, size / kMap);
  b.fail(invalid_argument("VGG's classifier reads 7x7 maps, and an input of " + std::to_string(b.options().size) +
                          " pixels gives " + std::to_string(size) + "x" + std::to_string(size) +
                          "; choose a size of 32 to 63 pixels or near a multiple of 224"));
  return x;
}

void build(Builder& b, const std::vector<int>& convolutions) {
  constexpr int64_t kWidths[] = {64, 128, 256, 512, 512};
  ValueId x = b.input();
  int part = 0;
  const auto next = [&] { return "features." + std::to_string(part++); };
  for (size_t stage = 0; stage < convolutions.size(); ++stage) {
    for (int i = 0; i < convolutions[stage]; ++i) {
      x = b.conv(next(), x, {.channels = kWidths[stage], .kernel = 3, .bias = true});
      x = b.batch_norm(next(), x);
      x = b.activate(next(), x, Activation::kRelu);
    }
    x = b.max_pool(next(), x, 2, 2, 0);
  }
  x = b.flatten("flatten", adapt(b, x));
  x = b.activate("classifier.1", b.linear("classifier.0", x, 4096), Activation::kRelu);
  x = b.dropout("classifier.2", x, 0.5F);
  x = b.activate("classifier.4", b.linear("classifier.3", x, 4096), Activation::kRelu);
  x = b.dropout("classifier.5", x, 0.5F);
  b.output(b.linear("classifier.6", x, b.options().classes), "output");
}

}  // namespace

void build_vgg11_bn(Builder& b) { build(b, {1, 1, 2, 2, 2}); }
void build_vgg16_bn(Builder& b) { build(b, {2, 2, 3, 3, 3}); }

}  // namespace octet::zoo
