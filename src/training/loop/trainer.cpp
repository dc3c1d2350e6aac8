#include "training/loop/trainer.h"

#include <cmath>
#include <cstdio>

#include "base/counter_random.h"
#include "base/files.h"
#include "pipeline/image_runner.h"
#include "training/loop/device.h"

namespace octet::training {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

bool is_cancelled(const RunOptions& run) { return run.cancel != nullptr && run.cancel->load(); }

std::string short_number(double x) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", x);
  return text;
}

// LibTorch's number of threads, given back afterwards.
class Threads {
 public:
  explicit Threads(int wanted) : before_(at::get_num_threads()) { at::set_num_threads(resolve_threads(wanted)); }
  ~Threads() { at::set_num_threads(before_); }

 private:
  int before_;
};

}  // namespace

Result<TrainResult> Trainer::run() {
  const Threads threads(job_.run.threads);
  OCTET_RETURN_IF_ERROR(processes_.agree(set_up()));
  OCTET_RETURN_IF_ERROR(begin_together());
  if (job_.plan != nullptr && state_.step == 0) OCTET_RETURN_IF_ERROR(score_start());
  while (state_.step < total_steps() || is_unfinished()) OCTET_RETURN_IF_ERROR(run_epoch());
  return finish();
}

// Fine-tuning must not give less than it was given: the calibrated network is the first candidate.
Status Trainer::score_start() {
  if (!val_data_) return Status::ok();
  EpochRecord start;
  OCTET_RETURN_IF_ERROR(validate(&start));
  OCTET_ASSIGN(state_.best_module, module_->save_state());
  state_.best_score = score_of(start);
  return Status::ok();
}

Status Trainer::run_epoch() {
  // A run that was interrupted while it validated comes back with all steps of the epoch done.
  const int64_t end = is_unfinished() ? state_.step : (epoch() + 1) * per_epoch_;
  const std::string stage = "epoch " + std::to_string(end / per_epoch_) + "/" + std::to_string(recipe_.max_epochs);
  auto begin = Clock::now();
  module_->train();
  int64_t images = 0;
  while (state_.step < end) {
    Result<std::optional<TrainingBatch>> batch = next_batch();
    if (!batch.is_ok() && batch.status().code() == StatusCode::kCancelled) return pause();
    if (!batch.is_ok()) return batch.status();
    if (!batch->has_value()) return internal_error("the loader ended before the epochs");
    OCTET_RETURN_IF_ERROR(train_step(**batch));
    images += (*batch)->global_size;
    if (job_.run.progress)
      job_.run.progress(stage, (state_.step - (end - per_epoch_)) * recipe_.batch_size,
                        per_epoch_ * recipe_.batch_size);
    const bool due = recipe_.checkpoint_every_steps > 0 && state_.step % recipe_.checkpoint_every_steps == 0;
    if (!due || state_.step == end || !at_boundary()) continue;
    state_.seconds += seconds_since(begin);
    begin = Clock::now();
    OCTET_RETURN_IF_ERROR(save_checkpoint());
  }
  return finish_epoch(seconds_since(begin), images);
}

// All processes have a batch, or none has.
Result<std::optional<TrainingBatch>> Trainer::next_batch() {
  Result<std::optional<TrainingBatch>> batch =
      is_cancelled(job_.run) ? Result<std::optional<TrainingBatch>>(cancelled("interrupted")) : loader_->next();
  OCTET_RETURN_IF_ERROR(processes_.agree(batch.status()));
  return batch;
}

void Trainer::share(const TrainingBatch& batch) {
  if (group_ == nullptr) return;
  SharedBatch shared;
  shared.sum = [group = group_](at::Tensor& t) {
    const Status status = group->add_up(t);
    TORCH_CHECK(status.is_ok(), status.message());
  };
  shared.own = static_cast<int64_t>(batch.samples.size());
  shared.all = batch.global_size;
  shared.counts = !batch.is_padding;
  module_->set_batch(std::move(shared));
}

Status Trainer::train_step(const TrainingBatch& batch) {
  // Dropout and the like draw from a sequence of this step alone, so that a resumed run draws the same numbers.
  const auto step = static_cast<uint64_t>(state_.step), rank = static_cast<uint64_t>(processes_.rank());
  at::manual_seed(rank == 0 ? CounterRandom({recipe_.seed, 3, step}).bits()
                            : CounterRandom({recipe_.seed, 3, step, rank}).bits());
  share(batch);
  const double rate = lr();
  Result<at::Tensor> part = Status();
  {
    const MixedPrecision mixed(recipe_.mixed_precision && device_.is_cuda());
    part = objective_->train(batch);
  }
  const auto own_loss = [&]() -> Result<double> {
    if (!part.is_ok()) return part.status();
    return batch.is_padding ? 0 : part->item<double>();
  };
  OCTET_ASSIGN(const double loss, processes_.sum(own_loss()));
  if (!std::isfinite(loss)) return stopped_by(batch, loss);
  (*part * (1 / static_cast<double>(recipe_.batch_accumulate))).backward();
  state_.loss_sum += loss;
  ++state_.loss_count;
  ++state_.step;
  if (at_boundary()) OCTET_RETURN_IF_ERROR(apply_gradients(rate));
  constexpr int64_t kLogEvery = 50;
  if (log_ && state_.step % kLogEvery == 0)
    OCTET_RETURN_IF_ERROR(log_->add(state_.step, {{"train/loss", loss}, {"train/lr", rate}}));
  return Status::ok();
}

Status Trainer::apply_gradients(double rate) {
  OCTET_RETURN_IF_ERROR(reducer_.reduce(module_->parameters()));
  if (recipe_.clip_grad_norm > 0) (void)clip_gradients(module_->parameters(), recipe_.clip_grad_norm);
  optimizer_->step(rate);
  module_->after_step();
  module_->zero_grad();
  const int64_t per_epoch = (per_epoch_ + recipe_.batch_accumulate - 1) / recipe_.batch_accumulate;
  if (averaged_) averaged_->update(per_epoch * recipe_.max_epochs);
  return Status::ok();
}

Status Trainer::stopped_by(const TrainingBatch& batch, double loss) {
  const std::string what = std::isnan(loss) ? "NaN" : "infinite";
  std::string where;
  module_->set_batch({});
  if (const auto inputs = objective_->inputs_of(batch); inputs.is_ok()) {
    const Result<std::string> first = module_->first_non_finite(*inputs);
    if (first.is_ok()) where = *first;
  }
  OCTET_ASSIGN(const std::vector<std::string> places, processes_.all_gather(where));
  for (size_t r = places.size(); r-- > 0;)
    if (!places[r].empty()) where = places[r];
  return invalid_argument("the loss became " + what + " in epoch " + std::to_string(epoch() + 1) + ", step " +
                          std::to_string(state_.step + 1) + ", at a learning rate of " + short_number(lr()) + ": " +
                          (where.empty() ? "the network's values are finite, so the loss itself overflowed" : where) +
                          "; lower initial_lr, lengthen the warm-up or set clip_grad_norm");
}

double Trainer::score_of(const EpochRecord& r) const {
  for (const auto& measured : {r.val_top1, r.val_map50, r.val_miou})
    if (measured) return *measured;
  return -r.val_loss.value_or(r.train_loss);
}

Status Trainer::finish_epoch(double seconds, int64_t images) {
  EpochRecord record;
  record.epoch = epoch();
  record.step = state_.step;
  record.lr = learning_rate(recipe_.lr, state_.step - 1, per_epoch_, recipe_.max_epochs);
  record.train_loss = state_.loss_sum / static_cast<double>(std::max<int64_t>(1, state_.loss_count));
  record.images_per_second = seconds > 0 ? static_cast<double>(images) / seconds : 0;
  record.seconds = state_.seconds + seconds;
  if (averaged_) averaged_->swap();
  const Status validated = validate(&record);
  const double score = score_of(record);
  Result<std::string> best = std::string();
  record.best = validated.is_ok() && (state_.best_module.empty() || score > state_.best_score);
  if (record.best) best = module_->save_state();
  if (averaged_) averaged_->swap();
  if (!validated.is_ok()) return validated.code() == StatusCode::kCancelled ? pause() : validated;
  if (!best.is_ok()) return best.status();
  if (record.best) {
    state_.best_module = std::move(best).value();
    state_.best_epoch = record.epoch;
    state_.best_score = score;
  }
  state_.epochs.push_back(record);
  state_.loss_sum = state_.seconds = 0;
  state_.loss_count = 0;
  if (log_) {
    std::vector<std::pair<std::string, double>> scalars = {{"train/epoch_loss", record.train_loss}};
    if (record.val_loss) scalars.emplace_back("val/loss", *record.val_loss);
    const std::pair<const char*, std::optional<double>> figures[] = {{"val/top1", record.val_top1},
                                                                     {"val/top5", record.val_top5},
                                                                     {"val/map50", record.val_map50},
                                                                     {"val/map", record.val_map},
                                                                     {"val/miou", record.val_miou}};
    for (const auto& [name, value] : figures)
      if (value) scalars.emplace_back(name, *value);
    OCTET_RETURN_IF_ERROR(log_->add(state_.step, scalars));
  }
  if (job_.on_epoch && processes_.is_first()) job_.on_epoch(record);
  const bool last = state_.step >= total_steps();
  return last || record.epoch % recipe_.checkpoint_every_epochs == 0 ? save_checkpoint() : Status::ok();
}

Status Trainer::validate(EpochRecord* record) {
  if (!val_data_) return Status::ok();
  ValidationScore own, score;
  const Status status = validate_own(&own);
  OCTET_ASSIGN(const std::vector<std::string> all,
               processes_.all_gather(status.is_ok() ? Result<std::string>(own.to_bytes()) : status));
  for (const std::string& theirs : all) OCTET_RETURN_IF_ERROR(score.add(theirs));
  score.fill(record);
  return Status::ok();
}

// The part of this process, which needs nothing of the others.
Status Trainer::validate_own(ValidationScore* score) {
  LoaderOptions options = shared_loader(recipe_.val_batch_size);
  options.shuffle = options.drop_last = false;
  options.workers = std::max(1, recipe_.workers);
  options.end_step = batches_per_epoch(val_data_->size(), options);
  options.cancel = job_.run.cancel;
  OCTET_ASSIGN(const auto loader, BatchLoader::create(*val_data_, options));
  module_->eval();
  for (;;) {
    if (is_cancelled(job_.run)) return cancelled("interrupted");
    OCTET_ASSIGN(const std::optional<TrainingBatch> batch, loader->next());
    if (!batch) break;
    if (batch->is_padding) continue;
    OCTET_RETURN_IF_ERROR(objective_->validate(*batch, score));
    if (job_.run.progress) job_.run.progress("validating", score->images, val_data_->size());
  }
  return Status::ok();
}

Status Trainer::save_checkpoint() {
  if (job_.folder.empty()) return Status::ok();
  OCTET_ASSIGN(state_.module, module_->save_state());
  state_.optimizer = optimizer_->state();
  state_.optimizer_steps = optimizer_->steps();
  if (averaged_) {
    state_.averaged = averaged_->state();
    state_.averaged_updates = averaged_->updates();
  }
  if (!processes_.is_first()) return processes_.agree(Status::ok());
  const Result<std::string> bytes = encode_checkpoint(state_);
  return processes_.agree(bytes.is_ok() ? write_file_atomically(checkpoint_path(), *bytes) : bytes.status());
}

// Between the batches of one optimizer step there is nothing to save: --resume goes back to the checkpoint before.
Status Trainer::pause() {
  if (at_boundary()) OCTET_RETURN_IF_ERROR(save_checkpoint());
  const std::string where = "interrupted in epoch " + std::to_string(epoch() + (is_unfinished() ? 0 : 1)) +
                            " after " + std::to_string(state_.step) + " steps";
  return cancelled(job_.folder.empty() ? where
                                       : where + "; --resume goes on from the checkpoint in '" + job_.folder + "'");
}

Status Trainer::reestimate() {
  LoaderOptions options = shared_loader(recipe_.batch_size);
  options.seed = recipe_.seed;
  options.drop_last = recipe_.drop_last;
  options.workers = recipe_.workers;
  options.end_step = std::min<int64_t>(recipe_.batch_norm.reestimate_batches, per_epoch_);
  OCTET_ASSIGN(const auto loader, BatchLoader::create(*train_data_, options));
  const at::NoGradGuard no_grad;
  module_->begin_reestimate();
  for (;;) {
    OCTET_ASSIGN(const std::optional<TrainingBatch> batch, loader->next());
    if (!batch) break;
    share(*batch);
    OCTET_ASSIGN(const std::vector<at::Tensor> inputs, objective_->inputs_of(*batch));
    OCTET_RETURN_IF_ERROR(module_->forward(inputs).status());
  }
  return module_->end_reestimate();
}

Result<TrainResult> Trainer::finish() {
  OCTET_RETURN_IF_ERROR(module_->load_state(state_.best_module));
  module_->eval();
  if (recipe_.batch_norm.mode == BatchNormPolicy::kReestimated) OCTET_RETURN_IF_ERROR(reestimate());
  TrainResult result;
  result.graph = *job_.graph;
  if (job_.plan != nullptr) {
    result.plan = *job_.plan;
    if (job_.ranges != nullptr) result.ranges = *job_.ranges;
    OCTET_RETURN_IF_ERROR(
        module_->write_back(result.graph, &*result.plan, result.ranges ? &*result.ranges : nullptr));
  } else {
    OCTET_RETURN_IF_ERROR(module_->write_back(result.graph));
  }
  if (state_.best_epoch == 0)
    notes_.emplace_back(
        "no epoch was better than the calibrated network, which is what was kept; try a lower initial_lr (a network "
        "that takes pixels from 0 to 255 wants 1e-5 or so)");
  result.epochs = state_.epochs;
  result.best_epoch = state_.best_epoch;
  result.score_name = val_data_ ? objective_->score_name() : "train_loss";
  result.notes = notes_;
  return result;
}

}  // namespace octet::training

namespace octet {

Result<TrainResult> train_network(const TrainJob& job) {
  Result<TrainResult> result = internal_error("training did not begin");
  const Status status = training::without_exceptions([&] {
    result = training::Trainer(job).run();
    return Status::ok();
  });
  const Status failure = job.run.processes == nullptr ? Status::ok() : job.run.processes->failure();
  if (!failure.is_ok())
    return io_error(failure.message() + (job.folder.empty() ? ""
                                                            : "; --resume goes on from the last checkpoint in '" +
                                                                  job.folder + "', with any number of processes"));
  // An exception came at any place, so the others may be at another one: they must not wait for this process.
  if (!status.is_ok() && job.run.processes != nullptr) job.run.processes->leave();
  return status.is_ok() ? std::move(result) : status;
}

}  // namespace octet
