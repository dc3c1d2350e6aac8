#include "data/preprocess.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace octet {
namespace {

// Resized image and where it came to lie, before crop and padding.
struct Resized {
  Image image;
  double scale_x = 1, scale_y = 1;
};

Result<Resized> resize_to(const Image& image, int width, int height, double scale_x, double scale_y,
                          Interpolation interpolation) {
  OCTET_RETURN_IF_ERROR(check_image_size(width, height));
  return Resized{resize_image(image, width, height, interpolation), scale_x, scale_y};
}

Result<Resized> resize_step(const PreprocessPlan& plan, const Image& image) {
  const double w = image.width, h = image.height;
  switch (plan.resize) {
    case ResizeMode::kNone: break;
    case ResizeMode::kStretch:
      return resize_to(image, plan.width, plan.height, plan.width / w, plan.height / h, plan.interpolation);
    case ResizeMode::kShorterSide: {
      // The longer side is cut, not rounded, as torchvision's Resize does.
      const double shorter = std::min(w, h);
      const auto width = static_cast<int>(std::min(plan.size * w / shorter, 1e9));
      const auto height = static_cast<int>(std::min(plan.size * h / shorter, 1e9));
      return resize_to(image, width, height, width / w, height / h, plan.interpolation);
    }
    case ResizeMode::kLetterboxTopLeft:
    case ResizeMode::kLetterboxCentre: {
      // YOLOX cuts to whole pixels, the centred form of other detectors rounds; boxes use the one exact ratio.
      const double ratio = std::min(plan.width / w, plan.height / h);
      const bool centred = plan.resize == ResizeMode::kLetterboxCentre;
      const auto side = [&](double length) {
        return std::max(1, static_cast<int>(centred ? std::nearbyint(length * ratio) : length * ratio));
      };
      return resize_to(image, std::min(side(w), plan.width), std::min(side(h), plan.height), ratio, ratio,
                       plan.interpolation);
    }
  }
  return Resized{image, 1, 1};
}

// A width x height window of the image; parts outside of it are `fill`.
Image window(const Image& image, int left, int top, int width, int height, uint8_t fill) {
  Image out = Image::filled(width, height, image.channels, fill);
  const int x0 = std::max(left, 0), x1 = std::min(left + width, image.width);
  const auto channels = static_cast<size_t>(image.channels);
  for (int y = std::max(top, 0); y < std::min(top + height, image.height); ++y)
    std::copy(image.row(y) + static_cast<size_t>(x0) * channels, image.row(y) + static_cast<size_t>(x1) * channels,
              out.row(y - top) + static_cast<size_t>(x0 - left) * channels);
  return out;
}

// Half of the slack, a half pixel to the even side, as Python's round() in torchvision's CenterCrop.
int centre(int outer, int inner) { return static_cast<int>(std::nearbyint((outer - inner) / 2.0)); }

Result<Image> place_step(const PreprocessPlan& plan, Image image, ImagePlacement* at) {
  if (plan.resize == ResizeMode::kLetterboxTopLeft || plan.resize == ResizeMode::kLetterboxCentre) {
    const bool centred = plan.resize == ResizeMode::kLetterboxCentre;
    const int left = centred ? (plan.width - image.width) / 2 : 0;
    const int top = centred ? (plan.height - image.height) / 2 : 0;
    image = window(image, -left, -top, plan.width, plan.height, static_cast<uint8_t>(plan.fill));
    at->offset_x = left;
    at->offset_y = top;
  }
  if (plan.crop_width > 0) {
    if (plan.crop_width > image.width || plan.crop_height > image.height)
      return invalid_argument("the crop of " + std::to_string(plan.crop_width) + " x " +
                              std::to_string(plan.crop_height) + " is larger than the image of " +
                              std::to_string(image.width) + " x " + std::to_string(image.height) +
                              "; set the preprocess key 'resize'");
    const int left = centre(image.width, plan.crop_width), top = centre(image.height, plan.crop_height);
    image = window(image, left, top, plan.crop_width, plan.crop_height, 0);
    at->offset_x -= left;
    at->offset_y -= top;
  }
  return image;
}

template <class Bits>
void emit(const PreprocessPlan& plan, const Image& image, void* out) {
  const auto* table = reinterpret_cast<const Bits*>(plan.table.data());
  auto* dst = static_cast<Bits*>(out);
  const auto channels = static_cast<size_t>(image.channels);
  const size_t n = static_cast<size_t>(image.width) * static_cast<size_t>(image.height);
  const bool planar = plan.layout == Layout::kNchw;
  for (size_t c = 0; c < channels; ++c) {
    const size_t from = plan.order == ChannelOrder::kBgr ? channels - 1 - c : c;
    const Bits* values = table + c * 256;
    Bits* first = planar ? dst + c * n : dst + c;
    const size_t step = planar ? 1 : channels;
    for (size_t i = 0; i < n; ++i) first[i * step] = values[image.pixels[i * channels + from]];
  }
}

bool is_flat_of(const Tensor& sample, const InputInfo& input) {
  const int64_t wanted = input.dims.size() == 2 ? input.dims[1] : 0;
  return wanted == sample.numel();
}

}  // namespace

Result<Tensor> prepare_image(const PreprocessPlan& plan, const Image& source, ImagePlacement* placement) {
  const Image image = with_channels(source, plan.channels());
  OCTET_ASSIGN(Resized resized, resize_step(plan, image));
  ImagePlacement at;
  at.image_width = source.width;
  at.image_height = source.height;
  at.scale_x = resized.scale_x;
  at.scale_y = resized.scale_y;
  OCTET_ASSIGN(const Image placed, place_step(plan, std::move(resized.image), &at));
  at.canvas_width = placed.width;
  at.canvas_height = placed.height;
  if (placement != nullptr) *placement = at;
  const int64_t c = placed.channels, h = placed.height, w = placed.width;
  OCTET_ASSIGN(Tensor out, Tensor::create(plan.dtype, plan.layout == Layout::kNchw ? Dims{c, h, w} : Dims{h, w, c}));
  switch (dtype_size(plan.dtype)) {
    case 1: emit<uint8_t>(plan, placed, out.raw()); break;
    case 2: emit<uint16_t>(plan, placed, out.raw()); break;
    case 4: emit<uint32_t>(plan, placed, out.raw()); break;
    default: emit<uint64_t>(plan, placed, out.raw()); break;
  }
  return out;
}

Result<Tensor> prepare_mask(const PreprocessPlan& plan, const Image& mask) {
  PreprocessPlan geometry = plan;
  geometry.interpolation = Interpolation::kNearest;
  geometry.fill = kIgnoredPixel;
  OCTET_ASSIGN(Resized resized, resize_step(geometry, mask));
  ImagePlacement at;
  OCTET_ASSIGN(const Image placed, place_step(geometry, std::move(resized.image), &at));
  OCTET_ASSIGN(Tensor out, Tensor::create(DType::kUint8, {placed.height, placed.width}));
  std::copy(placed.pixels.begin(), placed.pixels.end(), out.data<uint8_t>());
  return out;
}

bool fits_input(const Dims& sample, const InputInfo& input) {
  if (input.dims.empty()) return true;
  if (sample.size() + 1 != input.dims.size()) return false;
  for (size_t i = 0; i < sample.size(); ++i)
    if (input.dims[i + 1] >= 0 && input.dims[i + 1] != sample[i]) return false;
  return true;
}

Status shape_error(const Dims& sample, const InputInfo& input, const std::string& advice) {
  const Dims wanted(input.dims.begin() + (input.dims.empty() ? 0 : 1), input.dims.end());
  return invalid_argument("the prepared sample has shape " + dims_to_string(sample) + " but input '" + input.name +
                          "' of the network takes " + dims_to_string(wanted) + " (batch axis left out); " + advice);
}

Result<Tensor> fit_image(const Tensor& sample, const InputInfo& input, bool may_flatten) {
  const Dims& have = sample.dims();
  if (fits_input(have, input)) return sample;
  const bool gray = have[0] == 1 || have[2] == 1;
  if (is_flat_of(sample, input) && (gray || may_flatten)) return sample.reshaped({sample.numel()});
  if (gray) {
    const Dims plane = have[0] == 1 ? Dims{have[1], have[2]} : Dims{have[0], have[1]};
    if (fits_input(plane, input)) return sample.reshaped(plane);
  }
  const Dims turned_in = {have[2], have[0], have[1]}, turned_out = {have[1], have[2], have[0]};
  if (fits_input(turned_in, input) || fits_input(turned_out, input))
    return shape_error(have, input, "set the preprocess key 'layout' (nchw or nhwc)");
  if (is_flat_of(sample, input))
    return shape_error(have, input, "set the preprocess key 'layout' to say in which order it is flattened");
  if (input.dims.size() != 4)
    return shape_error(have, input, "an image has three axes; use kind npz for a network with other inputs");
  const size_t c = have[0] <= 3 ? 0 : 2;
  if (input.dims[c + 1] >= 0 && input.dims[c + 1] != have[c])
    return shape_error(have, input, "set the preprocess key 'order' (rgb, bgr or gray) to change the channels");
  return shape_error(have, input,
                     "set the preprocess key 'resize' (such as stretch), or 'width', 'height' and 'crop'");
}

}  // namespace octet
