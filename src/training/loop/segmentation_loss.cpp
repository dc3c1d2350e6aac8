#include <algorithm>
#include <cstring>

#include "training/loop/label_loss.h"
#include "training/loop/pixel_losses.h"

namespace octet::training {
namespace {

std::string shape_text(const at::Tensor& x) { return dims_to_string(Dims(x.sizes().begin(), x.sizes().end())); }

// The classes that the first output is known to have; 0 when it is not, -1 when it is no output of scores.
int64_t known_classes(const Graph& graph) {
  const Value& output = graph.value(graph.outputs[0]);
  if (!output.shape) return 0;
  if (output.shape->size() != 4) return -1;
  const Dim& classes = (*output.shape)[1];
  return classes.is_static() ? classes.coefficient : 0;
}

class SegmentationLoss : public LabelLoss {
 public:
  explicit SegmentationLoss(const TrainingRecipe& recipe)
      : smoothing_(recipe.label_smoothing), dice_weight_(recipe.loss_options.dice_weight) {}
  const char* score_name() const override { return "val_miou"; }

  Result<std::vector<LossTerm>> terms(const NetworkOutput& output, const TrainingBatch& batch,
                                      bool training) override {
    OCTET_ASSIGN(const at::Tensor scores, scores_of(output, batch));
    OCTET_ASSIGN(const at::Tensor labels, labels_of(batch, scores));
    const auto pixels = labels.ne(kIgnoredPixel).sum().item<int64_t>();
    std::vector<LossTerm> terms = {{pixel_cross_entropy(scores, labels, kIgnoredPixel, training ? smoothing_ : 0),
                                    static_cast<double>(pixels), false}};
    if (dice_weight_ > 0)
      terms.push_back(
          {dice_loss(scores, labels, kIgnoredPixel) * dice_weight_, static_cast<double>(batch.samples.size()), true});
    return terms;
  }

  Status score(const NetworkOutput& output, const TrainingBatch& batch, ValidationScore* score) override {
    OCTET_ASSIGN(const at::Tensor scores, scores_of(output, batch));
    OCTET_ASSIGN(const Tensor predicted, from_torch(scores.argmax(1).to(at::kCPU).contiguous()));
    if (!score->pixels) score->pixels.emplace(scores.size(1), kIgnoredPixel);
    return score->pixels->add(predicted, batch.masks);
  }

 private:
  // [n, classes, h, w] in the size of the masks.
  static Result<at::Tensor> scores_of(const NetworkOutput& output, const TrainingBatch& batch) {
    at::Tensor scores = output.scores;
    if (batch.masks.rank() != 3) return invalid_argument("the data has no masks; give data of kind masks");
    if (scores.dim() != 4 || scores.size(1) < 2 || !scores.is_floating_point())
      return invalid_argument(
          "segmentation needs an output [batch, classes, height, width] of scores for two or more "
          "classes, and the network's has shape " +
          shape_text(scores));
    if (scores.scalar_type() != at::kDouble) scores = scores.to(at::kFloat);
    const int64_t h = batch.masks.dim(1), w = batch.masks.dim(2);
    if (scores.size(2) == h && scores.size(3) == w) return scores;
    return at::upsample_bilinear2d(scores, {h, w}, false);
  }

  static Result<at::Tensor> labels_of(const TrainingBatch& batch, const at::Tensor& scores) {
    const uint8_t* bytes = batch.masks.data<uint8_t>();
    const int64_t plane = batch.masks.dim(1) * batch.masks.dim(2), classes = scores.size(1);
    for (int64_t i = 0; i < batch.masks.numel(); ++i)
      if (bytes[i] >= classes && bytes[i] != kIgnoredPixel)
        return invalid_argument("the mask of image '" + batch.names[static_cast<size_t>(i / plane)] +
                                "' holds class " + std::to_string(bytes[i]) +
                                ", and the network knows the classes 0 to " + std::to_string(classes - 1) +
                                " (255 marks pixels without a class)");
    at::Tensor host = at::empty({batch.masks.dim(0), batch.masks.dim(1), batch.masks.dim(2)}, at::kByte);
    std::memcpy(host.data_ptr<uint8_t>(), bytes, static_cast<size_t>(batch.masks.numel()));
    return host.to(scores.device()).to(at::kLong);
  }

  double smoothing_, dice_weight_;
};

}  // namespace

Result<std::unique_ptr<LabelLoss>> make_segmentation_loss(const TrainJob& job, const Dataset& data) {
  const int64_t classes = known_classes(*job.graph);
  if (classes < 0 || classes == 1)
    return invalid_argument(
        "segmentation needs an output [batch, classes, height, width] of scores for two or more classes, and the "
        "network has another one; 'octet qat --distill' works for any output");
  if (classes > 0 && data.num_classes() > classes)
    return invalid_argument("the network knows " + std::to_string(classes) + " classes and the data has " +
                            std::to_string(data.num_classes()) +
                            "; train a network with as many classes as the data has");
  return std::unique_ptr<LabelLoss>(std::make_unique<SegmentationLoss>(job.recipe));
}

}  // namespace octet::training
