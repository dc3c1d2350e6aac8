#include "octet/calib_check.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "pipeline/image_runner.h"
#include "search/histogram_distance.h"

namespace octet {
namespace {

constexpr int64_t kLeastImages = 8;
constexpr size_t kBlocks = 16;  // of calibration images, which splits are made of
constexpr int kSplits = 24;
constexpr double kDeviations = 3;  // above the mean of the splits
constexpr double kMargin = 1.25;   // above the largest: splits share images, and evaluation images are drawn once

using Statistics = std::vector<TensorStatistics>;  // by tensor

// What a person should see of one image.
struct ImageFigures {
  std::string name;
  std::vector<float> amax;  // by tensor
  bool nonfinite = false;
};

double median_of(std::vector<double> values) {
  const size_t n = values.size();
  std::sort(values.begin(), values.end());
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

class Check {
 public:
  Check(const SelectiveQuantizer& quantizer, const CalibCheckJob& job) : quantizer_(quantizer), job_(job) {}

  Result<CalibCheckReport> run(const Graph& graph) {
    if (job_.calibration == nullptr) return invalid_argument("there are no calibration images to check: give --data");
    OCTET_ASSIGN(prepared_, simplify_network(graph));
    OCTET_ASSIGN(plan_, quantizer_.prepare(prepared_));
    tensors_ = plan_.tensors_to_observe();
    if (tensors_.empty())
      return not_found("the recipe quantizes no activation of the network, so images do not matter");
    ExecutorOptions options;
    options.taps = tensors_;
    OCTET_ASSIGN(executor_, Executor::create(prepared_, options));
    OCTET_RETURN_IF_ERROR(choose_images());
    blocks_.assign(kBlocks + 1, Statistics(tensors_.size()));
    figures_.resize(static_cast<size_t>(images_));
    OCTET_RETURN_IF_ERROR(converge());
    find_outliers();
    if (job_.evaluation != nullptr) OCTET_RETURN_IF_ERROR(measure_drift());
    return std::move(report_);
  }

 private:
  Status choose_images() {
    const QuantizationOptions& o = quantizer_.options();
    const int64_t batch = o.calib_batch_size > 0 ? o.calib_batch_size : 32;
    int64_t n = job_.images > 0 ? job_.images : o.calib_images > 0 ? o.calib_images : o.num_calib_batches * batch;
    n = std::min(n, job_.calibration->size());
    group_ = std::max<int64_t>(1, fixed_batch(prepared_));
    n -= n % group_;
    if (n < kLeastImages)
      return invalid_argument("calib-check needs at least " + std::to_string(kLeastImages) +
                              " images, and there are " + std::to_string(n));
    images_ = n;
    report_.images = n;
    report_.tensors = static_cast<int64_t>(tensors_.size());
    if (job_.evaluation == nullptr) return Status::ok();
    // Both sides of a comparison have the same number of images, because few images alone make a distance.
    const int64_t half = std::min(images_ / 2, job_.evaluation->size());
    const int64_t step = group_ * static_cast<int64_t>(kBlocks / 2);
    compared_ = half / step * step;
    if (compared_ == 0)
      report_.notes.push_back("no drift was measured: that takes at least " + std::to_string(kBlocks) +
                              " calibration images and " + std::to_string(kBlocks / 2) + " others");
    return Status::ok();
  }

  // Runs the group of images that begins at `first`; statistics of each tensor, and its extremes.
  Status observe(const Dataset& data, int64_t first, Statistics* seen, ImageFigures* figures) {
    std::vector<int64_t> members;
    for (int64_t i = first; i < first + group_; ++i) members.push_back(i);
    OCTET_ASSIGN(const Batch batch, load_batch(prepared_, data, members, group_));
    const TapSink sink = [&](size_t tap, const TensorView& view) {
      if (view.dtype == DType::kFloat32) (*seen)[tap].add(static_cast<const float*>(view.data), view.numel);
    };
    OCTET_RETURN_IF_ERROR(executor_->run(batch.inputs, sink).status());
    if (figures == nullptr) return Status::ok();
    figures->name = batch.samples.front().name;
    for (const TensorStatistics& s : *seen) {
      figures->amax.push_back(s.amax());
      figures->nonfinite = figures->nonfinite || s.nan_count() + s.inf_count() > 0;
    }
    return Status::ok();
  }

  // Block of an image; the last one has those that no drift is measured with.
  size_t block_of(int64_t image) const {
    return image < 2 * compared_ ? static_cast<size_t>(image / group_) % kBlocks : kBlocks;
  }

  Status see_images(int64_t begin, int64_t end) {
    const auto body = [&](int, int64_t item) -> Status {
      const int64_t first = begin + item * group_;
      Statistics seen(tensors_.size());
      OCTET_RETURN_IF_ERROR(observe(*job_.calibration, first, &seen, &figures_[static_cast<size_t>(first / group_)]));
      std::lock_guard lock(mutex_);
      for (size_t t = 0; t < seen.size(); ++t)
        blocks_[block_of(first)][t].merge(seen[t]);  // any order gives the same
      return Status::ok();
    };
    return parallel_items((end - begin) / group_, job_.run, "calibration", group_, end - begin, body);
  }

  std::map<std::string, TensorStatistics> all_so_far() const {
    std::map<std::string, TensorStatistics> all;
    for (size_t t = 0; t < tensors_.size(); ++t)
      for (const Statistics& block : blocks_) all[tensors_[t]].merge(block[t]);
    return all;
  }

  Status converge() {
    Ranges before;
    int64_t done = 0;
    std::vector<int64_t> sizes;  // each half of the next
    for (int64_t n = images_; n >= std::max(kLeastImages, group_); n = n / 2 / group_ * group_)
      sizes.insert(sizes.begin(), n);
    for (const int64_t n : sizes) {
      OCTET_RETURN_IF_ERROR(see_images(done, n));
      OCTET_ASSIGN(Ranges now, quantizer_.calibrate(prepared_, plan_, all_so_far()));
      if (done > 0) report_.convergence.push_back(change(before, now, n));
      before = std::move(now);
      done = n;
    }
    for (size_t i = report_.convergence.size(); i-- > 0 && report_.convergence[i].p95_change <= job_.tolerance;)
      report_.enough = report_.convergence[i].images / 2;
    return Status::ok();
  }

  static ConvergencePoint change(const Ranges& before, const Ranges& now, int64_t images) {
    ConvergencePoint point;
    point.images = images;
    std::vector<std::pair<double, std::string>> changes;
    for (const auto& [name, entry] : now.tensors) {
      const auto earlier = before.tensors.find(name);
      if (entry.role != TensorRole::kActivation || earlier == before.tensors.end()) continue;
      const double width = entry.hi[0] - entry.lo[0], other = earlier->second.hi[0] - earlier->second.lo[0];
      changes.emplace_back(width > 0 ? std::fabs(width - other) / width : 0, name);
    }
    if (changes.empty()) return point;
    std::sort(changes.begin(), changes.end());
    point.median_change = changes[changes.size() / 2].first;
    point.p95_change = changes[(changes.size() * 95 + 99) / 100 - 1].first;
    point.worst_change = changes.back().first;
    point.worst_tensor = changes.back().second;
    return point;
  }

  // log2, because activations of different images differ by factors; a floor, so that equal images do not make every
  // difference large.
  void find_outliers() {
    constexpr double kLeastDeviation = 0.05;
    const auto groups = static_cast<size_t>(images_ / group_);
    std::vector<OutlierImage> found(groups);
    for (size_t t = 0; t < tensors_.size(); ++t) {
      std::vector<double> logs, distances;
      for (size_t i = 0; i < groups; ++i) logs.push_back(std::log2(std::max(figures_[i].amax[t], 1e-30F)));
      const double middle = median_of(logs);
      for (double l : logs) distances.push_back(std::fabs(l - middle));
      const double deviation = std::max(1.4826 * median_of(distances), kLeastDeviation);
      for (size_t i = 0; i < groups; ++i) {
        const double z = (logs[i] - middle) / deviation;
        if (z > job_.outlier_z) ++found[i].tensors;
        if (z > found[i].z)
          found[i].z = z, found[i].tensor = tensors_[t], found[i].amax = figures_[i].amax[t],
          found[i].typical = std::exp2(middle);
      }
    }
    for (size_t i = 0; i < groups; ++i) {
      found[i].image = static_cast<int64_t>(i) * group_;
      found[i].name = figures_[i].name;
      found[i].nonfinite = figures_[i].nonfinite;
      if (found[i].tensors > 0 || found[i].nonfinite) report_.outliers.push_back(found[i]);
    }
    std::stable_sort(report_.outliers.begin(), report_.outliers.end(),
                     [](const OutlierImage& a, const OutlierImage& b) { return a.z > b.z; });
  }

  // The halves of a split: which blocks are on the first side.
  std::vector<size_t> side_of(int split) const {
    std::vector<int64_t> order = deterministic_subset(kBlocks, kBlocks, job_.seed + 1 + static_cast<uint64_t>(split));
    return {order.begin(), order.begin() + kBlocks / 2};
  }

  TensorStatistics merged(size_t tensor, const std::vector<size_t>& side, bool inside) const {
    TensorStatistics sum;
    for (size_t b = 0; b < kBlocks; ++b)
      if ((std::find(side.begin(), side.end(), b) != side.end()) == inside) sum.merge(blocks_[b][tensor]);
    return sum;
  }

  Result<Statistics> see_evaluation() {
    Statistics all(tensors_.size());
    const auto body = [&](int, int64_t item) -> Status {
      Statistics seen(tensors_.size());
      OCTET_RETURN_IF_ERROR(observe(*job_.evaluation, item * group_, &seen, nullptr));
      std::lock_guard lock(mutex_);
      for (size_t t = 0; t < seen.size(); ++t) all[t].merge(seen[t]);
      return Status::ok();
    };
    OCTET_RETURN_IF_ERROR(parallel_items(compared_ / group_, job_.run, "evaluation", group_, compared_, body));
    return all;
  }

  // Calibration images against evaluation images, and as a yardstick against each other: halves of the calibration
  // images in many splits. Every distance is between equally many images.
  Status measure_drift() {
    if (compared_ == 0) return Status::ok();
    OCTET_ASSIGN(const Statistics other, see_evaluation());
    std::vector<double> network_null(kSplits, 0), network(kSplits, 0);
    for (size_t t = 0; t < tensors_.size(); ++t) {
      std::vector<double> null, real;
      for (int k = 0; k < kSplits; ++k) {
        const std::vector<size_t> side = side_of(k);
        const TensorStatistics a = merged(t, side, true);
        null.push_back(jensen_shannon_distance(a, merged(t, side, false)));
        real.push_back(jensen_shannon_distance(a, other[t]));
        network_null[static_cast<size_t>(k)] += null.back() / static_cast<double>(tensors_.size());
        network[static_cast<size_t>(k)] += real.back() / static_cast<double>(tensors_.size());
      }
      report_.drift.push_back({tensors_[t], mean(real), threshold(null)});
    }
    report_.drift_measured = true;
    report_.drift_images = compared_;
    report_.distance = mean(network);
    report_.threshold = threshold(network_null);
    report_.drifted = report_.distance > report_.threshold;
    std::stable_sort(report_.drift.begin(), report_.drift.end(), [](const TensorDrift& a, const TensorDrift& b) {
      return a.distance * b.threshold > b.distance * a.threshold;
    });
    return Status::ok();
  }

  static double mean(const std::vector<double>& values) {
    double sum = 0;
    for (double v : values) sum += v;
    return sum / static_cast<double>(values.size());
  }

  // Mean and three standard deviations, but clearly above the largest.
  static double threshold(const std::vector<double>& null) {
    const double m = mean(null);
    double squares = 0;
    for (double v : null) squares += (v - m) * (v - m);
    const double deviation = std::sqrt(squares / static_cast<double>(null.size() - 1));
    return std::max(m + kDeviations * deviation, kMargin * *std::max_element(null.begin(), null.end()));
  }

  const SelectiveQuantizer& quantizer_;
  const CalibCheckJob& job_;
  Graph prepared_;
  QuantizationPlan plan_;
  std::vector<std::string> tensors_;
  std::unique_ptr<Executor> executor_;
  int64_t images_ = 0, group_ = 1, compared_ = 0;
  std::vector<Statistics> blocks_;
  std::vector<ImageFigures> figures_;  // by group
  std::mutex mutex_;
  CalibCheckReport report_;
};

}  // namespace

Result<CalibCheckReport> check_calibration(const Graph& graph, const SelectiveQuantizer& quantizer,
                                           const CalibCheckJob& job) {
  return Check(quantizer, job).run(graph);
}

std::string calib_check_to_json(const CalibCheckReport& r) {
  nlohmann::ordered_json root;
  root["format"] = "octet-calib-check";
  root["version"] = 1;
  root["images"] = r.images;
  root["tensors"] = r.tensors;
  root["enough"] = r.enough;
  root["convergence"] = nlohmann::ordered_json::array();
  for (const ConvergencePoint& p : r.convergence)
    root["convergence"].push_back({{"images", p.images},
                                   {"median_change", p.median_change},
                                   {"p95_change", p.p95_change},
                                   {"worst_change", p.worst_change},
                                   {"worst_tensor", p.worst_tensor}});
  root["outliers"] = nlohmann::ordered_json::array();
  for (const OutlierImage& o : r.outliers)
    root["outliers"].push_back({{"image", o.image},
                                {"name", o.name},
                                {"z", o.z},
                                {"tensor", o.tensor},
                                {"amax", o.amax},
                                {"typical", o.typical},
                                {"tensors", o.tensors},
                                {"nonfinite", o.nonfinite}});
  if (r.drift_measured) {
    root["drift"] = {
        {"drifted", r.drifted}, {"distance", r.distance}, {"threshold", r.threshold}, {"images", r.drift_images}};
    root["drift"]["tensors"] = nlohmann::ordered_json::array();
    for (const TensorDrift& t : r.drift)
      root["drift"]["tensors"].push_back(
          {{"tensor", t.tensor}, {"distance", t.distance}, {"threshold", t.threshold}});
  }
  root["notes"] = r.notes;
  return root.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace octet
