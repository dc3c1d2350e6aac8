#include "training/loop/label_loss.h"

namespace octet::training {
namespace {

// The task that the data is labelled for; none when it is not labelled.
std::optional<Task> task_of(const Dataset& data) {
  if (data.has_boxes()) return Task::kDetection;
  if (data.has_masks()) return Task::kSegmentation;
  return data.has_labels() ? std::optional<Task>(Task::kClassification) : std::nullopt;
}

}  // namespace

Result<std::unique_ptr<LabelLoss>> make_label_loss(const TrainJob& job, const Dataset& data,
                                                   const Dataset* validation) {
  const Task task = job.recipe.task;
  const std::optional<Task> given = task_of(data);
  const bool teacher = job.recipe.distillation.enabled && job.teacher != nullptr;
  if (!given || (*given != task && teacher)) return std::unique_ptr<LabelLoss>();
  if (*given == Task::kDetection && job.recipe.train_data &&
      job.recipe.train_data->detection.decoder == Decoder::kFastestDet)
    return make_detection_loss(job, data);  // says why not, whatever the task
  if (*given != task)
    return invalid_argument(std::string("the training data is labelled for ") + task_name(*given) +
                            " and the task is " + task_name(task) + "; set 'task: " + task_name(*given) +
                            "' in the recipe, or give other data");
  if (validation != nullptr && task_of(*validation) != task)
    return invalid_argument(std::string("the validation data has no labels for ") + task_name(task) +
                            "; give labelled data, or none");
  if (task != Task::kClassification && job.recipe.augmentation.mixup > 0)
    return invalid_argument("mixup is for classification; take it out of the recipe's augmentation");
  if (task == Task::kDetection) return make_detection_loss(job, data);
  return task == Task::kSegmentation ? make_segmentation_loss(job, data) : make_classification_loss(job, data);
}

}  // namespace octet::training
