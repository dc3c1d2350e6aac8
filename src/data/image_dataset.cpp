#include "data/datasets.h"
#include "data/preprocess.h"

namespace octet {
namespace {

class ImageDataset : public Dataset {
 public:
  ImageDataset(ImageSourcePtr source, PreprocessPlan plan, InputInfo input, bool may_flatten)
      : source_(std::move(source)), plan_(std::move(plan)), input_(std::move(input)), may_flatten_(may_flatten) {}

  int64_t size() const override { return source_->size(); }
  int64_t num_classes() const override { return source_->num_classes(); }
  std::vector<std::string> class_names() const override { return source_->class_names(); }
  bool has_labels() const override { return source_->has_labels(); }
  bool has_boxes() const override { return source_->has_boxes(); }
  bool has_masks() const override { return source_->has_masks(); }
  std::string describe() const override { return source_->describe() + "; " + describe_plan(plan_); }

  std::vector<std::string> notes() const override { return source_->notes(); }

  Result<Sample> get(int64_t index) const override {
    if (index < 0 || index >= size())
      return invalid_argument("sample " + std::to_string(index) + " does not exist; the data set has " +
                              std::to_string(size()));
    try {
      return prepare(index);
    } catch (const std::bad_alloc&) {
      return resource_limit("not enough memory for image " + source_->name(index));
    }
  }

 private:
  Result<Sample> prepare(int64_t index) const {
    Sample sample;
    sample.name = source_->name(index);
    sample.label = source_->label(index);
    OCTET_ASSIGN(const Image image, source_->image(index));
    OCTET_ASSIGN(sample.boxes, source_->boxes(index, image.width, image.height));
    Result<Tensor> tensor = prepare_image(plan_, image, &sample.placement);
    if (!tensor.is_ok()) return tensor.status().at("image " + sample.name);
    Result<Tensor> fitted = fit_image(*tensor, input_, may_flatten_);
    if (!fitted.is_ok()) return fitted.status().at("image " + sample.name);
    sample.inputs.push_back(std::move(fitted).value());
    if (!source_->has_masks()) return sample;
    OCTET_ASSIGN(const Image mask, source_->mask(index));
    if (mask.width != image.width || mask.height != image.height)
      return invalid_argument("the mask of image '" + sample.name + "' has " + std::to_string(mask.width) + " x " +
                              std::to_string(mask.height) + " pixels and the image " + std::to_string(image.width) +
                              " x " + std::to_string(image.height) + "; a mask must have its image's size");
    OCTET_ASSIGN(sample.mask, prepare_mask(plan_, mask));
    return sample;
  }

  ImageSourcePtr source_;
  PreprocessPlan plan_;
  InputInfo input_;
  bool may_flatten_;
};

}  // namespace

Result<DatasetPtr> make_image_dataset(const DataSpec& spec, ImageSourcePtr source,
                                      const std::vector<InputInfo>& inputs) {
  if (inputs.size() > 1)
    return invalid_argument("the network has " + std::to_string(inputs.size()) + " inputs but data of kind " +
                            data_kind_name(spec.kind) +
                            " has one image a sample; use kind npz with one array an input");
  if (!spec.inputs.empty()) return invalid_argument("the key 'inputs' is for kind npz only");
  const InputInfo input = inputs.empty() ? InputInfo{"", DType::kUndefined, {}} : inputs[0];
  OCTET_ASSIGN(PreprocessPlan plan, make_preprocess_plan(spec, input));
  if (input.dtype != DType::kUndefined && plan.dtype != input.dtype)
    return invalid_argument(std::string("preprocess makes ") + dtype_name(plan.dtype) + " but input '" + input.name +
                            "' of the network takes " + dtype_name(input.dtype) + "; change the key 'dtype'");
  return DatasetPtr(
      std::make_unique<ImageDataset>(std::move(source), std::move(plan), input, spec.preprocess.layout.has_value()));
}

}  // namespace octet
