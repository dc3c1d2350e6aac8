// Resize and Upsample.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/ref/nn_common.h"
#include "kernels/ref/nn_sampling.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace nn {
namespace {

template <class E>
struct Choice {
  const char* name;
  E value;
};

constexpr Choice<Interpolation> kInterpolations[] = {
    {"nearest", Interpolation::kNearest}, {"linear", Interpolation::kLinear}, {"cubic", Interpolation::kCubic}};
constexpr Choice<NearestMode> kNearestModes[] = {{"round_prefer_floor", NearestMode::kRoundPreferFloor},
                                                 {"round_prefer_ceil", NearestMode::kRoundPreferCeil},
                                                 {"floor", NearestMode::kFloor},
                                                 {"ceil", NearestMode::kCeil}};
constexpr Choice<CoordinateMode> kCoordinateModes[] = {
    {"half_pixel", CoordinateMode::kHalfPixel},
    {"half_pixel_symmetric", CoordinateMode::kHalfPixelSymmetric},
    {"pytorch_half_pixel", CoordinateMode::kPytorchHalfPixel},
    {"align_corners", CoordinateMode::kAlignCorners},
    {"asymmetric", CoordinateMode::kAsymmetric},
    {"tf_crop_and_resize", CoordinateMode::kTfCropAndResize},
    {"tf_half_pixel_for_nn", CoordinateMode::kTfHalfPixelForNn},
};

template <class E, size_t N>
Result<E> choose(const Node& node, const std::string& key, const char* fallback, const Choice<E> (&choices)[N]) {
  const std::string name = node.attr_string(key, fallback);
  for (const Choice<E>& choice : choices)
    if (name == choice.name) return choice.value;
  return unsupported("attribute " + key + " is '" + name + "', which this operator does not have");
}

Result<SamplingOptions> read_options(const Node& node) {
  SamplingOptions o;
  OCTET_ASSIGN(o.mode, choose(node, "mode", "nearest", kInterpolations));
  OCTET_ASSIGN(o.nearest, choose(node, "nearest_mode", "round_prefer_floor", kNearestModes));
  OCTET_ASSIGN(o.coordinates, choose(node, "coordinate_transformation_mode", "half_pixel", kCoordinateModes));
  o.cubic_a = static_cast<double>(node.attr_float("cubic_coeff_a", -0.75F));
  o.exclude_outside = node.attr_int("exclude_outside", 0) != 0;
  o.antialias = node.attr_int("antialias", 0) != 0;
  o.extrapolation_value = static_cast<double>(node.attr_float("extrapolation_value", 0.0F));
  if (!std::isfinite(o.cubic_a)) return invalid_argument("cubic_coeff_a is not a finite number");
  if (o.antialias && o.mode == Interpolation::kNearest)
    return invalid_argument("antialias needs the mode linear or cubic");
  return o;
}

// The axes that roi, scales and sizes speak of, in their order.
Result<std::vector<size_t>> read_axes(const Node& node, int rank) {
  std::vector<size_t> axes(static_cast<size_t>(rank));
  std::iota(axes.begin(), axes.end(), size_t{0});
  const Dims given = node.attr_ints("axes");
  if (given.empty()) return axes;
  OCTET_RETURN_IF_ERROR(normalize_axes(given, rank).status());
  axes.clear();
  for (int64_t axis : given) axes.push_back(static_cast<size_t>(axis < 0 ? axis + rank : axis));
  return axes;
}

// Input `i` as numbers, `count` of them and all finite; ONNX writes an absent one as an empty tensor.
Result<std::vector<double>> read_numbers(const OpArgs& args, size_t i, size_t count, const std::string& what) {
  const Tensor& t = args.in(i);
  OCTET_ASSIGN(const Tensor wide, to_float64(t));
  std::vector<double> values(wide.data<double>(), wide.data<double>() + wide.numel());
  if (values.size() != count)
    return invalid_argument(what + " has " + std::to_string(values.size()) + " numbers, expected " +
                            std::to_string(count));
  for (double v : values)
    if (!std::isfinite(v)) return invalid_argument(what + " contains a number that is not finite");
  return values;
}

bool is_given(const OpArgs& args, size_t i) { return args.has(i) && args.in(i).numel() > 0; }

// ONNX writes floor(in * scale); its shape inference and ONNX Runtime compute that in float32, and so must we. They
// also leave out the factor (roi_end - roi_begin) of the text. Its tests of align_corners take the width before
// floor.
Status apply_scales(const std::vector<double>& scales, const std::vector<size_t>& axes,
                    std::vector<SampledAxis>& sampled) {
  for (size_t i = 0; i < axes.size(); ++i) {
    SampledAxis& axis = sampled[axes[i]];
    const float out = std::floor(static_cast<float>(axis.in) * static_cast<float>(scales[i]));
    if (!(scales[i] > 0)) return invalid_argument("scales must be greater than 0");
    if (!(out < 0x1p40F)) return resource_limit("scales make the output unreasonably large");
    axis.out = static_cast<int64_t>(out);
    axis.scale = scales[i];
    axis.by_size = false;
    axis.corner_width = scales[i] * static_cast<double>(axis.in);
  }
  return Status::ok();
}

Status apply_sizes(const Node& node, const std::vector<double>& sizes, const std::vector<size_t>& axes,
                   std::vector<SampledAxis>& sampled) {
  std::vector<double> scales;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (sizes[i] < 0 || sizes[i] > 0x1p40) return invalid_argument("sizes must lie between 0 and 2^40");
    scales.push_back(sizes[i] / static_cast<double>(sampled[axes[i]].in));
  }
  const std::string policy = node.attr_string("keep_aspect_ratio_policy", "stretch");
  const bool stretch = policy == "stretch";
  if (!stretch && policy != "not_larger" && policy != "not_smaller")
    return unsupported("keep_aspect_ratio_policy is '" + policy + "', which ONNX does not have");
  if (!stretch && !scales.empty()) {
    const double common = policy == "not_larger" ? *std::min_element(scales.begin(), scales.end())
                                                 : *std::max_element(scales.begin(), scales.end());
    scales.assign(scales.size(), common);
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    SampledAxis& axis = sampled[axes[i]];
    const double width = stretch ? sizes[i] : scales[i] * static_cast<double>(axis.in);
    if (!(width <= 0x1p40)) return resource_limit("keep_aspect_ratio_policy makes the output unreasonably large");
    axis.out = static_cast<int64_t>(std::floor(width + 0.5));
    axis.scale = scales[i];
    axis.by_size = stretch;
    axis.corner_width = static_cast<double>(axis.out);
  }
  return Status::ok();
}

// Every axis of the input, unscaled.
std::vector<SampledAxis> identity_axes(const Dims& dims) {
  std::vector<SampledAxis> sampled;
  for (int64_t d : dims) sampled.push_back({.in = d, .out = d, .corner_width = static_cast<double>(d)});
  return sampled;
}

Result<std::vector<SampledAxis>> sampled_axes(const OpArgs& args, const SamplingOptions& options) {
  const Tensor& x = args.in(0);
  std::vector<SampledAxis> sampled = identity_axes(x.dims());
  OCTET_ASSIGN(const std::vector<size_t> axes, read_axes(args.node, x.rank()));
  const bool by_scales = is_given(args, 2);
  if (by_scales == is_given(args, 3)) return invalid_argument("give either scales or sizes, not both and not none");
  OCTET_ASSIGN(const std::vector<double> numbers,
               read_numbers(args, by_scales ? 2 : 3, axes.size(), by_scales ? "scales" : "sizes"));
  OCTET_RETURN_IF_ERROR(by_scales ? apply_scales(numbers, axes, sampled)
                                  : apply_sizes(args.node, numbers, axes, sampled));
  if (options.coordinates == CoordinateMode::kTfCropAndResize) {
    if (!is_given(args, 1)) return invalid_argument("tf_crop_and_resize needs the input roi");
    OCTET_ASSIGN(const std::vector<double> roi, read_numbers(args, 1, 2 * axes.size(), "roi"));
    for (size_t i = 0; i < axes.size(); ++i) {
      sampled[axes[i]].roi_begin = roi[i];
      sampled[axes[i]].roi_end = roi[i + axes.size()];
    }
  }
  return sampled;
}

// A tensor seen along one axis: {outer, length, inner}.
struct AxisView {
  int64_t outer, inner;
};

AxisView axis_view(const Dims& dims, size_t axis) {
  return {product(dims, 0, axis), product(dims, axis + 1, dims.size())};
}

// Copies the nearest elements along one axis.
template <class T>
void sample_nearest(const SampledAxis& axis, const SamplingOptions& o, const AxisView& view, const T* src, T* dst) {
  for (int64_t to = 0; to < axis.out; ++to) {
    const int64_t from = nearest_position(axis, o.nearest, source_coordinate(axis, o, to));
    for (int64_t n = 0; n < view.outer; ++n)
      std::copy_n(src + (n * axis.in + from) * view.inner, view.inner, dst + (n * axis.out + to) * view.inner);
  }
}

void sample_weighted(const SampledAxis& axis, const SamplingOptions& o, const AxisView& view, const double* src,
                     double* dst) {
  for (int64_t to = 0; to < axis.out; ++to) {
    const std::vector<Tap> taps = interpolation_taps(axis, o, source_coordinate(axis, o, to));
    for (int64_t n = 0; n < view.outer; ++n) {
      double* line = dst + (n * axis.out + to) * view.inner;
      std::fill_n(line, view.inner, 0.0);
      for (const Tap& tap : taps) {
        const double* from = src + (n * axis.in + tap.position) * view.inner;
        for (int64_t i = 0; i < view.inner; ++i) line[i] += tap.weight * from[i];
      }
    }
  }
}

// Overwrites the output positions of one axis that tf_crop_and_resize maps outside the input.
template <class T>
void fill_extrapolated(const SampledAxis& axis, const SamplingOptions& o, const AxisView& view, T value, T* dst) {
  for (int64_t to = 0; to < axis.out; ++to)
    if (is_extrapolated(axis, o, source_coordinate(axis, o, to)))
      for (int64_t n = 0; n < view.outer; ++n) std::fill_n(dst + (n * axis.out + to) * view.inner, view.inner, value);
}

// The axes that change something, those that shrink first, so that nothing in between is larger than both ends.
std::vector<size_t> working_axes(const std::vector<SampledAxis>& sampled, const SamplingOptions& o) {
  std::vector<size_t> order;
  for (size_t i = 0; i < sampled.size(); ++i)
    if (!sampled[i].is_identity(o)) order.push_back(i);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return static_cast<double>(sampled[a].out) * static_cast<double>(sampled[b].in) <
           static_cast<double>(sampled[b].out) * static_cast<double>(sampled[a].in);
  });
  return order;
}

// T: double for the weighted modes, else an unsigned integer of the element's size.
template <class T>
Result<Tensor> resize_elements(Tensor x, const std::vector<SampledAxis>& sampled, const SamplingOptions& o, T extra) {
  const std::vector<size_t> order = working_axes(sampled, o);
  for (size_t i : order) {
    const SampledAxis& axis = sampled[i];
    Dims dims = x.dims();
    dims[i] = axis.out;
    OCTET_ASSIGN(Tensor y, Tensor::create(x.dtype(), dims));
    OCTET_ASSIGN(const int64_t taps, tap_count(axis, o));
    OCTET_RETURN_IF_ERROR(check_work({y.numel(), taps}));
    const AxisView view = axis_view(dims, i);
    if constexpr (std::is_same_v<T, double>) sample_weighted(axis, o, view, x.data<double>(), y.data<double>());
    else sample_nearest(axis, o, view, x.data<T>(), y.data<T>());
    x = y;
  }
  for (size_t i : order)
    if (o.coordinates == CoordinateMode::kTfCropAndResize)
      fill_extrapolated<T>(sampled[i], o, axis_view(x.dims(), i), extra, x.data<T>());
  return x;
}

OpResult resize_nearest(const Tensor& x, const std::vector<SampledAxis>& sampled, const SamplingOptions& o) {
  OCTET_ASSIGN(const Tensor extra, from_float64(Tensor::scalar(o.extrapolation_value), x.dtype()));
  return dispatch_size(
      x.dtype(), [&]<class T>() -> OpResult { return one(resize_elements<T>(x, sampled, o, *extra.data<T>())); });
}

OpResult resize_weighted(const Tensor& x, const std::vector<SampledAxis>& sampled, const SamplingOptions& o) {
  OCTET_ASSIGN(const Tensor wide, to_float64(x));
  OCTET_ASSIGN(const Tensor y, resize_elements<double>(wide, sampled, o, o.extrapolation_value));
  return single(y, x.dtype());
}

OpResult run_resize(const Tensor& x, const std::vector<SampledAxis>& sampled, const SamplingOptions& o) {
  Dims dims;
  for (const SampledAxis& axis : sampled) dims.push_back(axis.out);
  OCTET_ASSIGN(const int64_t count, checked_numel(dims));
  if (count == 0) return one(Tensor::create(x.dtype(), dims));
  if (x.numel() == 0)
    return invalid_argument("an empty input of shape " + dims_to_string(x.dims()) + " cannot become " +
                            dims_to_string(dims));
  return o.mode == Interpolation::kNearest ? resize_nearest(x, sampled, o) : resize_weighted(x, sampled, o);
}

// Upsample (scales as attribute in opset 7, as input in opset 9) and Resize of opset 10: asymmetric, nearest is
// floor.
Result<ResizePlan> upsample_plan(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  SamplingOptions o{.nearest = NearestMode::kFloor, .coordinates = CoordinateMode::kAsymmetric};
  OCTET_ASSIGN(o.mode, choose(args.node, "mode", "nearest", kInterpolations));
  const std::vector<float> attribute = args.node.attr_floats("scales");
  std::vector<double> scales(attribute.begin(), attribute.end());
  if (args.has(1)) {
    OCTET_ASSIGN(scales, read_numbers(args, 1, x.dims().size(), "scales"));
  }
  if (scales.size() != x.dims().size())
    return invalid_argument("scales has " + std::to_string(scales.size()) + " numbers, expected " +
                            std::to_string(x.rank()));
  std::vector<SampledAxis> sampled = identity_axes(x.dims());
  std::vector<size_t> axes(sampled.size());
  std::iota(axes.begin(), axes.end(), size_t{0});
  OCTET_RETURN_IF_ERROR(apply_scales(scales, axes, sampled));
  return ResizePlan{o, sampled};
}

OpResult resize(const OpArgs& args) {
  OCTET_ASSIGN(const ResizePlan plan, resize_plan(args));
  return run_resize(args.in(0), plan.axes, plan.options);
}

constexpr RefOpEntry kOps[] = {{"Resize", resize}, {"Upsample", resize}};

}  // namespace

Result<ResizePlan> resize_plan(const OpArgs& args) {
  if (args.opset < 11 || args.node.op_type == "Upsample") return upsample_plan(args);
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  ResizePlan plan;
  OCTET_ASSIGN(plan.options, read_options(args.node));
  OCTET_ASSIGN(plan.axes, sampled_axes(args, plan.options));
  return plan;
}

}  // namespace nn

std::span<const RefOpEntry> nn_resize_ops() { return nn::kOps; }

}  // namespace octet
