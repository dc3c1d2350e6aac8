#include "kernels/nn_support.h"

namespace octet {
namespace {

using namespace test;

TEST(TopK, BreaksTiesByTheLowerIndex) {
  const Tensor x = floats({2, 4}, {1, 3, 3, 2, -0.0F, 0, NAN, -1});
  const OpCall largest{"TopK", {x, ints({1}, {2})}, {}, 2};
  auto y = run_op(largest);
  ASSERT_TRUE(y.is_ok()) << y.status().message();
  EXPECT_EQ(values_of<int64_t>((*y)[1]), (Ints{1, 2, 2, 0}));  // NaN counts as the largest, -0 equals 0
  y = run_op({"TopK", {x, ints({1}, {2})}, {{"largest", int64_t{0}}}, 2});
  EXPECT_EQ(values_of<int64_t>((*y)[1]), (Ints{0, 3, 3, 0}));
  y = run_op({"TopK", {x, ints({1}, {1})}, {{"axis", int64_t{0}}}, 2});
  EXPECT_EQ((*y)[0].dims(), (Dims{1, 4}));
  EXPECT_EQ(values_of<int64_t>((*y)[1]), (Ints{0, 0, 1, 0}));
}

TEST(TopK, OrdersWideIntegersExactly) {
  const Tensor x = Tensor::from<uint64_t>({3}, {1, UINT64_MAX, uint64_t{1} << 63});
  auto y = run_op({"TopK", {x, ints({1}, {3})}, {}, 2});
  ASSERT_TRUE(y.is_ok()) << y.status().message();
  EXPECT_EQ(values_of<int64_t>((*y)[1]), (Ints{1, 2, 0}));
  const Tensor close = ints({2}, {(int64_t{1} << 60) + 1, (int64_t{1} << 60) + 2});
  y = run_op({"TopK", {close, ints({1}, {1})}, {}, 2});
  EXPECT_EQ(values_of<int64_t>((*y)[1]), (Ints{1}));
}

TEST(TopK, RefusesImpossibleCounts) {
  const Tensor x = counting({3});
  expect_refused({"TopK", {x, ints({1}, {4})}, {}, 2}, "k is 4");
  expect_refused({"TopK", {x, ints({1}, {-1})}, {}, 2}, "k is -1");
  expect_refused({"TopK", {Tensor::scalar(1.0F), ints({1}, {1})}, {}, 2}, "axis");
}

OpCall nms(const Tensor& boxes, const Tensor& scores, int64_t most, float iou, Attributes attributes = {}) {
  return {"NonMaxSuppression", {boxes, scores, ints({1}, {most}), floats({1}, {iou})}, std::move(attributes)};
}

TEST(NonMaxSuppression, KeepsTheBestOfOverlappingBoxes) {
  // The second overlaps the first by 90 / 110; the third has flipped corners and lies apart.
  const Tensor boxes = floats({1, 3, 4}, {0, 0, 10, 10, 0, 1, 10, 11, 50, 50, 40, 40});
  const Tensor scores = floats({1, 2, 3}, {0.8F, 0.9F, 0.1F, 0.5F, 0.5F, 0.6F});
  expect_output<int64_t>(nms(boxes, scores, 5, 0.5F), {4, 3}, {0, 0, 1, 0, 0, 2, 0, 1, 2, 0, 1, 0});
  expect_output<int64_t>(nms(boxes, scores, 5, 0.9F), {6, 3}, {0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 1, 2, 0, 1, 0, 0, 1, 1});
  expect_output<int64_t>(nms(boxes, scores, 0, 0.5F), {0, 3}, {});
  OpCall thresholded = nms(boxes, scores, 5, 0.5F);
  thresholded.inputs.push_back(floats({1}, {0.55F}));
  expect_output<int64_t>(thresholded, {2, 3}, {0, 0, 1, 0, 1, 2});
}

TEST(NonMaxSuppression, ReadsCentreBoxes) {
  const Tensor boxes = floats({1, 2, 4}, {5, 5, 10, 10, 6, 5, 10, 10});
  const Tensor scores = floats({1, 1, 2}, {0.8F, 0.9F});
  expect_output<int64_t>(nms(boxes, scores, 5, 0.5F, {{"center_point_box", int64_t{1}}}), {1, 3}, {0, 0, 1});
  expect_refused(nms(counting({1, 2, 3}), scores, 5, 0.5F), "must be [N, boxes, 4]");
  expect_refused(nms(boxes, counting({1, 1, 3}), 5, 0.5F), "must be [N, boxes, 4]");
  expect_refused(nms(boxes, scores, 5, 2.0F), "iou_threshold");
}

}  // namespace
}  // namespace octet
