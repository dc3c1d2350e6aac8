#include <algorithm>

#include "training/loop/label_loss.h"
#include "training/loop/losses.h"

namespace octet::training {
namespace {

// The classes that the first output is known to have; 0 when it is not.
int64_t known_classes(const Graph& graph) {
  const auto& shape = graph.value(graph.outputs[0]).shape;
  if (!shape || shape->size() != 2 || !(*shape)[1].is_static()) return 0;
  return (*shape)[1].coefficient;
}

Status wrong_classes(int64_t network, const std::string& data) {
  return invalid_argument("the network's output has " + std::to_string(network) + " classes and " + data +
                          "; train a network with as many classes as the data has");
}

Result<at::Tensor> labels_of(const std::vector<int64_t>& labels, const TrainingBatch& batch,
                             const at::Tensor& scores) {
  at::Tensor out = at::empty({static_cast<int64_t>(labels.size())}, at::kLong);
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0)
      return invalid_argument("training sample #" + std::to_string(batch.samples[i]) + " has no label");
    if (labels[i] >= scores.size(1))
      return wrong_classes(scores.size(1),
                           "a training sample has the label " + std::to_string(labels[i]) + " (they count from 0)");
    out.data_ptr<int64_t>()[i] = labels[i];
  }
  return out.to(scores.device());
}

class ClassificationLoss : public LabelLoss {
 public:
  explicit ClassificationLoss(double smoothing) : smoothing_(smoothing) {}
  const char* score_name() const override { return "val_top1"; }

  Result<std::vector<LossTerm>> terms(const NetworkOutput& output, const TrainingBatch& batch,
                                      bool training) override {
    const at::Tensor& scores = output.scores;
    if (scores.dim() != 2)
      return invalid_argument("classification needs an output [batch, classes], and the network's has " +
                              std::to_string(scores.dim()) + " dimensions");
    Targets targets;
    OCTET_ASSIGN(targets.labels, labels_of(batch.labels, batch, scores));
    if (!batch.partner_labels.empty()) {
      OCTET_ASSIGN(targets.partner_labels, labels_of(batch.partner_labels, batch, scores));
      targets.lambda = batch.lambda;
    }
    const auto n = static_cast<double>(batch.samples.size());
    return std::vector<LossTerm>{{cross_entropy(scores, targets, training ? smoothing_ : 0) * n, n, true}};
  }

  Status score(const NetworkOutput& output, const TrainingBatch& batch, ValidationScore* score) override {
    const at::Tensor& scores = output.scores;
    OCTET_ASSIGN(const at::Tensor labels, labels_of(batch.labels, batch, scores));
    const int64_t k = std::min<int64_t>(5, scores.size(1));
    const at::Tensor hits = std::get<1>(scores.to(at::kFloat).topk(k, 1)).eq(labels.unsqueeze(1));
    score->labelled += static_cast<int64_t>(batch.samples.size());
    score->top1 += hits.select(1, 0).sum().item<int64_t>();
    score->top5 += hits.sum().item<int64_t>();
    return Status::ok();
  }

 private:
  double smoothing_;
};

}  // namespace

Result<std::unique_ptr<LabelLoss>> make_classification_loss(const TrainJob& job, const Dataset& data) {
  const int64_t classes = known_classes(*job.graph);
  if (classes > 0 && data.num_classes() > classes)
    return wrong_classes(classes, "the data has " + std::to_string(data.num_classes()));
  return std::unique_ptr<LabelLoss>(std::make_unique<ClassificationLoss>(job.recipe.label_smoothing));
}

}  // namespace octet::training
