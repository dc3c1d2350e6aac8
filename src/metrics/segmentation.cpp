#include "metrics/segmentation.h"

#include <algorithm>

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

Status ConfusionMatrix::merge(const ConfusionMatrix& other) {
  if (other.classes_ != classes_) return invalid_argument("two confusion matrices of different class counts");
  std::transform(counts_.begin(), counts_.end(), other.counts_.begin(), counts_.begin(), std::plus<>());
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

}  // namespace octet
