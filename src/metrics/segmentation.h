// Semantic segmentation: confusion matrix and mean intersection over union.
#pragma once

#include <cstdint>
#include <vector>

#include "octet/status.h"
#include "octet/tensor.h"

namespace octet {

class ConfusionMatrix {
 public:
  // Pixels whose true class is `ignored` (255 in Cityscapes and VOC) are not counted.
  explicit ConfusionMatrix(int64_t classes, int64_t ignored = 255);

  // Two integer tensors of one shape with class ids. A true id outside of the classes is kInvalidArgument, and
  // nothing is counted; a predicted id outside is counted as wrong.
  Status add(const Tensor& predicted, const Tensor& truth);
  Status merge(const ConfusionMatrix& other);

  // Pixels of class `truth` that were predicted as `predicted`.
  int64_t at(int64_t truth, int64_t predicted) const;
  // Intersection over union of one class; -1 when it occurs neither in the truth nor in the prediction.
  double iou(int64_t label) const;
  // Mean over the classes that occur; 0 when none does.
  double mean_iou() const;
  double pixel_accuracy() const;

  int64_t classes() const { return classes_; }
  // For merging the counts of other processes; kInvalidArgument when `counts` is of another number of classes.
  const std::vector<int64_t>& counts() const { return counts_; }
  Status add_counts(const std::vector<int64_t>& counts);

 private:
  int64_t classes_;
  int64_t ignored_;
  std::vector<int64_t> counts_;  // [classes, classes + 1]: the last column counts predictions outside of the classes
};

// What a segmentation network says of one image, as class ids.
struct ClassMap {
  Tensor ids;           // int64 [height, width]
  int64_t classes = 0;  // 0: the network gives ids and does not say how many there are
};

// `output`: scores [1, classes, h, w] (float32 or float64), of which each pixel's largest counts, the lowest id when
// equal; a smaller or larger map is resized bilinearly before (ONNX Resize's half_pixel). Or ids [1, h, w] or
// [1, 1, h, w] of the image's own size. kInvalidArgument for any other output.
Result<ClassMap> class_map(const Tensor& output, int64_t height, int64_t width);

}  // namespace octet
