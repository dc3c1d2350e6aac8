#include "metrics/segmentation.h"

#include <algorithm>
#include <cmath>

#include "metrics/scores.h"

namespace octet {

ConfusionMatrix::ConfusionMatrix(int64_t classes, int64_t ignored)
    : classes_(std::clamp<int64_t>(classes, 1, 65536)),
      ignored_(ignored),
      counts_(static_cast<size_t>(classes_ * (classes_ + 1))) {}

Status ConfusionMatrix::add(const Tensor& predicted, const Tensor& truth) {
  if (predicted.dims() != truth.dims())
    return invalid_argument("the predicted and the true class map differ in shape: " +
                            dims_to_string(predicted.dims()) + " and " + dims_to_string(truth.dims()));
  OCTET_ASSIGN(const std::vector<int64_t> p, to_int64s(predicted));
  OCTET_ASSIGN(const std::vector<int64_t> t, to_int64s(truth));
  for (int64_t label : t)
    if (label != ignored_ && (label < 0 || label >= classes_))
      return invalid_argument("the class map holds class " + std::to_string(label) + " but there are " +
                              std::to_string(classes_) + " classes");
  for (size_t i = 0; i < t.size(); ++i) {
    if (t[i] == ignored_) continue;
    const int64_t column = p[i] < 0 || p[i] >= classes_ ? classes_ : p[i];
    ++counts_[static_cast<size_t>(t[i] * (classes_ + 1) + column)];
  }
  return Status::ok();
}

Status ConfusionMatrix::merge(const ConfusionMatrix& other) { return add_counts(other.counts_); }

Status ConfusionMatrix::add_counts(const std::vector<int64_t>& counts) {
  if (counts.size() != counts_.size()) return invalid_argument("two confusion matrices of different class counts");
  std::transform(counts_.begin(), counts_.end(), counts.begin(), counts_.begin(), std::plus<>());
  return Status::ok();
}

int64_t ConfusionMatrix::at(int64_t truth, int64_t predicted) const {
  return counts_[static_cast<size_t>(truth * (classes_ + 1) + predicted)];
}

double ConfusionMatrix::iou(int64_t label) const {
  int64_t either = 0;
  for (int64_t c = 0; c <= classes_; ++c) either += at(label, c);
  for (int64_t t = 0; t < classes_; ++t) either += t == label ? 0 : at(t, label);
  return either == 0 ? -1 : static_cast<double>(at(label, label)) / static_cast<double>(either);
}

double ConfusionMatrix::mean_iou() const {
  double sum = 0;
  int64_t present = 0;
  for (int64_t c = 0; c < classes_; ++c) {
    const double v = iou(c);
    if (v < 0) continue;
    sum += v;
    ++present;
  }
  return present == 0 ? 0 : sum / static_cast<double>(present);
}

double ConfusionMatrix::pixel_accuracy() const {
  int64_t right = 0, all = 0;
  for (int64_t t = 0; t < classes_; ++t) {
    right += at(t, t);
    for (int64_t c = 0; c <= classes_; ++c) all += at(t, c);
  }
  return all == 0 ? 0 : static_cast<double>(right) / static_cast<double>(all);
}

namespace {

// Two source rows (or columns) of each output one, and the weight of the second.
struct Tap {
  int64_t first = 0, second = 0;
  float weight = 0;
};

std::vector<Tap> taps_of(int64_t from, int64_t to) {
  std::vector<Tap> taps(static_cast<size_t>(to));
  for (int64_t i = 0; i < to; ++i) {
    const double at =
        std::clamp((static_cast<double>(i) + 0.5) * static_cast<double>(from) / static_cast<double>(to) - 0.5, 0.0,
                   static_cast<double>(from - 1));
    Tap& tap = taps[static_cast<size_t>(i)];
    tap.first = static_cast<int64_t>(at);
    tap.second = std::min(tap.first + 1, from - 1);
    tap.weight = static_cast<float>(at - std::floor(at));
  }
  return taps;
}

Tensor largest_scores(const Tensor& scores, int64_t classes, int64_t h, int64_t w, int64_t height, int64_t width) {
  const std::vector<Tap> rows = taps_of(h, height), columns = taps_of(w, width);
  Tensor ids(DType::kInt64, {height, width});
  std::vector<float> best(static_cast<size_t>(height * width), -HUGE_VALF);
  std::fill_n(ids.data<int64_t>(), ids.numel(), 0);
  for (int64_t c = 0; c < classes; ++c) {
    const float* plane = scores.data<float>() + c * h * w;
    size_t at = 0;
    for (const Tap& row : rows) {
      const float *above = plane + row.first * w, *below = plane + row.second * w;
      for (const Tap& column : columns) {
        const auto mix = [&](const float* line) {
          return line[column.first] + (line[column.second] - line[column.first]) * column.weight;
        };
        const float top = mix(above), score = top + (mix(below) - top) * row.weight;
        if (score > best[at]) {
          best[at] = score;
          ids.data<int64_t>()[at] = c;
        }
        ++at;
      }
    }
  }
  return ids;
}

}  // namespace

Result<ClassMap> class_map(const Tensor& output, int64_t height, int64_t width) {
  const Dims& d = output.dims();
  const bool integers = output.dtype() == DType::kInt64 || output.dtype() == DType::kInt32 ||
                        output.dtype() == DType::kUint8 || output.dtype() == DType::kInt8;
  const bool one = !d.empty() && d[0] == 1;
  if (integers && one && (d.size() == 3 || (d.size() == 4 && d[1] == 1)) && d[d.size() - 2] == height &&
      d.back() == width) {
    OCTET_ASSIGN(const std::vector<int64_t> ids, to_int64s(output));
    return ClassMap{Tensor::from<int64_t>({height, width}, ids), 0};
  }
  const bool scores = !integers && one && d.size() == 4 && d[1] >= 2 && d[2] >= 1 && d[3] >= 1;
  if (!scores)
    return invalid_argument(
        "segmentation needs an output [batch, classes, height, width] of scores, or class ids of " +
        std::to_string(height) + " x " + std::to_string(width) + ", and the network's is " +
        dtype_name(output.dtype()) + " " + dims_to_string(d));
  OCTET_ASSIGN(const Tensor values, as_float32(output));
  return ClassMap{largest_scores(values, d[1], d[2], d[3], height, width), d[1]};
}

}  // namespace octet
