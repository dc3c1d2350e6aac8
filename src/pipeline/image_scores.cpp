#include "pipeline/image_scores.h"

#include <algorithm>
#include <cmath>

#include "metrics/detection.h"
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

}  // namespace

ImageScores::ImageScores(const Dataset& data, const DetectionSpec& detection, int64_t count, int workers)
    : detection_(data.has_boxes()),
      segmentation_(data.has_masks()),
      labels_(data.has_labels()),
      classes_(data.num_classes()),
      spec_(detection) {
  accuracy_.resize(static_cast<size_t>(workers));
  pixels_.resize(static_cast<size_t>(workers));
  detections_.resize(static_cast<size_t>(detection_ ? count : 0));
  annotations_.resize(detections_.size());
  predictions_.resize(static_cast<size_t>(count));
}

Status ImageScores::add(int worker, const std::vector<Sample>& samples, const std::vector<Tensor>& outputs,
                        int64_t first) {
  const Tensor& output = outputs[0];
  if (detection_) return detect_images(samples, outputs, first);
  if (segmentation_) return segment_images(samples, output, worker);
  const auto images = static_cast<int64_t>(samples.size());
  const std::vector<int64_t> best = arg_max_rows(output, images);
  std::copy(best.begin(), best.end(), predictions_.begin() + first);
  if (!labels_) return Status::ok();
  std::vector<int64_t> labels;
  for (const Sample& s : samples) labels.push_back(s.label);
  return accuracy_[static_cast<size_t>(worker)].add(leading_rows(output, images), labels);
}

void ImageScores::count_nonfinite(const std::vector<Tensor>& inputs, const Tensor& output, int64_t images) {
  std::vector<bool> bad(static_cast<size_t>(images), false);
  for (const Tensor& input : inputs) mark_nonfinite_rows(input, &bad);
  nonfinite_inputs_ += std::count(bad.begin(), bad.end(), true);
  bad.assign(bad.size(), false);
  mark_nonfinite_rows(output, &bad);
  nonfinite_outputs_ += std::count(bad.begin(), bad.end(), true);
}

Status ImageScores::detect_images(const std::vector<Sample>& samples, const std::vector<Tensor>& outputs,
                                  int64_t first) {
  for (size_t n = 0; n < samples.size(); ++n) {
    std::vector<Tensor> rows;
    for (const Tensor& output : outputs) rows.push_back(one_row(output, static_cast<int64_t>(n)));
    OCTET_ASSIGN(detections_[static_cast<size_t>(first) + n], detect(spec_, rows, samples[n].placement));
    annotations_[static_cast<size_t>(first) + n] = samples[n].boxes;
  }
  return Status::ok();
}

Status ImageScores::segment_images(const std::vector<Sample>& samples, const Tensor& output, int worker) {
  for (size_t n = 0; n < samples.size(); ++n) {
    const Sample& sample = samples[n];
    OCTET_ASSIGN(const ClassMap map,
                 class_map(one_row(output, static_cast<int64_t>(n)), sample.mask.dim(0), sample.mask.dim(1)));
    std::optional<ConfusionMatrix>& pixels = pixels_[static_cast<size_t>(worker)];
    const int64_t known = classes_ > 0 ? classes_ : kIgnoredPixel;
    if (!pixels) pixels.emplace(map.classes > 0 ? map.classes : known, kIgnoredPixel);
    const Status added = pixels->add(map.ids, sample.mask);
    if (!added.is_ok()) return added.at("the mask of image " + sample.name);
  }
  return Status::ok();
}

// The counts of all workers; none when there was no mask.
Result<std::optional<ConfusionMatrix>> ImageScores::all_pixels() const {
  std::optional<ConfusionMatrix> all;
  for (const auto& pixels : pixels_) {
    if (!pixels) continue;
    if (all) OCTET_RETURN_IF_ERROR(all->merge(*pixels));
    else all = pixels;
  }
  return all;
}

// What this process counted and found.
Result<std::string> ImageScores::shard(const Processes& processes, int64_t batch) const {
  ShardWriter mine;
  TopKAccuracy total;
  for (const TopKAccuracy& a : accuracy_) total.merge(a);
  for (int64_t v : {total.count(), total.correct_top1(), total.correct_top5(), nonfinite_inputs_.load(),
                    nonfinite_outputs_.load()})
    mine.put(v);
  OCTET_ASSIGN(const std::optional<ConfusionMatrix> pixels, all_pixels());
  mine.put(pixels ? pixels->classes() : int64_t{0});
  mine.put_list(pixels ? pixels->counts() : std::vector<int64_t>{});
  for (size_t i = 0; i < predictions_.size(); ++i) {
    if (static_cast<int64_t>(i) / batch % processes.size() != processes.rank()) continue;
    if (detection_) {
      mine.put_list(detections_[i]);
      mine.put_list(annotations_[i]);
    } else {
      mine.put(predictions_[i]);
    }
  }
  return mine.bytes();
}

Status ImageScores::exchange(Processes& processes, int64_t batch) {
  OCTET_ASSIGN(const std::vector<std::string> all, processes.all_gather(shard(processes, batch)));
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
    for (size_t i = 0; i < predictions_.size(); ++i) {
      if (static_cast<int64_t>(i) / batch % processes.size() != static_cast<int64_t>(rank)) continue;
      if (detection_) {
        detections_[i] = in.get_list<Box>();
        annotations_[i] = in.get_list<Box>();
      } else {
        predictions_[i] = in.get<int64_t>();
      }
    }
    if (!in.is_through()) return data_corrupt("process " + std::to_string(rank) + " evaluated other images");
  }
  return Status::ok();
}

Result<EvalReport> ImageScores::report() const {
  EvalReport report;
  report.count = static_cast<int64_t>(predictions_.size());
  report.nonfinite_inputs = nonfinite_inputs_;
  report.nonfinite_outputs = nonfinite_outputs_;
  report.task = detection_ ? "detection" : segmentation_ ? "segmentation" : labels_ ? "classification" : "none";
  TopKAccuracy total;
  for (const TopKAccuracy& a : accuracy_) total.merge(a);
  report.top1 = 100 * total.top1();
  report.top5 = 100 * total.top5();
  const Interval interval = total.top1_interval();
  report.top1_low = 100 * interval.low;
  report.top1_high = 100 * interval.high;
  if (segmentation_) {
    OCTET_ASSIGN(const std::optional<ConfusionMatrix> pixels, all_pixels());
    report.miou = pixels ? 100 * pixels->mean_iou() : 0;
    report.pixel_accuracy = pixels ? 100 * pixels->pixel_accuracy() : 0;
    return report;
  }
  if (!detection_) {
    report.predictions = predictions_;
    return report;
  }
  AveragePrecision precision(spec_.max_detections);
  for (size_t i = 0; i < detections_.size(); ++i) precision.add_image(detections_[i], annotations_[i]);
  const AveragePrecision::Summary summary = precision.summarize();
  report.map50 = 100 * summary.map50;
  report.map = 100 * summary.map;
  return report;
}

}  // namespace octet
