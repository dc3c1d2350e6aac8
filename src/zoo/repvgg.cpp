// RepVGG-A0: Ding et al., 2021, arXiv 2101.03697, table 2, in the form that is trained: every layer is the sum of a
// 3x3 branch, a 1x1 branch and, where the shape stays, an identity branch. Names and initial weights (He, fan out;
// Linear normal 0.01) are timm's. QARepVGG-A0: Chu et al., 2022, arXiv 2212.01593, variant S4: only the 3x3 branch
// has a batch norm of its own, and one more follows the sum, so that the fused weights keep the spread that INT8 can
// hold. deploy() or fuse_branches() makes the plain networks of both.
#include "zoo/networks.h"

namespace octet::zoo {
namespace {

using Layer = ValueId (*)(Builder&, const std::string&, ValueId, int64_t, int64_t);

ValueId rep_layer(Builder& b, const std::string& path, ValueId x, int64_t channels, int64_t stride) {
  const ValueId large =
      b.batch_norm(path + ".conv_kxk.bn",
                   b.conv(path + ".conv_kxk.conv", x, {.channels = channels, .kernel = 3, .stride = stride}));
  const ValueId point = b.batch_norm(path + ".conv_1x1.bn",
                                     b.conv(path + ".conv_1x1.conv", x, {.channels = channels, .stride = stride}));
  ValueId sum = b.add(path + ".add", point, large);
  if (stride == 1 && b.channels(x) == channels)
    sum = b.add(path + ".add_identity", sum, b.batch_norm(path + ".identity", x));
  return b.activate(path + ".act", sum, Activation::kRelu);
}

ValueId quantization_aware_layer(Builder& b, const std::string& path, ValueId x, int64_t channels, int64_t stride) {
  const ValueId large =
      b.batch_norm(path + ".conv_kxk.bn",
                   b.conv(path + ".conv_kxk.conv", x, {.channels = channels, .kernel = 3, .stride = stride}));
  const ValueId point = b.conv(path + ".conv_1x1.conv", x, {.channels = channels, .stride = stride});
  ValueId sum = b.add(path + ".add", point, large);
  if (stride == 1 && b.channels(x) == channels) sum = b.add(path + ".add_identity", sum, x);
  return b.activate(path + ".act", b.batch_norm(path + ".post_bn", sum), Activation::kRelu);
}

void build(Builder& b, Layer layer) {
  constexpr int64_t kDepths[] = {2, 4, 14, 1}, kWidths[] = {48, 96, 192, 1280};
  ValueId x = layer(b, "stem", b.input(), 48, 2);
  for (size_t stage = 0; stage < 4; ++stage)
    for (int64_t i = 0; i < kDepths[stage]; ++i)
      x = layer(b, "stages." + std::to_string(stage) + "." + std::to_string(i), x, kWidths[stage], i == 0 ? 2 : 1);
  x = b.flatten("flatten", b.global_average("head.global_pool", x));
  b.output(b.linear("head.fc", x, b.options().classes), "output");
}

}  // namespace

void build_repvgg_a0(Builder& b) { build(b, rep_layer); }
void build_qarepvgg_a0(Builder& b) { build(b, quantization_aware_layer); }

}  // namespace octet::zoo
