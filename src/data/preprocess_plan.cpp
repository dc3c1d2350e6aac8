#include <algorithm>
#include <cmath>
#include <cstdio>

#include "data/array_convert.h"
#include "data/preprocess.h"
#include "data/spec_keys.h"

namespace octet {
namespace {

const std::vector<double> kImagenetMean = {0.485, 0.456, 0.406};
const std::vector<double> kImagenetStd = {0.229, 0.224, 0.225};

std::string quoted(const InputInfo& input) { return "input '" + input.name + "' of the network"; }

// Height and width that the network wants; 0 where it leaves them open.
struct NetworkSize {
  int width = 0, height = 0;
};

NetworkSize network_size(const InputInfo& input, Layout layout) {
  if (input.dims.size() != 4) return {};
  const size_t h = layout == Layout::kNchw ? 2 : 1;
  const auto side = [&](size_t axis) {
    const int64_t d = input.dims[axis];
    return d > 0 && d <= kLargestImageSide ? static_cast<int>(d) : 0;
  };
  return {side(h + 1), side(h)};
}

Layout layout_of(const InputInfo& input, int channels) {
  const bool nhwc = input.dims.size() == 4 && input.dims[1] != channels && input.dims[3] == channels;
  return nhwc ? Layout::kNhwc : Layout::kNchw;
}

ResizeMode default_resize(const DataSpec& spec) {
  if (spec.kind == DataKind::kFolder) return ResizeMode::kShorterSide;
  if (spec.kind == DataKind::kMasks) return ResizeMode::kStretch;
  if (spec.kind != DataKind::kYolo) return ResizeMode::kNone;
  return spec.detection.decoder == Decoder::kYolox ? ResizeMode::kLetterboxTopLeft : ResizeMode::kStretch;
}

ChannelOrder default_order(DataKind kind) {
  if (kind == DataKind::kIdx) return ChannelOrder::kGray;
  return kind == DataKind::kYolo ? ChannelOrder::kBgr : ChannelOrder::kRgb;
}

Status choose_geometry(const DataSpec& spec, const InputInfo& input, PreprocessPlan* plan) {
  const Preprocess& p = spec.preprocess;
  const NetworkSize net = network_size(input, plan->layout);
  plan->resize = p.resize.value_or(default_resize(spec));
  plan->interpolation = p.interpolation.value_or(spec.kind == DataKind::kYolo ? Interpolation::kBilinearOpencv
                                                                              : Interpolation::kBilinear);
  plan->fill = p.fill.value_or(114);
  plan->crop_width = p.crop_width.value_or(0);
  plan->crop_height = p.crop_height.value_or(0);
  if (plan->resize == ResizeMode::kNone) return Status::ok();
  if (plan->resize == ResizeMode::kShorterSide) {
    if (plan->crop_width == 0) plan->crop_width = p.width.value_or(net.width);
    if (plan->crop_height == 0) plan->crop_height = p.height.value_or(net.height);
    // 256/224: the share that ImageNet's usual evaluation keeps of the shorter side.
    plan->size = p.size.value_or(
        static_cast<int>(std::nearbyint(std::max(plan->crop_width, plan->crop_height) * 256.0 / 224.0)));
    if (plan->crop_width == 0 || plan->crop_height == 0)
      return invalid_argument(quoted(input) + " has shape " + dims_to_string(input.dims) +
                              ", which leaves the image size open; give the preprocess keys 'crop' and 'size'");
    if (plan->size < std::max(plan->crop_width, plan->crop_height))
      return invalid_argument("the crop of " + std::to_string(plan->crop_width) + " x " +
                              std::to_string(plan->crop_height) + " is larger than the shorter side of " +
                              std::to_string(plan->size) + "; give a larger preprocess key 'size'");
    return Status::ok();
  }
  plan->width = p.width.value_or(net.width);
  plan->height = p.height.value_or(net.height);
  if (plan->width == 0 || plan->height == 0)
    return invalid_argument(quoted(input) + " has shape " + dims_to_string(input.dims) +
                            ", which leaves the image size open; give the preprocess keys 'width' and 'height'");
  return Status::ok();
}

Status spread(const std::vector<double>& values, const char* key, double otherwise, size_t channels,
              std::vector<double>* out) {
  if (values.size() > 1 && values.size() != channels)
    return invalid_argument(std::string("preprocess key '") + key + "' has " + std::to_string(values.size()) +
                            " values for an image of " + std::to_string(channels) + " channels");
  *out = values.size() == channels ? values : std::vector<double>(channels, values.empty() ? otherwise : values[0]);
  return Status::ok();
}

// The values a kind is usually trained with; raw pixels for a network that takes integers.
void default_normalisation(const DataSpec& spec, PreprocessPlan* plan) {
  const auto channels = static_cast<size_t>(plan->channels());
  plan->mean.assign(channels, 0);
  plan->std.assign(channels, 1);
  const bool raw = spec.kind == DataKind::kYolo && spec.detection.decoder == Decoder::kYolox;
  if (!dtype_is_float(plan->dtype) || raw) return;
  plan->scale = 1.0 / 255.0;
  const bool photos =
      spec.kind == DataKind::kFolder || spec.kind == DataKind::kCifar10 || spec.kind == DataKind::kMasks;
  if (!photos || channels != 3) return;
  plan->mean = kImagenetMean;
  plan->std = kImagenetStd;
  if (plan->order != ChannelOrder::kBgr) return;
  std::reverse(plan->mean.begin(), plan->mean.end());
  std::reverse(plan->std.begin(), plan->std.end());
}

Status fill_table(PreprocessPlan* plan) {
  const size_t element = dtype_size(plan->dtype);
  const auto channels = static_cast<size_t>(plan->channels());
  plan->table.resize(channels * 256 * element);
  for (size_t c = 0; c < channels; ++c) {
    for (size_t v = 0; v < 256; ++v) {
      const double x = (static_cast<double>(v) * plan->scale - plan->mean[c]) / plan->std[c];
      if (!store_as(x, plan->dtype, plan->table.data() + (c * 256 + v) * element))
        return invalid_argument(std::string("images cannot be prepared as ") + dtype_name(plan->dtype) +
                                "; the network needs a float32, float16, uint8 or int8 input");
    }
  }
  return Status::ok();
}

std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", v);
  return text;
}

std::string numbers(const std::vector<double>& v) {
  std::string s = "[";
  for (size_t i = 0; i < v.size(); ++i) s += (i != 0 ? ", " : "") + number(v[i]);
  return s + "]";
}

std::string area(int width, int height) { return std::to_string(width) + " x " + std::to_string(height); }

}  // namespace

Result<PreprocessPlan> make_preprocess_plan(const DataSpec& spec, const InputInfo& input) {
  const Preprocess& p = spec.preprocess;
  if (spec.kind == DataKind::kYolo && spec.detection.decoder == Decoder::kNone && !(p.resize && p.order && p.scale))
    return invalid_argument(
        "a detection data set needs 'decoder: yolox' or 'decoder: fastestdet', or the preprocess keys 'resize', "
        "'order' and 'scale'");
  PreprocessPlan plan;
  plan.order = p.order.value_or(default_order(spec.kind));
  plan.layout = p.layout.value_or(layout_of(input, plan.channels()));
  plan.dtype = p.dtype != DType::kUndefined ? p.dtype : input.dtype;
  if (plan.dtype == DType::kUndefined) plan.dtype = DType::kFloat32;
  OCTET_RETURN_IF_ERROR(choose_geometry(spec, input, &plan));
  if (p.scale) {
    const auto channels = static_cast<size_t>(plan.channels());
    plan.scale = *p.scale;
    OCTET_RETURN_IF_ERROR(spread(p.mean, "mean", 0, channels, &plan.mean));
    OCTET_RETURN_IF_ERROR(spread(p.std, "std", 1, channels, &plan.std));
  } else {
    default_normalisation(spec, &plan);
  }
  OCTET_RETURN_IF_ERROR(fill_table(&plan));
  return plan;
}

std::string describe_plan(const PreprocessPlan& plan) {
  std::string s = std::string("resize ") + resize_mode_name(plan.resize);
  if (plan.resize == ResizeMode::kShorterSide) s += " " + std::to_string(plan.size);
  else if (plan.resize != ResizeMode::kNone) s += " " + area(plan.width, plan.height);
  if (plan.resize != ResizeMode::kNone) s += std::string(" ") + interpolation_name(plan.interpolation);
  if (plan.crop_width > 0) s += ", crop " + area(plan.crop_width, plan.crop_height);
  s += ", scale " + number(plan.scale) + ", mean " + numbers(plan.mean) + ", std " + numbers(plan.std);
  return s + ", " + channel_order_name(plan.order) + ", " + layout_name(plan.layout) + ", " + dtype_name(plan.dtype);
}

}  // namespace octet
