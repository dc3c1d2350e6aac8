// Preprocessing as data: the choices of a spec completed with defaults and the network's shape, then applied.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/image.h"
#include "octet/data.h"

namespace octet {

// Every choice made; see Preprocess for the meaning of the fields.
struct PreprocessPlan {
  ResizeMode resize = ResizeMode::kNone;
  int width = 0, height = 0, size = 0;
  Interpolation interpolation = Interpolation::kBilinear;
  int fill = 114;
  int crop_width = 0, crop_height = 0;  // 0: no crop
  ChannelOrder order = ChannelOrder::kRgb;
  double scale = 1;
  std::vector<double> mean, std;  // one per channel
  Layout layout = Layout::kNchw;
  DType dtype = DType::kFloat32;
  std::vector<uint8_t> table;  // [channels, 256] elements of dtype: what each pixel value becomes

  int channels() const { return order == ChannelOrder::kGray ? 1 : 3; }
};

Result<PreprocessPlan> make_preprocess_plan(const DataSpec& spec, const InputInfo& input);
std::string describe_plan(const PreprocessPlan& plan);

// [C, H, W] or [H, W, C]; *placement says where the image went.
Result<Tensor> prepare_image(const PreprocessPlan& plan, const Image& image, ImagePlacement* placement);

// uint8 [H, W]: the mask resized (nearest), cropped and padded (kIgnoredPixel) as prepare_image does with the image.
Result<Tensor> prepare_mask(const PreprocessPlan& plan, const Image& mask);

// The sample as the network's input takes it. A one-channel image may lose or gain its channel axis and an NCHW or
// explicitly laid out image may be flattened; anything else that differs is an error that names both shapes.
Result<Tensor> fit_image(const Tensor& sample, const InputInfo& input, bool may_flatten);
// True when the sample, without its batch axis, fits the input's shape; an input of unknown rank takes everything.
bool fits_input(const Dims& sample, const InputInfo& input);
Status shape_error(const Dims& sample, const InputInfo& input, const std::string& advice);

}  // namespace octet
