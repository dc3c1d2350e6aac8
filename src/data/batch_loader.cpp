#include "data/batch_loader.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <numeric>

#include "data/augment.h"

namespace octet {
namespace {

Status stack(const Sample& sample, size_t at, size_t count, std::vector<Tensor>* inputs) {
  if (at == 0) {
    inputs->clear();
    for (const Tensor& x : sample.inputs) {
      Dims dims = x.dims();
      dims.insert(dims.begin(), static_cast<int64_t>(count));
      OCTET_ASSIGN(Tensor batched, Tensor::create(x.dtype(), dims));
      inputs->push_back(std::move(batched));
    }
  }
  for (size_t i = 0; i < sample.inputs.size(); ++i) {
    const Tensor& x = sample.inputs[i];
    Tensor& batched = (*inputs)[i];
    Dims row = batched.dims();
    row.erase(row.begin());
    if (x.dtype() != batched.dtype() || x.dims() != row)
      return invalid_argument("sample " + sample.name + " has shape " + dims_to_string(x.dims()) +
                              ", unlike the first of its batch (" + dims_to_string(row) +
                              "); set the preprocess keys 'resize' or 'crop'");
    std::memcpy(batched.data<char>() + at * static_cast<size_t>(x.nbytes()), x.raw(),
                static_cast<size_t>(x.nbytes()));
  }
  return Status::ok();
}

Status stack_mask(const Sample& sample, size_t at, size_t count, Tensor* masks) {
  const int64_t h = sample.mask.dim(0), w = sample.mask.dim(1);
  if (at == 0) {
    OCTET_ASSIGN(*masks, Tensor::create(DType::kUint8, {static_cast<int64_t>(count), h, w}));
  }
  if (masks->dim(1) != h || masks->dim(2) != w)
    return invalid_argument("the mask of sample " + sample.name + " has another size than the first of its batch");
  std::memcpy(masks->data<char>() + at * static_cast<size_t>(h * w), sample.mask.raw(), static_cast<size_t>(h * w));
  return Status::ok();
}

}  // namespace

std::vector<int64_t> epoch_order(int64_t size, bool shuffle, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(static_cast<size_t>(size));
  std::iota(order.begin(), order.end(), int64_t{0});
  if (!shuffle) return order;
  CounterRandom random({seed, 0, static_cast<uint64_t>(epoch)});
  for (size_t i = 0; i + 1 < order.size(); ++i) std::swap(order[i], order[i + random.below(order.size() - i)]);
  return order;
}

int64_t batches_per_epoch(int64_t size, const LoaderOptions& options) {
  return options.drop_last ? size / options.batch_size : (size + options.batch_size - 1) / options.batch_size;
}

Result<std::unique_ptr<BatchLoader>> BatchLoader::create(const TrainingSamples& samples,
                                                         const LoaderOptions& options) {
  if (options.batch_size < 1 || options.world_size < 1 || options.rank < 0 || options.rank >= options.world_size)
    return invalid_argument("a loader needs a batch size of at least 1 and a rank below the number of processes");
  const int64_t steps = batches_per_epoch(samples.size(), options);
  if (steps < 1)
    return invalid_argument("the training data has " + std::to_string(samples.size()) +
                            " samples, fewer than one batch of " + std::to_string(options.batch_size) +
                            "; lower batch_size or set drop_last: false");
  if (options.batch_size < options.world_size)
    return invalid_argument("a batch of " + std::to_string(options.batch_size) + " cannot be shared by " +
                            std::to_string(options.world_size) + " processes; raise batch_size");
  return std::unique_ptr<BatchLoader>(new BatchLoader(samples, options, steps));
}

BatchLoader::BatchLoader(const TrainingSamples& samples, const LoaderOptions& options, int64_t steps_per_epoch)
    : samples_(samples),
      options_(options),
      steps_per_epoch_(steps_per_epoch),
      claim_(options.first_step),
      out_(options.first_step) {
  for (int i = 0; i < options_.workers; ++i) threads_.emplace_back([this] { work(); });
}

BatchLoader::~BatchLoader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  taken_.notify_all();
  for (std::thread& t : threads_) t.join();
}

void BatchLoader::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    taken_.wait(lock, [this] { return stop_ || is_end(claim_) || claim_ <= out_ + options_.queue; });
    if (stop_ || is_end(claim_)) return;
    const int64_t step = claim_++;
    lock.unlock();
    Result<TrainingBatch> batch = make(step);
    lock.lock();
    ready_.emplace(step, std::move(batch));
    made_.notify_all();
  }
}

Result<std::optional<TrainingBatch>> BatchLoader::next() {
  std::unique_lock lock(mutex_);
  if (!failure_.is_ok()) return failure_;
  if (is_end(out_)) return std::optional<TrainingBatch>();
  Result<TrainingBatch> batch = Status();
  if (threads_.empty()) {
    batch = make(out_);
  } else {
    while (!made_.wait_for(lock, std::chrono::milliseconds(50), [this] { return ready_.count(out_) != 0; }))
      if (options_.cancel != nullptr && options_.cancel->load()) return cancelled("interrupted");
    auto found = ready_.extract(out_);
    batch = std::move(found.mapped());
  }
  if (!batch.is_ok()) {
    failure_ = batch.status();
    stop_ = true;
    taken_.notify_all();
    return failure_;
  }
  ++out_;
  taken_.notify_all();
  return std::optional<TrainingBatch>(std::move(batch).value());
}

std::shared_ptr<const std::vector<int64_t>> BatchLoader::order(int64_t epoch) {
  const std::lock_guard lock(order_mutex_);
  auto& found = orders_[epoch];
  if (!found)
    found = std::make_shared<const std::vector<int64_t>>(
        epoch_order(samples_.size(), options_.shuffle, options_.seed, epoch));
  auto result = found;
  while (orders_.size() > 2) orders_.erase(orders_.begin());
  return result;
}

Result<TrainingBatch> BatchLoader::make(int64_t step) {
  try {
    TrainingBatch batch;
    batch.step = step;
    batch.epoch = step / steps_per_epoch_;
    batch.index = step % steps_per_epoch_;
    const auto all = order(batch.epoch);
    const int64_t first = batch.index * options_.batch_size;
    const int64_t size = std::min<int64_t>(options_.batch_size, static_cast<int64_t>(all->size()) - first);
    batch.global_size = size;
    const int64_t lo = size * options_.rank / options_.world_size;
    const int64_t end = size * (options_.rank + 1) / options_.world_size;
    batch.is_padding = end == lo;
    const int64_t hi = std::max(end, lo + 1);
    std::vector<int64_t> partners;
    for (int64_t i = lo; i < hi; ++i) {
      batch.samples.push_back((*all)[static_cast<size_t>(first + i)]);
      if (options_.mixup > 0) partners.push_back((*all)[static_cast<size_t>(first + (i + 1) % size)]);
    }
    if (options_.mixup > 0) {
      CounterRandom random({options_.seed, 2, static_cast<uint64_t>(step)});
      batch.lambda = static_cast<float>(draw_beta(options_.mixup, random));
    }
    const std::vector<int64_t> own = batch.samples;
    OCTET_RETURN_IF_ERROR(fill(own, partners, &batch));
    return batch;
  } catch (const std::bad_alloc&) {
    return resource_limit("not enough memory for a batch of " + std::to_string(options_.batch_size) + " samples");
  } catch (const std::exception& e) {
    return internal_error(std::string("loading a batch failed: ") + e.what());
  }
}

Status BatchLoader::fill(const std::vector<int64_t>& own, const std::vector<int64_t>& partners,
                         TrainingBatch* batch) const {
  // A partner is the next sample of the batch, so all but the last one are read anyway.
  std::vector<TrainingSample> samples(own.size() + (partners.empty() ? 0 : 1));
  for (size_t i = 0; i < samples.size(); ++i) {
    const int64_t which = i < own.size() ? own[i] : partners.back();
    OCTET_ASSIGN(samples[i], samples_.get(which, options_.seed, batch->epoch));
  }
  for (size_t i = 0; i < own.size(); ++i) {
    TrainingSample& sample = samples[i];
    batch->names.push_back(sample.name);
    batch->labels.push_back(sample.label);
    batch->boxes.push_back(std::move(sample.boxes));
    batch->placements.push_back(sample.placement);
    batch->targets.push_back(std::move(sample.targets));
    if (!partners.empty()) {
      const TrainingSample& partner = samples[i + 1];
      batch->partner_labels.push_back(partner.label);
      for (size_t k = 0; k < sample.inputs.size(); ++k) {
        if (sample.inputs[k].dtype() != DType::kFloat32 || sample.inputs[k].dims() != partner.inputs[k].dims())
          return invalid_argument("mixup needs float32 samples of one shape; sample " + sample.name + " differs");
        sample.inputs[k] = sample.inputs[k].clone();  // the data set may hand out its own memory
        mix_into(sample.inputs[k], partner.inputs[k], batch->lambda);
      }
    }
    OCTET_RETURN_IF_ERROR(stack(sample, i, own.size(), &batch->inputs));
    if (sample.mask.rank() == 2) OCTET_RETURN_IF_ERROR(stack_mask(sample, i, own.size(), &batch->masks));
    sample.inputs.clear();
  }
  return Status::ok();
}

}  // namespace octet
