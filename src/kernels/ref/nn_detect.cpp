// TopK and NonMaxSuppression.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "arith/float_formats.h"
#include "kernels/ref/nn_common.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace nn {
namespace {

// An int64 that orders like the double; -0 equals 0, NaN comes above everything.
int64_t order_of(double v) {
  if (std::isnan(v)) return std::numeric_limits<int64_t>::max();
  const auto bits = std::bit_cast<int64_t>(v == 0 ? 0.0 : v);
  return bits >= 0 ? bits : std::numeric_limits<int64_t>::min() + 1 + ~bits;
}

// Elements of any numeric type as int64 that compare as they do.
Result<Tensor> order_keys(const Tensor& x) {
  if (!dtype_is_float(x.dtype())) {
    OCTET_ASSIGN(Tensor keys, cast_tensor(x, DType::kInt64));
    if (x.dtype() == DType::kUint64)  // moving the sign bit turns unsigned order into signed order
      for (int64_t i = 0; i < x.numel(); ++i) keys.data<int64_t>()[i] ^= std::numeric_limits<int64_t>::min();
    return keys;
  }
  OCTET_ASSIGN(const Tensor values, to_float64(x));
  OCTET_ASSIGN(Tensor keys, Tensor::create(DType::kInt64, x.dims()));
  for (int64_t i = 0; i < x.numel(); ++i) keys.data<int64_t>()[i] = order_of(values.data<double>()[i]);
  return keys;
}

// The positions of the k first elements of a line in the asked order; equal elements by position.
void select_line(const int64_t* keys, int64_t length, int64_t step, bool largest, int64_t k,
                 std::vector<int64_t>& order) {
  order.resize(static_cast<size_t>(length));
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + k, order.end(), [&](int64_t a, int64_t b) {
    const int64_t ka = keys[a * step];
    const int64_t kb = keys[b * step];
    if (ka != kb) return largest ? ka > kb : ka < kb;
    return a < b;
  });
}

template <class T>
OpResult top_k_of(const Tensor& x, const Tensor& keys, int64_t axis, int64_t k, bool largest) {
  Dims dims = x.dims();
  const int64_t length = dims[static_cast<size_t>(axis)];
  dims[static_cast<size_t>(axis)] = k;
  OCTET_ASSIGN(Tensor values, Tensor::create(x.dtype(), dims));
  OCTET_ASSIGN(Tensor indices, Tensor::create(DType::kInt64, dims));
  const int64_t step = product(dims, static_cast<size_t>(axis) + 1, dims.size());
  const int64_t lines = values.numel() == 0 ? 0 : values.numel() / k;
  std::vector<int64_t> order;
  for (int64_t line = 0; line < lines; ++line) {
    const int64_t from = line / step * length * step + line % step;
    const int64_t to = line / step * k * step + line % step;
    select_line(keys.data<int64_t>() + from, length, step, largest, k, order);
    for (int64_t i = 0; i < k; ++i) {
      const int64_t position = order[static_cast<size_t>(i)];
      values.data<T>()[to + i * step] = x.data<T>()[from + position * step];
      indices.data<int64_t>()[to + i * step] = position;
    }
  }
  return std::vector<Tensor>{values, indices};
}

// Always sorted, which `sorted` = 0 leaves open. Before opset 10 k is an attribute.
OpResult top_k(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  if (!dtype_is_float(x.dtype()) && !dtype_is_integer(x.dtype())) return unsupported_dtype(x.dtype());
  int64_t k = args.node.attr_int("k", -1);
  if (args.has(1)) {
    OCTET_ASSIGN(k, int_scalar_input(args, 1));
  }
  OCTET_ASSIGN(const int64_t axis, normalize_axis(args.node.attr_int("axis", -1), x.rank()));
  const int64_t length = x.dim(static_cast<int>(axis));
  if (k < 0 || k > length)
    return invalid_argument("k is " + std::to_string(k) + ", but the axis has " + std::to_string(length) +
                            " elements");
  OCTET_ASSIGN(const Tensor keys, order_keys(x));
  const bool largest = args.node.attr_int("largest", 1) != 0;
  return dispatch_size(x.dtype(), [&]<class T>() -> OpResult { return top_k_of<T>(x, keys, axis, k, largest); });
}

struct Box {
  double x1, y1, x2, y2;
};

// Corners may come in any order; the centre form is {x centre, y centre, width, height}.
Box read_box(const double* b, bool center) {
  if (center) return {b[0] - b[2] / 2, b[1] - b[3] / 2, b[0] + b[2] / 2, b[1] + b[3] / 2};
  return {std::min(b[1], b[3]), std::min(b[0], b[2]), std::max(b[1], b[3]), std::max(b[0], b[2])};
}

double area(const Box& b) { return std::max(0.0, b.x2 - b.x1) * std::max(0.0, b.y2 - b.y1); }

// 0 when either box is empty.
double intersection_over_union(const Box& a, const Box& b) {
  const Box both{std::max(a.x1, b.x1), std::max(a.y1, b.y1), std::min(a.x2, b.x2), std::min(a.y2, b.y2)};
  const double shared = area(both);
  if (area(a) <= 0 || area(b) <= 0 || shared <= 0) return 0;
  return shared / (area(a) + area(b) - shared);
}

struct NmsOptions {
  int64_t max_boxes = 0;  // per batch and class; 0 keeps none
  double iou_threshold = 0;
  double score_threshold = -std::numeric_limits<double>::infinity();
  bool use_score_threshold = false;
};

Result<double> real_scalar(const OpArgs& args, size_t i, const std::string& what) {
  OCTET_RETURN_IF_ERROR(require_real(args, i));
  if (args.in(i).numel() != 1) return invalid_argument(what + " must be one number");
  OCTET_ASSIGN(const Tensor value, to_float64(args.in(i)));
  return value.data<double>()[0];
}

Result<NmsOptions> nms_options(const OpArgs& args) {
  NmsOptions o;
  if (args.has(2)) {
    OCTET_ASSIGN(o.max_boxes, int_scalar_input(args, 2));
  }
  if (args.has(3)) {
    OCTET_ASSIGN(o.iou_threshold, real_scalar(args, 3, "iou_threshold"));
  }
  if (args.has(4)) {
    OCTET_ASSIGN(o.score_threshold, real_scalar(args, 4, "score_threshold"));
    o.use_score_threshold = true;
  }
  if (!(o.iou_threshold >= 0 && o.iou_threshold <= 1)) return invalid_argument("iou_threshold must lie in [0, 1]");
  return o;
}

Status check_nms_shapes(const Tensor& boxes, const Tensor& scores) {
  if (boxes.rank() != 3 || boxes.dim(2) != 4 || scores.rank() != 3 || scores.dim(0) != boxes.dim(0) ||
      scores.dim(2) != boxes.dim(1))
    return invalid_argument("boxes of shape " + dims_to_string(boxes.dims()) + " and scores of shape " +
                            dims_to_string(scores.dims()) + " must be [N, boxes, 4] and [N, classes, boxes]");
  return Status::ok();
}

// Greedy: by falling score (equal scores by index) keeps each box that overlaps none kept before it too much.
std::vector<int64_t> suppress(const std::vector<Box>& boxes, const double* scores, const NmsOptions& o) {
  std::vector<int64_t> order;
  for (size_t i = 0; i < boxes.size(); ++i)
    if (!std::isnan(scores[i]) && (!o.use_score_threshold || scores[i] > o.score_threshold))
      order.push_back(static_cast<int64_t>(i));
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
  std::vector<int64_t> kept;
  for (int64_t candidate : order) {
    if (static_cast<int64_t>(kept.size()) >= o.max_boxes) break;
    const Box& box = boxes[static_cast<size_t>(candidate)];
    const bool clear = std::all_of(kept.begin(), kept.end(), [&](int64_t k) {
      return intersection_over_union(box, boxes[static_cast<size_t>(k)]) <= o.iou_threshold;
    });
    if (clear) kept.push_back(candidate);
  }
  return kept;
}

// Rows {batch, class, box}, by batch, then class, then falling score.
OpResult non_max_suppression(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_real(args, 0));
  OCTET_RETURN_IF_ERROR(require_real(args, 1));
  OCTET_RETURN_IF_ERROR(check_nms_shapes(args.in(0), args.in(1)));
  OCTET_ASSIGN(const NmsOptions options, nms_options(args));
  OCTET_ASSIGN(const Tensor boxes, to_float64(args.in(0)));
  OCTET_ASSIGN(const Tensor scores, to_float64(args.in(1)));
  const int64_t count = boxes.dim(1);
  const int64_t classes = scores.dim(1);
  OCTET_RETURN_IF_ERROR(
      check_work({scores.numel(), std::clamp<int64_t>(options.max_boxes, 0, std::max<int64_t>(count, 0))}));
  std::vector<int64_t> rows;
  std::vector<Box> corners(scores.numel() == 0 ? 0 : static_cast<size_t>(count));
  const bool center = args.node.attr_int("center_point_box", 0) != 0;
  for (int64_t n = 0; n < (scores.numel() == 0 ? 0 : boxes.dim(0)); ++n) {
    for (int64_t i = 0; i < count; ++i)
      corners[static_cast<size_t>(i)] = read_box(boxes.data<double>() + (n * count + i) * 4, center);
    for (int64_t c = 0; c < classes; ++c)
      for (int64_t box : suppress(corners, scores.data<double>() + (n * classes + c) * count, options))
        rows.insert(rows.end(), {n, c, box});
  }
  return std::vector<Tensor>{Tensor::from<int64_t>({static_cast<int64_t>(rows.size()) / 3, 3}, rows)};
}

constexpr RefOpEntry kOps[] = {{"NonMaxSuppression", non_max_suppression}, {"TopK", top_k}};

}  // namespace
}  // namespace nn

std::span<const RefOpEntry> nn_detect_ops() { return nn::kOps; }

}  // namespace octet
