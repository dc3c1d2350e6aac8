#include <algorithm>
#include <cmath>

#include "base/files.h"
#include "octet/quantization.h"
#include "pipeline/image_runner.h"
#include "training/loop/device.h"
#include "training/loop/input_units.h"
#include "training/loop/trainer.h"

namespace octet::training {

Status Trainer::set_up() {
  if (job_.graph == nullptr) return internal_error("a training job needs a graph");
  if (processes_.size() > 1 && group_ == nullptr)
    return internal_error("training needs the processes that join_processes gives");
  OCTET_ASSIGN(device_, parse_device(job_.device));
  if (recipe_.mixed_precision && device_.is_cpu())
    notes_.emplace_back("mixed_precision acts on CUDA; on the CPU everything is float32");
  OCTET_RETURN_IF_ERROR(fit_batches());
  OCTET_RETURN_IF_ERROR(open_data());
  OCTET_RETURN_IF_ERROR(make_module());
  OCTET_RETURN_IF_ERROR(choose_units());
  OCTET_ASSIGN(objective_,
               Objective::create(job_, train_data_->dataset(), val_data_ ? &val_data_->dataset() : nullptr,
                                 module_.get(), device_, processes_));
  make_optimizer();
  return Status::ok();
}

// A network may run batches of one size only: then several of them make one step of the optimizer.
Status Trainer::fit_batches() {
  for (const InputInfo& input : network_inputs(*job_.graph)) {
    const int64_t fixed = input.dims.empty() ? 0 : input.dims[0];
    if (fixed <= 0) continue;
    recipe_.val_batch_size = fixed;
    if (recipe_.batch_size == fixed) continue;
    if (processes_.size() > 1 || recipe_.batch_size % fixed != 0)
      return invalid_argument("the network runs batches of " + std::to_string(fixed) +
                              " only; set batch_size to that, or export it with a free batch");
    recipe_.batch_accumulate *= static_cast<int>(recipe_.batch_size / fixed);
    recipe_.batch_size = fixed;
    notes_.push_back("the network runs batches of " + std::to_string(fixed) + " only, so " +
                     std::to_string(recipe_.batch_accumulate) + " of them make one step of the optimizer");
  }
  return Status::ok();
}

Status Trainer::open_data() {
  if (!recipe_.train_data)
    return invalid_argument(recipe_.source + ": there is no training data; give 'train_data' or --data");
  const std::vector<InputInfo> inputs = network_inputs(*job_.graph);
  OCTET_ASSIGN(train_data_, TrainingSamples::open(*recipe_.train_data, inputs, recipe_.augmentation));
  if (recipe_.val_data) {
    OCTET_ASSIGN(val_data_, TrainingSamples::open(*recipe_.val_data, inputs));
  }
  return Status::ok();
}

Status Trainer::make_module() {
  TrainableOptions options;
  if (recipe_.batch_norm.mode == BatchNormPolicy::kFrozen) {
    if (recipe_.batch_norm.freeze_after_steps > 0)
      options.freeze_batch_norm_after = recipe_.batch_norm.freeze_after_steps;
    else options.batch_norm = BatchNormMode::kFrozen;
  }
  options.activation_ranges = recipe_.ranges.learning;
  options.weight_ranges =
      recipe_.ranges.learning == RangeLearning::kPact ? RangeLearning::kFixed : recipe_.ranges.learning;
  if (job_.plan != nullptr) {
    OCTET_ASSIGN(module_, TrainableModule::create(*job_.graph, *job_.plan, options));
  } else {
    OCTET_ASSIGN(module_, TrainableModule::create(*job_.graph, options));
  }
  OCTET_RETURN_IF_ERROR(module_->to(device_));
  return module_->channels_last();
}

// The inputs' sizes come from the first training images.
Status Trainer::choose_units() {
  constexpr int64_t kImages = 64;
  std::vector<double> squares(job_.graph->inputs.size()), counts(squares.size()), input_units;
  for (int64_t i : deterministic_subset(train_data_->size(), kImages, 0)) {
    OCTET_ASSIGN(const Sample sample, train_data_->get(i, recipe_.seed, 0));
    for (size_t k = 0; k < sample.inputs.size() && k < squares.size(); ++k) {
      const Tensor& x = sample.inputs[k];
      for (int64_t j = 0; j < x.numel(); ++j) {
        const auto value = static_cast<double>(x.data<float>()[j]);
        squares[k] += value * value;
      }
      counts[k] += static_cast<double>(x.numel());
    }
  }
  for (size_t k = 0; k < squares.size(); ++k)
    input_units.push_back(unit_of_input(std::sqrt(squares[k] / std::max(1.0, counts[k]))));
  units_ = parameter_units(*job_.graph, input_units);
  const std::vector<NamedTensor>& parameters = module_->parameters();
  if (std::any_of(parameters.begin(), parameters.end(),
                  [&](const NamedTensor& p) { return units_.count(p.name) != 0; }))
    notes_.emplace_back(
        "the network takes large numbers, so the weights that read them are trained as if its input was divided by "
        "their size");
  return Status::ok();
}

void Trainer::make_optimizer() {
  const ParameterGroups groups = module_->parameter_groups();
  std::vector<OptimizerGroup> split;
  const auto add = [&](const std::vector<NamedTensor>& parameters, bool is_weight, bool is_range, double lr_ratio) {
    const double decay = takes_weight_decay(recipe_, is_weight, is_range) ? recipe_.optimizer.weight_decay : 0.0;
    std::map<double, OptimizerGroup> by_unit;
    for (const NamedTensor& p : parameters) {
      const auto unit = units_.find(p.name);
      by_unit[unit == units_.end() ? 1 : unit->second].parameters.push_back(p);
    }
    for (auto& [unit, group] : by_unit) split.push_back({std::move(group.parameters), decay, lr_ratio, unit});
  };
  add(groups.decay, true, false, 1);
  add(groups.no_decay, false, false, 1);
  add(groups.ranges, false, true, recipe_.ranges.lr_ratio);
  optimizer_ = std::make_unique<Optimizer>(recipe_.optimizer, std::move(split));
  if (recipe_.ema.enabled) averaged_ = std::make_unique<AveragedWeights>(recipe_.ema, *module_);
}

std::string Trainer::network_id() const {
  std::string id = graph_fingerprint(*job_.graph);
  if (job_.plan != nullptr) id.append("+").append(plan_to_json(*job_.plan));
  return id;
}

std::string Trainer::recipe_id() const {
  return describe_training(recipe_) + "training images: " + std::to_string(train_data_->size()) +
         "\nvalidation images: " + std::to_string(val_data_ ? val_data_->size() : 0) + "\n";
}

// Nothing when there is none; the other processes may not see the folder.
Result<std::string> Trainer::read_checkpoint() const {
  if (!processes_.is_first()) return std::string();
  Result<std::string> bytes = read_file(checkpoint_path(), int64_t{64} << 30);
  if (!bytes.is_ok() && bytes.status().code() == StatusCode::kNotFound) return std::string();
  if (bytes.is_ok() && bytes->empty()) return data_corrupt("the file is empty").at(checkpoint_path());
  return bytes;
}

// Options for this process's part of every batch.
LoaderOptions Trainer::shared_loader(int64_t batch_size) const {
  LoaderOptions options;
  options.rank = processes_.rank();
  options.world_size = processes_.size();
  options.batch_size = std::max<int64_t>(batch_size, options.world_size);
  return options;
}

// The same job everywhere, from the same weights.
Status Trainer::begin_together() {
  state_.network = network_id();
  state_.recipe = recipe_id();
  if (group_ != nullptr) {
    const std::string id = state_.network + "\n" + state_.recipe;
    OCTET_ASSIGN(const std::vector<std::string> ids, processes_.all_gather(id));
    for (size_t r = 0; r < ids.size(); ++r)
      if (ids[r] != ids[0])
        return invalid_argument("process " + std::to_string(r) +
                                " has another network, recipe or number of images than process 0; start all with the "
                                "same command and data");
    OCTET_ASSIGN(const std::string weights, processes_.from_first(module_->save_state()));
    OCTET_RETURN_IF_ERROR(module_->load_state(weights));
    if (averaged_) averaged_ = std::make_unique<AveragedWeights>(recipe_.ema, *module_);
  }
  return processes_.agree(resume_or_begin());
}

// The state of the checkpoint in the folder, when there is one.
Status Trainer::resume() {
  const std::string path = checkpoint_path();
  OCTET_ASSIGN(const std::string bytes, processes_.from_first(read_checkpoint()));
  if (bytes.empty()) {
    notes_.emplace_back("there is no checkpoint to resume from, so training began anew");
    return Status::ok();
  }
  Result<Checkpoint> loaded = decode_checkpoint(bytes);
  if (!loaded.is_ok()) return loaded.status().at(path);
  const Status fits = check_belongs(*loaded, state_.network, state_.recipe);
  if (!fits.is_ok()) return fits.at(path);
  state_ = std::move(loaded).value();
  OCTET_RETURN_IF_ERROR(module_->load_state(state_.module));
  OCTET_RETURN_IF_ERROR(optimizer_->load_state(state_.optimizer, state_.optimizer_steps));
  if (averaged_) OCTET_RETURN_IF_ERROR(averaged_->load_state(state_.averaged, state_.averaged_updates));
  std::string note = "resumed after " + std::to_string(state_.step);
  note.append(" of ").append(std::to_string(total_steps())).append(" steps");
  notes_.push_back(std::move(note));
  return Status::ok();
}

Status Trainer::resume_or_begin() {
  LoaderOptions options = shared_loader(recipe_.batch_size);
  options.batch_size = recipe_.batch_size;  // too few images for the processes are refused
  options.drop_last = recipe_.drop_last;
  per_epoch_ = std::max<int64_t>(1, batches_per_epoch(train_data_->size(), options));  // 0 is refused below
  if (job_.resume && !job_.folder.empty()) OCTET_RETURN_IF_ERROR(resume());
  options.seed = recipe_.seed;
  options.workers = recipe_.workers;
  options.mixup = recipe_.augmentation.mixup;
  options.first_step = state_.step;
  options.end_step = total_steps();
  options.cancel = job_.run.cancel;
  OCTET_ASSIGN(loader_, BatchLoader::create(*train_data_, options));
  if (job_.folder.empty() || !processes_.is_first()) return Status::ok();
  OCTET_ASSIGN(log_, ScalarLog::open(job_.folder, state_.step, recipe_.tensorboard));
  return Status::ok();
}

}  // namespace octet::training
