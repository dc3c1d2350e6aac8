#include "training/loop/objective.h"

#include <algorithm>

namespace octet::training {
namespace {

bool is_softmax(const Node& node) { return node.is("Softmax") || node.is("LogSoftmax"); }

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

}  // namespace

Result<std::unique_ptr<Objective>> Objective::create(const TrainJob& job, const Dataset& data,
                                                     TrainableModule* module, at::Device device) {
  std::unique_ptr<Objective> out(new Objective(job, module, device));
  const bool teacher = job.teacher != nullptr && job.recipe.distillation.enabled;
  const bool classifies = job.recipe.task == Task::kClassification;
  if (!classifies && !teacher)
    return unsupported(std::string("networks for ") + task_name(job.recipe.task) +
                       " have no loss on labels here; 'octet qat --distill' trains them with the float network as "
                       "teacher");
  out->uses_labels_ = classifies && data.has_labels() && (!teacher || job.recipe.distillation.weight < 1);
  if (!out->uses_labels_ && !teacher)
    return invalid_argument("the training data has no labels; give labelled data, or --distill for fine-tuning");
  if (job.graph->outputs.empty()) return invalid_argument("the network has no output");
  OCTET_RETURN_IF_ERROR(out->find_logits(*job.graph));
  const int64_t classes = known_classes(*job.graph);
  if (out->uses_labels_ && classes > 0 && data.num_classes() > classes)
    return wrong_classes(classes, "the data has " + std::to_string(data.num_classes()));
  if (teacher) OCTET_RETURN_IF_ERROR(out->add_teacher(*job.teacher));
  return out;
}

// A loss wants logits: a Softmax at the end is looked behind.
Status Objective::find_logits(const Graph& graph) {
  const int64_t producer = GraphIndex(graph).producer(graph.outputs[0]);
  std::vector<std::string> kept =
      recipe_.distillation.enabled ? recipe_.distillation.features : std::vector<std::string>{};
  if (producer >= 0 && is_softmax(graph.nodes[static_cast<size_t>(producer)])) {
    logits_name_ = graph.value(graph.nodes[static_cast<size_t>(producer)].inputs[0]).name;
    kept.push_back(logits_name_);
  }
  return kept.empty() ? Status::ok() : module_->keep(kept);
}

Status Objective::add_teacher(const Graph& graph) {
  TrainableOptions frozen;
  frozen.batch_norm = BatchNormMode::kFrozen;
  Result<std::unique_ptr<TrainableModule>> made = TrainableModule::create(graph, frozen);
  if (!made.is_ok()) return made.status().at("the teacher");
  teacher_ = std::move(made).value();
  std::vector<std::string> kept = recipe_.distillation.features;
  if (!logits_name_.empty()) kept.push_back(logits_name_);
  if (!kept.empty()) {
    const Status status = teacher_->keep(kept);
    if (!status.is_ok()) return status.at("the teacher");
  }
  OCTET_RETURN_IF_ERROR(teacher_->to(device_));
  teacher_->eval();
  return Status::ok();
}

at::Tensor Objective::logits(const TrainableModule& module, const std::vector<at::Tensor>& outputs) const {
  return logits_name_.empty() ? outputs[0] : module.kept(logits_name_);
}

Result<std::vector<at::Tensor>> Objective::inputs_of(const TrainingBatch& batch) const {
  std::vector<at::Tensor> inputs;
  for (const Tensor& x : batch.inputs) {
    OCTET_ASSIGN(const at::Tensor host, to_torch(x));
    at::Tensor there = host.to(device_);
    if (there.dim() == 4) there = there.contiguous(at::MemoryFormat::ChannelsLast);
    inputs.push_back(std::move(there));
  }
  return inputs;
}

Result<at::Tensor> Objective::labels_of(const std::vector<int64_t>& labels, const TrainingBatch& batch,
                                        int64_t classes) const {
  at::Tensor out = at::empty({static_cast<int64_t>(labels.size())}, at::kLong);
  for (size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0)
      return invalid_argument("training sample #" + std::to_string(batch.samples[i]) + " has no label");
    if (labels[i] >= classes)
      return wrong_classes(classes,
                           "a training sample has the label " + std::to_string(labels[i]) + " (they count from 0)");
    out.data_ptr<int64_t>()[i] = labels[i];
  }
  return out.to(device_);
}

Result<at::Tensor> Objective::teacher_loss(const std::vector<at::Tensor>& inputs,
                                           const std::vector<at::Tensor>& outputs) {
  std::vector<at::Tensor> wanted;
  {
    const at::NoGradGuard no_grad;
    OCTET_ASSIGN(wanted, teacher_->forward(inputs));
  }
  const DistillationOptions& d = recipe_.distillation;
  at::Tensor loss = distillation_loss(logits(*module_, outputs), logits(*teacher_, wanted), d.temperature);
  for (size_t i = 1; i < outputs.size(); ++i) loss = loss + distillation_loss(outputs[i], wanted[i], d.temperature);
  if (d.feature_weight > 0)
    for (const std::string& name : d.features)
      loss = loss + feature_loss(module_->kept(name), teacher_->kept(name)) * d.feature_weight;
  return loss;
}

Result<at::Tensor> Objective::loss_of(const std::vector<at::Tensor>& inputs, const std::vector<at::Tensor>& outputs,
                                      const TrainingBatch& batch, bool training) {
  at::Tensor loss;
  if (uses_labels_) {
    const at::Tensor scores = logits(*module_, outputs);
    if (scores.dim() != 2)
      return invalid_argument("classification needs an output [batch, classes], and the network's has " +
                              std::to_string(scores.dim()) + " dimensions");
    Targets targets;
    OCTET_ASSIGN(targets.labels, labels_of(batch.labels, batch, scores.size(1)));
    if (!batch.partner_labels.empty()) {
      OCTET_ASSIGN(targets.partner_labels, labels_of(batch.partner_labels, batch, scores.size(1)));
      targets.lambda = batch.lambda;
    }
    loss = cross_entropy(scores, targets, training ? recipe_.label_smoothing : 0);
  }
  if (!teacher_ || (!training && uses_labels_)) return loss;
  OCTET_ASSIGN(at::Tensor taught, teacher_loss(inputs, outputs));
  const double share = recipe_.distillation.weight;
  return loss.defined() ? loss * (1 - share) + taught * share : taught;
}

Result<Objective::Figures> Objective::train(const TrainingBatch& batch) {
  OCTET_ASSIGN(const std::vector<at::Tensor> inputs, inputs_of(batch));
  OCTET_ASSIGN(const std::vector<at::Tensor> outputs, module_->forward(inputs));
  Figures figures;
  figures.logits = logits(*module_, outputs);
  OCTET_ASSIGN(figures.loss, loss_of(inputs, outputs, batch, true));
  return figures;
}

Status Objective::validate(const TrainingBatch& batch, Score* score) {
  const at::NoGradGuard no_grad;
  OCTET_ASSIGN(const std::vector<at::Tensor> inputs, inputs_of(batch));
  OCTET_ASSIGN(const std::vector<at::Tensor> outputs, module_->forward(inputs));
  OCTET_ASSIGN(const at::Tensor loss, loss_of(inputs, outputs, batch, false));
  const auto n = static_cast<int64_t>(batch.samples.size());
  score->loss_sum += loss.item<double>() * static_cast<double>(n);
  score->images += n;
  if (!uses_labels_) return Status::ok();
  const at::Tensor scores = logits(*module_, outputs);
  OCTET_ASSIGN(const at::Tensor labels, labels_of(batch.labels, batch, scores.size(1)));
  const int64_t k = std::min<int64_t>(5, scores.size(1));
  const at::Tensor hits = std::get<1>(scores.to(at::kFloat).topk(k, 1)).eq(labels.unsqueeze(1));
  score->top1 += hits.select(1, 0).sum().item<int64_t>();
  score->top5 += hits.sum().item<int64_t>();
  return Status::ok();
}

}  // namespace octet::training
