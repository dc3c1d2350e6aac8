#include "training/loop/objective.h"

#include <algorithm>

#include "training/loop/losses.h"

namespace octet::training {
namespace {

bool is_softmax(const Node& node) { return node.is("Softmax") || node.is("LogSoftmax"); }

}  // namespace

Result<std::unique_ptr<Objective>> Objective::create(const TrainJob& job, const Dataset& data,
                                                     const Dataset* validation, TrainableModule* module,
                                                     at::Device device, Processes& processes) {
  std::unique_ptr<Objective> out(new Objective(job, module, device, processes));
  const bool teacher = job.teacher != nullptr && job.recipe.distillation.enabled;
  if (job.graph->outputs.empty()) return invalid_argument("the network has no output");
  if (!teacher || job.recipe.distillation.weight < 1) {
    OCTET_ASSIGN(out->labels_, make_label_loss(job, data, validation));
  }
  if (!out->labels_ && !teacher)
    return invalid_argument("the training data has no labels; give labelled data, or --distill for fine-tuning");
  OCTET_RETURN_IF_ERROR(out->keep_values(*job.graph));
  if (teacher) OCTET_RETURN_IF_ERROR(out->add_teacher(*job.teacher));
  return out;
}

// A loss wants logits: a Softmax at the end is looked behind.
Status Objective::keep_values(const Graph& graph) {
  const int64_t producer = GraphIndex(graph).producer(graph.outputs[0]);
  std::vector<std::string> kept =
      recipe_.distillation.enabled ? recipe_.distillation.features : std::vector<std::string>{};
  if (producer >= 0 && is_softmax(graph.nodes[static_cast<size_t>(producer)])) {
    scores_name_ = graph.value(graph.nodes[static_cast<size_t>(producer)].inputs[0]).name;
    kept.push_back(scores_name_);
  }
  if (labels_)
    for (const std::string& name : labels_->kept_names()) kept.push_back(name);
  return kept.empty() ? Status::ok() : module_->keep(kept);
}

Status Objective::add_teacher(const Graph& graph) {
  TrainableOptions frozen;
  frozen.batch_norm = BatchNormMode::kFrozen;
  Result<std::unique_ptr<TrainableModule>> made = TrainableModule::create(graph, frozen);
  if (!made.is_ok()) return made.status().at("the teacher");
  teacher_ = std::move(made).value();
  std::vector<std::string> kept = recipe_.distillation.features;
  if (!scores_name_.empty()) kept.push_back(scores_name_);
  if (!kept.empty()) {
    const Status status = teacher_->keep(kept);
    if (!status.is_ok()) return status.at("the teacher");
  }
  OCTET_RETURN_IF_ERROR(teacher_->to(device_));
  teacher_->eval();
  return Status::ok();
}

at::Tensor Objective::scores(const TrainableModule& module, const std::vector<at::Tensor>& outputs) const {
  return scores_name_.empty() ? outputs[0] : module.kept(scores_name_);
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

Result<at::Tensor> Objective::teacher_loss(const std::vector<at::Tensor>& inputs,
                                           const std::vector<at::Tensor>& outputs) {
  std::vector<at::Tensor> wanted;
  {
    const at::NoGradGuard no_grad;
    OCTET_ASSIGN(wanted, teacher_->forward(inputs));
  }
  const DistillationOptions& d = recipe_.distillation;
  at::Tensor loss = distillation_loss(scores(*module_, outputs), scores(*teacher_, wanted), d.temperature);
  for (size_t i = 1; i < outputs.size(); ++i) loss = loss + distillation_loss(outputs[i], wanted[i], d.temperature);
  if (d.feature_weight > 0)
    for (const std::string& name : d.features)
      loss = loss + feature_loss(module_->kept(name), teacher_->kept(name)) * d.feature_weight;
  return loss;
}

Result<std::vector<LossTerm>> Objective::label_terms(const std::vector<at::Tensor>& outputs,
                                                     const TrainingBatch& batch, bool training) {
  if (!labels_) return std::vector<LossTerm>{};
  return labels_->terms({*module_, outputs, scores(*module_, outputs)}, batch, training);
}

Result<std::vector<LossTerm>> Objective::train_terms(const TrainingBatch& batch) {
  OCTET_ASSIGN(const std::vector<at::Tensor> inputs, inputs_of(batch));
  OCTET_ASSIGN(const std::vector<at::Tensor> outputs, module_->forward(inputs));
  OCTET_ASSIGN(std::vector<LossTerm> terms, label_terms(outputs, batch, true));
  if (!teacher_) return terms;
  const double share = recipe_.distillation.weight, n = static_cast<double>(batch.samples.size());
  if (labels_)
    for (LossTerm& term : terms) term.sum = term.sum * (1 - share);
  OCTET_ASSIGN(const at::Tensor taught, teacher_loss(inputs, outputs));
  terms.push_back({taught * (labels_ ? share * n : n), n, true});
  return terms;
}

Result<at::Tensor> Objective::train(const TrainingBatch& batch) {
  const Result<std::vector<LossTerm>> terms = train_terms(batch);
  // Where others may be waiting for this process's counts, they get its error instead; the classification's loss
  // needs no counts, and its error travels with the loss.
  if (!terms.is_ok() && labels_ && recipe_.task != Task::kClassification)
    return processes_.sum(terms.status()).status();
  if (!terms.is_ok()) return terms.status();
  at::Tensor loss;
  for (const LossTerm& term : *terms) {
    double all = static_cast<double>(batch.global_size);
    if (!term.by_images) {
      OCTET_ASSIGN(all, processes_.sum(batch.is_padding ? 0 : term.count));
    }
    const at::Tensor part = term.sum * (batch.is_padding ? 0 : 1 / std::max(all, 1.0));
    loss = loss.defined() ? loss + part : part;
  }
  return loss;
}

Status Objective::validate(const TrainingBatch& batch, ValidationScore* score) {
  const at::NoGradGuard no_grad;
  OCTET_ASSIGN(const std::vector<at::Tensor> inputs, inputs_of(batch));
  OCTET_ASSIGN(const std::vector<at::Tensor> outputs, module_->forward(inputs));
  OCTET_ASSIGN(std::vector<LossTerm> terms, label_terms(outputs, batch, false));
  const auto n = static_cast<double>(batch.samples.size());
  if (!labels_) {
    OCTET_ASSIGN(const at::Tensor taught, teacher_loss(inputs, outputs));
    terms.push_back({taught * n, n, true});
  }
  for (size_t i = 0; i < terms.size(); ++i) score->add_loss(i, terms[i].sum.item<double>(), terms[i].count);
  score->images += static_cast<int64_t>(batch.samples.size());
  if (!labels_) return Status::ok();
  return labels_->score({*module_, outputs, scores(*module_, outputs)}, batch, score);
}

}  // namespace octet::training
