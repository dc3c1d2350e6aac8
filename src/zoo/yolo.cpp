// A small detector in the manner of YOLOX (Ge et al., 2021, arXiv 2107.08430): cross-stage partial blocks (Wang et
// al., arXiv 1911.11929) with SiLU, pyramid pooling, a path aggregation neck (Liu et al., arXiv 1803.01534) and
// decoupled heads without anchors for strides 8, 16 and 32. Widths are our own. Convolutions begin as PyTorch's
// Conv2d, the biases of objectness and classes at a probability of 0.01 (Lin et al., arXiv 1708.02002, section 4.1).
#include <cmath>

#include "zoo/networks.h"

namespace octet::zoo {
namespace {

constexpr int64_t kHeadWidth = 64;

ValueId unit(Builder& b, const std::string& path, ValueId x, int64_t channels, int64_t kernel, int64_t stride = 1) {
  const ValueId y = b.conv(path + ".conv", x, {.channels = channels, .kernel = kernel, .stride = stride});
  return b.activate(path + ".act", b.batch_norm(path + ".bn", y), Activation::kSilu);
}

// Half of the channels pass `depth` bottlenecks, the other half passes by.
ValueId partial_block(Builder& b, const std::string& path, ValueId x, int64_t channels, int depth, bool residual) {
  ValueId y = unit(b, path + ".conv1", x, channels / 2, 1);
  const ValueId by = unit(b, path + ".conv2", x, channels / 2, 1);
  for (int i = 0; i < depth; ++i) {
    const std::string inner = path + ".m." + std::to_string(i);
    const ValueId z = unit(b, inner + ".conv2", unit(b, inner + ".conv1", y, channels / 2, 1), channels / 2, 3);
    y = residual ? b.add(inner, y, z) : z;
  }
  return unit(b, path + ".conv3", b.concat(path + ".concat", {y, by}), channels, 1);
}

// Maxima over 5, 9 and 13 pixels, each from the one before.
ValueId pyramid_pool(Builder& b, const std::string& path, ValueId x) {
  const int64_t channels = b.channels(x);
  std::vector<ValueId> parts = {unit(b, path + ".conv1", x, channels / 2, 1)};
  for (int i = 0; i < 3; ++i) parts.push_back(b.max_pool(path + ".m." + std::to_string(i), parts.back(), 5, 1, 2));
  return unit(b, path + ".conv2", b.concat(path + ".concat", parts), channels, 1);
}

ValueId stage(Builder& b, const std::string& path, ValueId x, int64_t channels, int depth) {
  return partial_block(b, path + ".1", unit(b, path + ".0", x, channels, 3, 2), channels, depth, true);
}

void head(Builder& b, const std::string& path, ValueId x, const std::string& output) {
  const Init prior{Init::Kind::kConstant, -std::log((1 - 0.01) / 0.01)};
  const ValueId stem = unit(b, path + ".stem", x, kHeadWidth, 1);
  const auto branch = [&](const std::string& name) {
    return unit(b, path + name + ".1", unit(b, path + name + ".0", stem, kHeadWidth, 3), kHeadWidth, 3);
  };
  const ValueId boxes = branch(".reg_convs"), kinds = branch(".cls_convs");
  b.manner.conv_bias = kUniformFanIn;
  const ValueId box = b.conv(path + ".reg_pred", boxes, {.channels = 4, .bias = true});
  b.manner.conv_bias = prior;
  const ValueId object = b.conv(path + ".obj_pred", boxes, {.channels = 1, .bias = true});
  const ValueId kind = b.conv(path + ".cls_pred", kinds, {.channels = b.options().classes, .bias = true});
  b.output(b.concat(path + ".concat", {box, object, kind}), output);
}

}  // namespace

void build_yolo_nano(Builder& b) {
  b.manner.conv = kUniformFanIn;
  b.manner.norm = {.epsilon = 1e-3F, .momentum = 0.03F};
  ValueId x = unit(b, "backbone.stem", b.input(), 16, 3, 2);
  x = stage(b, "backbone.dark2", x, 32, 1);
  const ValueId c3 = stage(b, "backbone.dark3", x, 64, 2);
  const ValueId c4 = stage(b, "backbone.dark4", c3, 128, 2);
  x = pyramid_pool(b, "backbone.dark5.1", unit(b, "backbone.dark5.0", c4, 256, 3, 2));
  const ValueId c5 = partial_block(b, "backbone.dark5.2", x, 256, 1, false);

  const ValueId lateral5 = unit(b, "neck.lateral5", c5, 128, 1);
  x = b.concat("neck.concat4", {b.upsample("neck.up5", lateral5, 2), c4});
  const ValueId lateral4 = unit(b, "neck.lateral4", partial_block(b, "neck.merge4", x, 128, 1, false), 64, 1);
  x = b.concat("neck.concat3", {b.upsample("neck.up4", lateral4, 2), c3});
  const ValueId p3 = partial_block(b, "neck.merge3", x, 64, 1, false);
  x = b.concat("neck.concat_down4", {unit(b, "neck.down3", p3, 64, 3, 2), lateral4});
  const ValueId p4 = partial_block(b, "neck.merge_down4", x, 128, 1, false);
  x = b.concat("neck.concat_down5", {unit(b, "neck.down4", p4, 128, 3, 2), lateral5});
  const ValueId p5 = partial_block(b, "neck.merge_down5", x, 256, 1, false);

  head(b, "head.0", p3, "stride8");
  head(b, "head.1", p4, "stride16");
  head(b, "head.2", p5, "stride32");
}

}  // namespace octet::zoo
