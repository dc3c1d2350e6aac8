#include "kernels/nn_support.h"

namespace octet {
namespace {

using namespace test;

TEST(MaxPool, CeilModeKeepsPartialWindowsButNoneThatStartsInThePadding) {
  const Tensor x = counting({1, 1, 5});
  expect_near({"MaxPool", {x}, {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}}}, {1, 1, 2}, {2, 4});
  expect_near({"MaxPool", {x}, {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}, {"ceil_mode", int64_t{1}}}},
              {1, 1, 3}, {2, 4, 5});
  expect_near({"MaxPool",
               {counting({1, 1, 2})},
               {{"kernel_shape", Ints{1}}, {"strides", Ints{2}}, {"ceil_mode", int64_t{1}}}},
              {1, 1, 1}, {1});
}

TEST(MaxPool, IndicesCountInRowOrColumnOrder) {
  const Tensor x = floats({1, 2, 2, 3}, {1, 5, 2, 9, 3, 4, 7, 8, 0, 1, 1, 6});
  const Attributes base{{"kernel_shape", Ints{2, 2}}};
  expect_near({"MaxPool", {x}, base, 2}, {1, 2, 1, 2}, {9, 5, 8, 8});
  const auto indices = [&](int64_t order) {
    Attributes a = base;
    a["storage_order"] = order;
    return values_of<int64_t>((*run_op({"MaxPool", {x}, a, 2}))[1]);
  };
  EXPECT_EQ(indices(0), (Ints{3, 1, 7, 7}));
  EXPECT_EQ(indices(1), (Ints{1, 2, 8, 8}));
}

TEST(MaxPool, KeepsBytesAndSkipsDilatedGaps) {
  const Tensor x = Tensor::from<int8_t>({1, 1, 5}, {-100, 7, -128, 50, 3});
  expect_output<int8_t>({"MaxPool", {x}, {{"kernel_shape", Ints{2}}, {"dilations", Ints{2}}}}, {1, 1, 3},
                        {-100, 50, 3});
}

TEST(AveragePool, CountsPaddingOnlyWhenAskedAndNeverWhatCeilModeAdds) {
  const Tensor x = counting({1, 1, 3});
  Attributes a{{"kernel_shape", Ints{2}}, {"strides", Ints{2}}, {"pads", Ints{1, 0}}};
  expect_near({"AveragePool", {x}, a}, {1, 1, 2}, {1, 2.5F});
  a["count_include_pad"] = int64_t{1};
  expect_near({"AveragePool", {x}, a}, {1, 1, 2}, {0.5F, 2.5F});
  a["pads"] = Ints{0, 0};
  a["ceil_mode"] = int64_t{1};
  expect_near({"AveragePool", {x}, a}, {1, 1, 2}, {1.5F, 3});
}

// 3-D with dilation, stride and padding against the definition.
TEST(AveragePool, FollowsTheDefinitionIn3D) {
  const Tensor x = random_floats({1, 1, 5, 6, 4}, 7);
  const Ints kernel{2, 3, 2}, strides{2, 1, 2}, dilations{2, 1, 1}, pads{1, 1, 0, 0, 1, 1};
  const Ints in{5, 6, 4};
  std::vector<float> expected;
  for (int64_t d = 0; d < 2; ++d)
    for (int64_t h = 0; h < 6; ++h)
      for (int64_t w = 0; w < 2; ++w) {
        double sum = 0;
        int count = 0;
        for (int64_t k = 0; k < 12; ++k) {
          const int64_t z = d * 2 + k / 6 * 2 - 1, y = h + k / 2 % 3 - 1, v = w * 2 + k % 2;
          if (z < 0 || z >= in[0] || y < 0 || y >= in[1] || v >= in[2]) continue;
          sum += static_cast<double>(x.data<float>()[(z * in[1] + y) * in[2] + v]);
          ++count;
        }
        expected.push_back(static_cast<float>(sum / count));
      }
  expect_near({"AveragePool",
               {x},
               {{"kernel_shape", kernel}, {"strides", strides}, {"dilations", dilations}, {"pads", pads}}},
              {1, 1, 2, 6, 2}, expected);
}

TEST(GlobalPools, ReduceEachPlane) {
  const Tensor x = floats({1, 2, 2, 2}, {1, 2, 3, 6, -1, -2, -3, -4});
  expect_near({"GlobalAveragePool", {x}}, {1, 2, 1, 1}, {3, -2.5F});
  expect_near({"GlobalMaxPool", {x}}, {1, 2, 1, 1}, {6, -1});
  expect_refused({"GlobalMaxPool", {counting({2, 2})}}, "no spatial axes");
  expect_refused({"GlobalMaxPool", {Tensor(DType::kFloat32, {1, 1, 0})}}, "empty");
}

TEST(Pools, RefuseBadWindowsAndEndlessWork) {
  const Tensor x = counting({1, 1, 4, 4});
  expect_refused({"MaxPool", {x}}, "kernel_shape is missing");
  expect_refused({"MaxPool", {x}, {{"kernel_shape", Ints{2}}}}, "does not fit");
  expect_refused({"MaxPool", {x}, {{"kernel_shape", Ints{5, 1}}}}, "spans 5");
  expect_refused({"MaxPool", {x}, {{"kernel_shape", Ints{0, 1}}}}, "at least 1");
  expect_refused({"AveragePool", {x}, {{"kernel_shape", Ints{2, 2}}, {"strides", Ints{1, 0}}}}, "strides");
  expect_refused({"AveragePool", {x}, {{"kernel_shape", Ints{2, 2}}, {"pads", Ints(4, int64_t{1} << 30)}}}, "");
  expect_refused({"AveragePool", {Tensor::from<int8_t>({1, 1, 1}, {1})}, {{"kernel_shape", Ints{1}}}}, "int8");
  // A window far larger than the input costs no more than the input.
  const int64_t wide = (int64_t{1} << 30) - 4;
  expect_near({"MaxPool", {x}, {{"kernel_shape", Ints{wide, wide}}, {"pads", Ints(4, wide / 2)}}}, {1, 1, 5, 5},
              std::vector<float>(25, 16));
}

}  // namespace
}  // namespace octet
