#include "data/training_samples.h"

#include "data/augment.h"

namespace octet {
namespace {

// The same geometry, but pixels as they are, planar.
DataSpec raw_pixels(const DataSpec& spec, const PreprocessPlan& plan) {
  DataSpec raw = spec;
  Preprocess& p = raw.preprocess;
  p.resize = plan.resize;
  p.interpolation = plan.interpolation;
  p.fill = plan.fill;
  if (plan.width > 0) p.width = plan.width;
  if (plan.height > 0) p.height = plan.height;
  if (plan.resize == ResizeMode::kShorterSide) p.size = plan.size;
  if (plan.crop_width > 0) p.crop_width = plan.crop_width;
  if (plan.crop_height > 0) p.crop_height = plan.crop_height;
  p.order = plan.order;
  p.scale = 1;
  p.mean.clear();
  p.std.clear();
  p.layout = Layout::kNchw;
  p.dtype = DType::kUint8;
  return raw;
}

}  // namespace

Result<std::unique_ptr<TrainingSamples>> TrainingSamples::open(const DataSpec& spec,
                                                               const std::vector<InputInfo>& inputs,
                                                               const AugmentOptions& augment) {
  const std::string place = "data '" + (spec.source.empty() ? spec.path : spec.source) + "'";
  for (const InputInfo& input : inputs)
    if (input.dtype != DType::kFloat32)
      return unsupported("input '" + input.name + "' of the network is " + dtype_name(input.dtype) +
                         "; networks are trained from float32 inputs");
  std::unique_ptr<TrainingSamples> out(new TrainingSamples);
  out->augment_ = augment;
  out->images_ = spec.kind != DataKind::kNpy && spec.kind != DataKind::kNpz && inputs.size() == 1;
  if (out->images_) {
    out->input_ = inputs[0];
    out->may_flatten_ = spec.preprocess.layout.has_value();
    Result<PreprocessPlan> plan = make_preprocess_plan(spec, out->input_);
    if (!plan.is_ok()) return plan.status().at(place);
    out->plan_ = std::move(plan).value();
    if (out->plan_.dtype != DType::kFloat32)
      return invalid_argument(place + ": preprocess makes " + dtype_name(out->plan_.dtype) +
                              " and training needs float32; change the key 'dtype'");
    const InputInfo bytes{out->input_.name, DType::kUint8, {}};
    OCTET_ASSIGN(out->data_, open_dataset(raw_pixels(spec, out->plan_), {bytes}));
  } else {
    OCTET_ASSIGN(out->data_, open_dataset(spec, inputs));
  }
  const Result<TrainingSample> first = out->get(0, 0, 0);
  if (!first.is_ok()) return first.status().at(place);
  return out;
}

Result<Tensor> TrainingSamples::normalised(const Tensor& chw) const {
  const int64_t c = chw.dim(0), h = chw.dim(1), w = chw.dim(2), n = h * w;
  const bool planar = plan_.layout == Layout::kNchw;
  OCTET_ASSIGN(Tensor out, Tensor::create(DType::kFloat32, planar ? Dims{c, h, w} : Dims{h, w, c}));
  const int64_t step = planar ? 1 : c;
  for (int64_t k = 0; k < c; ++k) {
    const float* values = reinterpret_cast<const float*>(plan_.table.data()) + k * 256;
    const uint8_t* src = chw.data<uint8_t>() + k * n;
    float* dst = out.data<float>() + (planar ? k * n : k);
    for (int64_t i = 0; i < n; ++i) dst[i * step] = values[src[i]];
  }
  return fit_image(out, input_, may_flatten_);
}

// Image, boxes and mask of the sample after augmentation; they go with the first input.
Status TrainingSamples::augment_input(TrainingSample* sample, size_t input, int64_t index, uint64_t seed,
                                      int64_t epoch) const {
  const auto e = static_cast<uint64_t>(epoch), i = static_cast<uint64_t>(index);
  const auto labelled_of = [&](const Sample& s) -> LabelledImage {
    if (input > 0) return {s.inputs[input], {}, {}};
    return {s.inputs[input], boxes_on_canvas(s), s.mask};
  };
  CounterRandom draw({seed, 4, e, i});
  const bool mosaic =
      images_ && draw.uniform() < augment_.mosaic && (augment_.mosaic_epochs == 0 || epoch < augment_.mosaic_epochs);
  std::array<LabelledImage, 3> others;
  for (LabelledImage& other : others) {
    if (!mosaic) break;
    OCTET_ASSIGN(const Sample chosen,
                 data_->get(static_cast<int64_t>(draw.below(static_cast<uint64_t>(data_->size())))));
    other = labelled_of(chosen);
  }
  OCTET_ASSIGN(LabelledImage changed,
               augment(labelled_of(*sample), augment_, CounterRandom({seed, 1, e, i}), mosaic ? &others : nullptr));
  sample->inputs[input] = std::move(changed.image);
  if (input > 0) return Status::ok();
  sample->targets = std::move(changed.boxes);
  sample->mask = std::move(changed.mask);
  return Status::ok();
}

Result<TrainingSample> TrainingSamples::get(int64_t index, uint64_t seed, int64_t epoch) const {
  TrainingSample sample;
  OCTET_ASSIGN(static_cast<Sample&>(sample), data_->get(index));
  for (size_t k = 0; k < sample.inputs.size(); ++k) {
    const Status changed = augment_input(&sample, k, index, seed, epoch);
    if (!changed.is_ok()) return changed.at("sample " + sample.name);
    if (!images_) continue;
    Result<Tensor> input = normalised(sample.inputs[k]);
    if (!input.is_ok()) return input.status().at("sample " + sample.name);
    sample.inputs[k] = std::move(input).value();
  }
  return sample;
}

}  // namespace octet
