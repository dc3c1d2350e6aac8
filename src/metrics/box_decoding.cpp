#include <algorithm>
#include <cmath>
#include <numeric>

#include "metrics/detection.h"
#include "metrics/scores.h"

namespace octet {
namespace {

constexpr int64_t kBoxFields = 5;  // objectness and four coordinates stand beside the classes

bool is_finite(const Box& b) {
  return std::isfinite(b.x1) && std::isfinite(b.y1) && std::isfinite(b.x2) && std::isfinite(b.y2) &&
         std::isfinite(b.score);
}

Box from_centre(double cx, double cy, double w, double h, int64_t label, double score) {
  return {static_cast<float>(cx - w / 2),
          static_cast<float>(cy - h / 2),
          static_cast<float>(cx + w / 2),
          static_cast<float>(cy + h / 2),
          label,
          static_cast<float>(score)};
}

// Drops a leading batch axis of length 1.
Dims without_batch(const Tensor& t, int rank) {
  Dims dims = t.dims();
  if (t.rank() == rank + 1 && t.dim(0) == 1) dims.erase(dims.begin());
  return dims;
}

// The best class of scores[0], scores[step], ...; the lowest id when equal.
std::pair<int64_t, float> best_class(const float* scores, int64_t classes, int64_t step) {
  int64_t best = 0;
  for (int64_t c = 1; c < classes; ++c)
    if (scores[c * step] > scores[best * step]) best = c;
  return {best, scores[best * step]};
}

double sigmoid(double v) { return 1 / (1 + std::exp(-v)); }

}  // namespace

double box_iou(const Box& a, const Box& b) {
  const double w = std::min<double>(a.x2, b.x2) - std::max<double>(a.x1, b.x1);
  const double h = std::min<double>(a.y2, b.y2) - std::max<double>(a.y1, b.y1);
  const double both = w > 0 && h > 0 ? w * h : 0;
  const double area_a = (static_cast<double>(a.x2) - a.x1) * (static_cast<double>(a.y2) - a.y1);
  const double area_b = (static_cast<double>(b.x2) - b.x1) * (static_cast<double>(b.y2) - b.y1);
  const double either = area_a + area_b - both;
  return either > 0 ? both / either : 0;
}

Result<std::vector<Box>> decode_yolox(const Tensor& output, int64_t width, int64_t height, double confidence) {
  const Dims dims = without_batch(output, 2);
  int64_t cells = 0;
  for (int64_t stride : {8, 16, 32}) cells += (width / stride) * (height / stride);
  if (dims.size() != 2 || dims[0] != cells || dims[1] <= kBoxFields)
    return invalid_argument("a YOLOX output for " + std::to_string(width) + " x " + std::to_string(height) +
                            " pixels must have shape [1, " + std::to_string(cells) + ", 5 + classes], got " +
                            dims_to_string(output.dims()));
  OCTET_ASSIGN(const Tensor values, as_float32(output));
  const float* p = values.data<float>();
  std::vector<Box> boxes;
  for (int64_t stride : {8, 16, 32}) {
    for (int64_t y = 0; y < height / stride; ++y) {
      for (int64_t x = 0; x < width / stride; ++x, p += dims[1]) {
        const auto [label, chance] = best_class(p + kBoxFields, dims[1] - kBoxFields, 1);
        const double score = static_cast<double>(p[4]) * chance;
        if (!(score >= confidence)) continue;
        const auto s = static_cast<double>(stride);
        const Box box = from_centre((p[0] + static_cast<double>(x)) * s, (p[1] + static_cast<double>(y)) * s,
                                    std::exp(static_cast<double>(p[2])) * s, std::exp(static_cast<double>(p[3])) * s,
                                    label, score);
        if (is_finite(box)) boxes.push_back(box);
      }
    }
  }
  return boxes;
}

namespace {

void decode_map(const Tensor& map, int64_t stride, double confidence, std::vector<Box>* boxes) {
  const int rank = map.rank();
  const int64_t classes = map.dim(rank - 3) - kBoxFields, w = map.dim(rank - 1), plane = map.dim(rank - 2) * w;
  const auto s = static_cast<double>(stride);
  for (int64_t cell = 0; cell < plane; ++cell) {
    const float* p = map.data<float>() + cell;
    const auto [label, logit] = best_class(p + kBoxFields * plane, classes, plane);
    const double score = sigmoid(p[4 * plane]) * sigmoid(logit);
    if (!(score >= confidence)) continue;
    const Box box =
        from_centre((p[0] + static_cast<double>(cell % w)) * s, (p[plane] + static_cast<double>(cell / w)) * s,
                    std::exp(static_cast<double>(p[2 * plane])) * s, std::exp(static_cast<double>(p[3 * plane])) * s,
                    label, score);
    if (is_finite(box)) boxes->push_back(box);
  }
}

}  // namespace

Result<std::vector<Box>> decode_yolox_maps(const std::vector<Tensor>& maps, int64_t width, int64_t height,
                                           double confidence) {
  std::vector<Box> boxes;
  for (const Tensor& map : maps) {
    const Dims dims = without_batch(map, 3);
    const bool fits = dims.size() == 3 && dims[0] > kBoxFields && dims[1] > 0 && dims[2] > 0 &&
                      width % dims[2] == 0 && height % dims[1] == 0 && width / dims[2] == height / dims[1];
    if (!fits)
      return invalid_argument("a YOLOX map for " + std::to_string(width) + " x " + std::to_string(height) +
                              " pixels must have shape [1, 5 + classes, height / stride, width / stride], got " +
                              dims_to_string(map.dims()));
    OCTET_ASSIGN(const Tensor values, as_float32(map));
    decode_map(values, width / dims[2], confidence, &boxes);
  }
  return boxes;
}

Result<std::vector<Box>> decode_fastestdet(const Tensor& output, int64_t width, int64_t height, double confidence) {
  const Dims dims = without_batch(output, 3);
  if (dims.size() != 3 || dims[0] <= kBoxFields || dims[1] < 1 || dims[2] < 1)
    return invalid_argument("a FastestDet output must have shape [1, 5 + classes, H, W], got " +
                            dims_to_string(output.dims()));
  OCTET_ASSIGN(const Tensor values, as_float32(output));
  const int64_t rows = dims[1], columns = dims[2], plane = rows * columns;
  const auto w = static_cast<double>(width), h = static_cast<double>(height);
  std::vector<Box> boxes;
  for (int64_t cell = 0; cell < plane; ++cell) {
    const float* p = values.data<float>() + cell;
    const auto [label, chance] = best_class(p + kBoxFields * plane, dims[0] - kBoxFields, plane);
    const double score = std::pow(static_cast<double>(p[0]), 0.6) * std::pow(static_cast<double>(chance), 0.4);
    if (!(score >= confidence)) continue;  // also for NaN, which pow gives for a negative objectness
    const double cx = (static_cast<double>(cell % columns) + std::tanh(static_cast<double>(p[plane]))) /
                      static_cast<double>(columns);
    const double cy = (static_cast<double>(cell / columns) + std::tanh(static_cast<double>(p[2 * plane]))) /
                      static_cast<double>(rows);
    const Box box = from_centre(cx * w, cy * h, sigmoid(p[3 * plane]) * w, sigmoid(p[4 * plane]) * h, label, score);
    if (is_finite(box)) boxes.push_back(box);
  }
  return boxes;
}

std::vector<Box> non_max_suppression(std::vector<Box> boxes, double iou, int64_t most) {
  std::stable_sort(boxes.begin(), boxes.end(), [](const Box& a, const Box& b) { return a.score > b.score; });
  std::vector<Box> kept;
  for (const Box& box : boxes) {
    if (static_cast<int64_t>(kept.size()) >= most) break;
    const bool covered = std::any_of(kept.begin(), kept.end(),
                                     [&](const Box& k) { return k.label == box.label && box_iou(k, box) > iou; });
    if (!covered) kept.push_back(box);
  }
  return kept;
}

std::vector<Box> to_image_coordinates(std::vector<Box> boxes, const ImagePlacement& at) {
  const auto map = [](float v, double offset, double scale, int64_t side) {
    return static_cast<float>(std::clamp((v - offset) / scale, 0.0, static_cast<double>(side)));
  };
  for (Box& b : boxes) {
    b.x1 = map(b.x1, at.offset_x, at.scale_x, at.image_width);
    b.x2 = map(b.x2, at.offset_x, at.scale_x, at.image_width);
    b.y1 = map(b.y1, at.offset_y, at.scale_y, at.image_height);
    b.y2 = map(b.y2, at.offset_y, at.scale_y, at.image_height);
  }
  return boxes;
}

Result<std::vector<Box>> detect(const DetectionSpec& spec, const Tensor& output, const ImagePlacement& placement) {
  return detect(spec, std::vector<Tensor>{output}, placement);
}

Result<std::vector<Box>> detect(const DetectionSpec& spec, const std::vector<Tensor>& outputs,
                                const ImagePlacement& at) {
  if (spec.decoder == Decoder::kNone)
    return invalid_argument("the data spec names no decoder; set 'decoder' to yolox or fastestdet");
  const bool yolox = spec.decoder == Decoder::kYolox;
  if (outputs.empty()) return invalid_argument("the network has no output");
  const auto decode = [&] {
    if (!yolox) return decode_fastestdet(outputs[0], at.canvas_width, at.canvas_height, spec.confidence);
    if (outputs.size() > 1 || outputs[0].rank() == 4)
      return decode_yolox_maps(outputs, at.canvas_width, at.canvas_height, spec.confidence);
    return decode_yolox(outputs[0], at.canvas_width, at.canvas_height, spec.confidence);
  };
  OCTET_ASSIGN(std::vector<Box> boxes, decode());
  boxes = non_max_suppression(std::move(boxes), spec.nms_iou.value_or(yolox ? 0.65 : 0.45), spec.max_detections);
  return to_image_coordinates(std::move(boxes), at);
}

}  // namespace octet
