// Object detection: from network outputs to boxes, and COCO-style average precision.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "octet/data.h"
#include "octet/status.h"
#include "octet/tensor.h"

namespace octet {

// Intersection over union of two boxes with continuous corners; 0 when both are empty.
double box_iou(const Box& a, const Box& b);

// YOLOX (Ge et al., 2021): float32 [1, M, 5 + classes] or [M, 5 + classes] for a canvas of width x height pixels,
// where M is the number of cells of the grids of stride 8, 16 and 32, in that order, row by row. A cell's box is
// centre = (xy + cell) * stride, size = exp(wh) * stride, score = objectness * best class (lowest id when equal).
// Boxes are in pixels of the canvas; those below `confidence` and those that are not finite are left out.
Result<std::vector<Box>> decode_yolox(const Tensor& output, int64_t width, int64_t height, double confidence);

// The same detector without the last steps of the graph: float32 [1, 5 + classes, h, w], one map for each stride
// (width over w, the same as height over h). Objectness and classes are the values before a sigmoid.
Result<std::vector<Box>> decode_yolox_maps(const std::vector<Tensor>& maps, int64_t width, int64_t height,
                                           double confidence);

// FastestDet (dog-qiuqiu): float32 [1, 5 + classes, H, W] or [5 + classes, H, W] with channels objectness, x, y, w,
// h, classes. centre = (cell + tanh(xy)) / grid, size = sigmoid(wh), both relative to the canvas of width x height
// pixels; score = objectness^0.6 * class^0.4.
Result<std::vector<Box>> decode_fastestdet(const Tensor& output, int64_t width, int64_t height, double confidence);

// Greedy suppression within each class: from the highest score down, a box that overlaps a kept one by more than
// `iou` is dropped. At most `most` boxes remain, best first; equal scores keep their order.
std::vector<Box> non_max_suppression(std::vector<Box> boxes, double iou, int64_t most);

// From canvas pixels to pixels of the original image, cut to its edges.
std::vector<Box> to_image_coordinates(std::vector<Box> boxes, const ImagePlacement& placement);

// Decoding, suppression and mapping as the spec says, of a network's outputs for one image. kInvalidArgument for
// Decoder::kNone.
Result<std::vector<Box>> detect(const DetectionSpec& spec, const std::vector<Tensor>& outputs,
                                const ImagePlacement& placement);
Result<std::vector<Box>> detect(const DetectionSpec& spec, const Tensor& output, const ImagePlacement& placement);

// Average precision in the manner of COCO (area range "all", no crowds): per class and IoU threshold, detections over
// all images from the highest score down are matched to the free annotation of their image with the largest overlap;
// precision, made monotonous from the right, is averaged at recall 0, 0.01, ..., 1.
class AveragePrecision {
 public:
  explicit AveragePrecision(int64_t max_detections = 100) : max_detections_(max_detections) {}

  // One image; order matters only between equal scores. Detections of all classes in pixels of the image.
  void add_image(const std::vector<Box>& detections, const std::vector<Box>& annotations);

  struct ClassResult {
    int64_t label = 0;
    int64_t annotations = 0;
    double ap50 = 0;
    double ap = 0;  // mean over IoU 0.50, 0.55, ..., 0.95
  };
  struct Summary {
    double map50 = 0;  // mean over the classes with at least one annotation; 0 when there is none
    double map = 0;
    int64_t images = 0, annotations = 0, detections = 0;
    std::vector<ClassResult> classes;  // by class id
  };
  // Restricted to `labels` when the list is not empty.
  Summary summarize(const std::vector<int64_t>& labels = {}) const;

  static constexpr int kThresholds = 10;

 private:
  struct Scored {
    float score = 0;
    bool hit[kThresholds] = {};
  };
  struct ClassRecord {
    int64_t annotations = 0;
    std::vector<Scored> detections;
  };
  static double average_precision(std::vector<Scored> detections, int64_t annotations, int threshold);

  int64_t max_detections_;
  int64_t images_ = 0;
  std::map<int64_t, ClassRecord> classes_;
};

}  // namespace octet
