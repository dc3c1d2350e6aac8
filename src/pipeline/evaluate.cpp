#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>

#include "engine/compiler/compile.h"
#include "metrics/classification.h"
#include "metrics/detection.h"
#include "metrics/segmentation.h"
#include "pipeline/image_runner.h"
#include "pipeline/shard.h"

namespace octet {
namespace {

// The first output's rows that belong to real images, as [n, ...].
Tensor leading_rows(const Tensor& scores, int64_t n) {
  Dims dims = scores.dims();
  if (dims.empty() || dims[0] <= n) return scores;
  Tensor rows(scores.dtype(), (dims[0] = n, dims));
  std::copy_n(scores.data<char>(), rows.nbytes(), rows.data<char>());
  return rows;
}

// One image of a batched tensor, with a batch axis of 1.
Tensor one_row(const Tensor& batch, int64_t n) {
  Dims dims = batch.dims();
  if (dims.empty() || dims[0] <= 1) return batch;
  dims[0] = 1;
  Tensor row(batch.dtype(), dims);
  std::copy_n(batch.data<char>() + n * row.nbytes(), row.nbytes(), row.data<char>());
  return row;
}

// Marks the images whose rows of a batched tensor have NaN or infinity.
void mark_nonfinite_rows(const Tensor& batch, std::vector<bool>* bad) {
  if (batch.dtype() != DType::kFloat32 || batch.rank() < 1 || batch.dim(0) < static_cast<int64_t>(bad->size()))
    return;
  const int64_t row = batch.numel() / std::max<int64_t>(1, batch.dim(0));
  for (size_t n = 0; n < bad->size(); ++n) {
    const float* values = batch.data<float>() + static_cast<int64_t>(n) * row;
    if (!std::all_of(values, values + row, [](float x) { return std::isfinite(x); })) (*bad)[n] = true;
  }
}

class Evaluation {
 public:
  Evaluation(Network& network, const Dataset& data, const EvalOptions& options)
      : network_(network), fixed_(fixed_batch(network.inputs())), data_(data), options_(options) {}

  Result<EvalReport> run() {
    const auto begin = std::chrono::steady_clock::now();
    const int64_t count = options_.max_images > 0 ? std::min(options_.max_images, data_.size()) : data_.size();
    batch_ = fixed_ > 0 ? fixed_ : options_.batch_size;
    detection_ = data_.has_boxes();
    segmentation_ = data_.has_masks();
    const auto workers = static_cast<size_t>(resolve_threads(options_.run.threads));
    accuracy_.resize(workers);
    pixels_.resize(workers);
    detections_.resize(static_cast<size_t>(detection_ ? count : 0));
    annotations_.resize(detections_.size());
    report_.predictions.resize(static_cast<size_t>(count));
    report_.count = count;
    const int64_t groups = (count + batch_ - 1) / batch_;
    Processes alone;
    Processes& processes = options_.run.processes != nullptr ? *options_.run.processes : alone;
    const int n = processes.size(), rank = processes.rank();
    const int64_t own = share_of(groups, processes);
    OCTET_RETURN_IF_ERROR(processes.agree(
        parallel_items(own, options_.run, "evaluating", batch_, n == 1 ? count : own * batch_,
                       [&](int worker, int64_t turn) { return run_group(worker, turn * n + rank, count); })));
    if (n > 1) OCTET_RETURN_IF_ERROR(exchange(processes));
    summarize();
    if (segmentation_) OCTET_RETURN_IF_ERROR(summarize_pixels());
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return std::move(report_);
  }

 private:
  Status run_group(int worker, int64_t item, int64_t count) {
    const int64_t first = item * batch_, last = std::min(count, first + batch_);
    std::vector<int64_t> images;
    for (int64_t i = first; i < last; ++i) images.push_back(i);
    const int64_t rows = fixed_ > 0 ? batch_ : last - first;
    OCTET_ASSIGN(const Batch batch, load_batch(network_.inputs().size(), data_, images, rows));
    OCTET_ASSIGN(const std::vector<Tensor> outputs, network_.run(worker, batch.inputs));
    if (outputs.empty()) return invalid_argument("the network has no output");
    count_nonfinite(batch.inputs, outputs[0], last - first);
    if (detection_) return detect_images(batch, outputs, first);
    if (segmentation_) return segment_images(batch, outputs[0], worker);
    const std::vector<int64_t> best = arg_max_rows(outputs[0], last - first);
    std::copy(best.begin(), best.end(), report_.predictions.begin() + first);
    if (!data_.has_labels()) return Status::ok();
    std::vector<int64_t> labels;
    for (const Sample& s : batch.samples) labels.push_back(s.label);
    return accuracy_[static_cast<size_t>(worker)].add(leading_rows(outputs[0], last - first), labels);
  }

  void count_nonfinite(const std::vector<Tensor>& inputs, const Tensor& output, int64_t images) {
    std::vector<bool> bad(static_cast<size_t>(images), false);
    for (const Tensor& input : inputs) mark_nonfinite_rows(input, &bad);
    nonfinite_inputs_ += std::count(bad.begin(), bad.end(), true);
    bad.assign(bad.size(), false);
    mark_nonfinite_rows(output, &bad);
    nonfinite_outputs_ += std::count(bad.begin(), bad.end(), true);
  }

  Status detect_images(const Batch& batch, const std::vector<Tensor>& outputs, int64_t first) {
    for (size_t n = 0; n < batch.samples.size(); ++n) {
      const Sample& sample = batch.samples[n];
      std::vector<Tensor> rows;
      for (const Tensor& output : outputs) rows.push_back(one_row(output, static_cast<int64_t>(n)));
      OCTET_ASSIGN(detections_[static_cast<size_t>(first) + n], detect(options_.detection, rows, sample.placement));
      annotations_[static_cast<size_t>(first) + n] = sample.boxes;
    }
    return Status::ok();
  }

  Status segment_images(const Batch& batch, const Tensor& output, int worker) {
    for (size_t n = 0; n < batch.samples.size(); ++n) {
      const Sample& sample = batch.samples[n];
      OCTET_ASSIGN(const ClassMap map,
                   class_map(one_row(output, static_cast<int64_t>(n)), sample.mask.dim(0), sample.mask.dim(1)));
      std::optional<ConfusionMatrix>& pixels = pixels_[static_cast<size_t>(worker)];
      const int64_t known = data_.num_classes() > 0 ? data_.num_classes() : kIgnoredPixel;
      if (!pixels) pixels.emplace(map.classes > 0 ? map.classes : known, kIgnoredPixel);
      const Status added = pixels->add(map.ids, sample.mask);
      if (!added.is_ok()) return added.at("the mask of image " + sample.name);
    }
    return Status::ok();
  }

  // The counts of all workers; none when there was no mask.
  Result<std::optional<ConfusionMatrix>> all_pixels() const {
    std::optional<ConfusionMatrix> all;
    for (const auto& pixels : pixels_) {
      if (!pixels) continue;
      if (all) OCTET_RETURN_IF_ERROR(all->merge(*pixels));
      else all = pixels;
    }
    return all;
  }

  // What this process counted and found, and then what the others did.
  Status exchange(Processes& processes) {
    ShardWriter mine;
    TopKAccuracy total;
    for (const TopKAccuracy& a : accuracy_) total.merge(a);
    for (int64_t v : {total.count(), total.correct_top1(), total.correct_top5(), nonfinite_inputs_.load(),
                      nonfinite_outputs_.load()})
      mine.put(v);
    OCTET_ASSIGN(const std::optional<ConfusionMatrix> pixels, all_pixels());
    mine.put(pixels ? pixels->classes() : int64_t{0});
    mine.put_list(pixels ? pixels->counts() : std::vector<int64_t>{});
    for (int64_t i = 0; i < report_.count; ++i)
      if (i / batch_ % processes.size() == processes.rank()) put_image(static_cast<size_t>(i), &mine);
    OCTET_ASSIGN(const std::vector<std::string> all, processes.all_gather(mine.bytes()));
    accuracy_.clear();
    pixels_.clear();
    nonfinite_inputs_ = nonfinite_outputs_ = 0;
    for (size_t rank = 0; rank < all.size(); ++rank) {
      ShardReader in(all[rank]);
      int64_t v[5] = {};
      for (int64_t& x : v) x = in.get<int64_t>();
      accuracy_.push_back(TopKAccuracy::of(v[0], v[1], v[2]));
      nonfinite_inputs_ += v[3];
      nonfinite_outputs_ += v[4];
      const auto classes = in.get<int64_t>();
      const std::vector<int64_t> counts = in.get_list<int64_t>();
      if (classes > 0) {
        pixels_.emplace_back(ConfusionMatrix(classes, kIgnoredPixel));
        OCTET_RETURN_IF_ERROR(pixels_.back()->add_counts(counts));
      }
      for (int64_t i = 0; i < report_.count; ++i)
        if (i / batch_ % processes.size() == static_cast<int64_t>(rank)) take_image(static_cast<size_t>(i), &in);
      if (!in.is_through()) return data_corrupt("process " + std::to_string(rank) + " evaluated other images");
    }
    return Status::ok();
  }

  void put_image(size_t i, ShardWriter* out) const {
    if (!detection_) return out->put(report_.predictions[i]);
    out->put_list(detections_[i]);
    out->put_list(annotations_[i]);
  }

  void take_image(size_t i, ShardReader* in) {
    if (!detection_) {
      report_.predictions[i] = in->get<int64_t>();
      return;
    }
    detections_[i] = in->get_list<Box>();
    annotations_[i] = in->get_list<Box>();
  }

  Status summarize_pixels() {
    OCTET_ASSIGN(const std::optional<ConfusionMatrix> pixels, all_pixels());
    report_.predictions.clear();
    if (!pixels) return Status::ok();
    report_.miou = 100 * pixels->mean_iou();
    report_.pixel_accuracy = 100 * pixels->pixel_accuracy();
    return Status::ok();
  }

  void summarize() {
    report_.nonfinite_inputs = nonfinite_inputs_;
    report_.nonfinite_outputs = nonfinite_outputs_;
    report_.task = detection_           ? "detection"
                   : segmentation_      ? "segmentation"
                   : data_.has_labels() ? "classification"
                                        : "none";
    TopKAccuracy total;
    for (const TopKAccuracy& a : accuracy_) total.merge(a);
    report_.top1 = 100 * total.top1();
    report_.top5 = 100 * total.top5();
    const Interval interval = total.top1_interval();
    report_.top1_low = 100 * interval.low;
    report_.top1_high = 100 * interval.high;
    if (!detection_) return;
    AveragePrecision precision(options_.detection.max_detections);
    for (size_t i = 0; i < detections_.size(); ++i) precision.add_image(detections_[i], annotations_[i]);
    const AveragePrecision::Summary summary = precision.summarize();
    report_.map50 = 100 * summary.map50;
    report_.map = 100 * summary.map;
    report_.predictions.clear();
  }

  Network& network_;
  const int64_t fixed_;
  const Dataset& data_;
  const EvalOptions& options_;
  int64_t batch_ = 1;
  bool detection_ = false, segmentation_ = false;
  std::vector<TopKAccuracy> accuracy_;                      // by worker: integer counts, so merging is exact
  std::vector<std::optional<ConfusionMatrix>> pixels_;      // by worker
  std::vector<std::vector<Box>> detections_, annotations_;  // by image
  std::atomic<int64_t> nonfinite_inputs_{0}, nonfinite_outputs_{0};
  EvalReport report_;
};

}  // namespace

namespace {

bool is_quantized(const Graph& graph) {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
    return node.is("QuantizeLinear") || node.is("QLinearConv") || node.is("QLinearMatMul");
  });
}

// Null when the network is not for the engine.
std::shared_ptr<const Engine> integer_engine(const Graph& graph) {
  engine::CompileOptions options;
  options.timing = false;
  Result<engine::Program> program = engine::compile(graph, options);
  if (!program.is_ok()) return nullptr;
  Result<std::shared_ptr<const Engine>> engine = Engine::from_program(std::move(*program));
  return engine.is_ok() ? *engine : nullptr;
}

}  // namespace

Result<EvalReport> evaluate(const Graph& graph, const Dataset& data, const EvalOptions& options) {
  const bool quantized = is_quantized(graph);
  if (quantized && !options.simulate)
    if (std::shared_ptr<const Engine> engine = integer_engine(graph))
      return evaluate(std::move(engine), data, options);
  OCTET_ASSIGN(const std::unique_ptr<Network> network, Network::create(graph));
  OCTET_ASSIGN(EvalReport report, Evaluation(*network, data, options).run());
  report.arithmetic = quantized ? "simulated" : "float";
  return report;
}

Result<EvalReport> evaluate(std::shared_ptr<const Engine> engine, const Dataset& data, const EvalOptions& options) {
  OCTET_ASSIGN(const std::unique_ptr<Network> network,
               Network::create(std::move(engine), resolve_threads(options.run.threads)));
  OCTET_ASSIGN(EvalReport report, Evaluation(*network, data, options).run());
  report.arithmetic = "integer";
  return report;
}

}  // namespace octet
