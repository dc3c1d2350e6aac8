#include "kernels/nn_support.h"

namespace octet {
namespace {

using namespace test;

Tensor raw_bytes(DType dtype, Dims dims, const std::vector<uint8_t>& bytes) {
  Tensor t(dtype, std::move(dims));
  for (size_t i = 0; i < bytes.size(); ++i) t.data<uint8_t>()[i] = bytes[i];
  return t;
}

TEST(QuantizeLinear, RoundsHalfToEvenAndSaturates) {
  const Tensor x = floats({6}, {1, 3, 5, -1000, 1000, 254});
  expect_output<uint8_t>({"QuantizeLinear", {x, Tensor::scalar(2.0F), Tensor::scalar<uint8_t>(128)}}, {6},
                         {128, 130, 130, 0, 255, 255});
  expect_output<uint8_t>({"QuantizeLinear", {x, Tensor::scalar(2.0F)}}, {6}, {0, 2, 2, 0, 255, 127});
}

TEST(QuantizeLinear, FollowsAxisAndBlocks) {
  const Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor zero = Tensor::from<int8_t>({2}, {0, 1});
  expect_output<int8_t>({"QuantizeLinear", {x, floats({2}, {1, 0.5F}), zero}, {{"axis", int64_t{0}}}}, {2, 3},
                        {1, 2, 3, 9, 11, 13});
  const Tensor blocks = floats({2, 2}, {1, 0.5F, 2, 3});
  const Tensor zeros = Tensor::from<int8_t>({2, 2}, {0, 0, 0, -1});
  const Attributes blocked{{"axis", int64_t{1}}, {"block_size", int64_t{2}}};
  expect_output<int8_t>({"QuantizeLinear", {x, blocks, zeros}, blocked}, {2, 3}, {1, 2, 6, 2, 2, 1});
  const auto q = run_op({"QuantizeLinear", {x, blocks, zeros}, blocked});
  expect_near({"DequantizeLinear", {(*q)[0], blocks, zeros}, blocked}, {2, 3}, {1, 2, 3, 4, 4, 6});
}

TEST(QuantizeLinear, MakesFourBitAndFp8Codes) {
  const auto codes = [](const Tensor& zero, Attributes attributes, std::vector<float> values) {
    const auto size = static_cast<int64_t>(values.size());
    const auto q = run_op({"QuantizeLinear", {floats({size}, values), Tensor::scalar(1.0F), zero}, attributes});
    EXPECT_TRUE(q.is_ok()) << q.status().message();
    return q.is_ok() ? values_of<uint8_t>((*q)[0]) : std::vector<uint8_t>{};
  };
  EXPECT_EQ(codes({}, {{"output_dtype", int64_t{22}}}, {-9, -1, 9}), (std::vector<uint8_t>{0xf8, 0xff, 7}));
  EXPECT_EQ(codes({}, {{"output_dtype", int64_t{21}}}, {-1, 3, 99}), (std::vector<uint8_t>{0, 3, 15}));
  const Tensor e4m3 = raw_bytes(DType::kFloat8E4M3, {}, {0});
  EXPECT_EQ(codes(e4m3, {}, {1, 448, 1e6F}), (std::vector<uint8_t>{0x38, 0x7e, 0x7e}));
  EXPECT_EQ(codes(e4m3, {{"saturate", int64_t{0}}}, {1, 448, -1e6F}), (std::vector<uint8_t>{0x38, 0x7e, 0xff}));
}

TEST(DequantizeLinear, TakesInt32AndGivesTheTypeOfTheScale) {
  const Tensor q = Tensor::from<int32_t>({2}, {100000, -3});
  expect_near({"DequantizeLinear", {q, floats({2}, {0.5F, 2})}, {{"axis", int64_t{0}}}}, {2}, {50000, -6});
  Tensor half(DType::kFloat16, {});
  *half.data<uint16_t>() = 0x3800;  // 0.5
  const auto y = run_op({"DequantizeLinear", {Tensor::scalar<int8_t>(3), half}});
  ASSERT_TRUE(y.is_ok()) << y.status().message();
  ASSERT_EQ((*y)[0].dtype(), DType::kFloat16);
  EXPECT_EQ(*(*y)[0].data<uint16_t>(), 0x3e00);  // 1.5
  expect_refused({"DequantizeLinear", {q, Tensor::scalar(1.0F), Tensor::scalar<int32_t>(1)}}, "must be 0");
}

TEST(QuantizeLinear, RefusesWhatDoesNotFit) {
  const Tensor x = counting({2, 3});
  const Tensor one = Tensor::scalar(1.0F);
  expect_refused({"QuantizeLinear", {x, Tensor::scalar(0.0F)}}, "scale");
  expect_refused({"QuantizeLinear", {x, floats({2}, {1, 1})}}, "expected [3]");
  expect_refused({"QuantizeLinear", {x, floats({2}, {1, 1})}, {{"axis", int64_t{5}}}}, "axis 5");
  expect_refused({"QuantizeLinear", {x, one, Tensor::from<int8_t>({2}, {0, 0})}}, "must be the same");
  expect_refused({"QuantizeLinear", {x, one, Tensor::scalar(0.0F)}}, "float32");
  expect_refused({"QuantizeLinear", {x, one}, {{"output_dtype", int64_t{1}}}}, "output_dtype 1");
  expect_refused({"QuantizeLinear", {x, one, Tensor::scalar<int8_t>(0)}, {{"output_dtype", int64_t{2}}}},
                 "output_dtype is uint8");
  expect_refused({"QuantizeLinear", {x, counting({2, 3})}, {{"block_size", int64_t{2}}}}, "expected [2, 2]");
  expect_refused({"QuantizeLinear", {x, counting({2, 3})}, {{"block_size", int64_t{-1}}}}, "negative");
  expect_refused({"DequantizeLinear", {Tensor::scalar<int8_t>(1), one, Tensor::scalar<uint8_t>(1)}}, "uint8");
  expect_refused({"DequantizeLinear", {x, one}}, "float32");
}

TEST(DynamicQuantizeLinear, CoversTheRangeWithZero) {
  const auto y = run_op({"DynamicQuantizeLinear", {floats({3}, {-1, 0, 4.1F})}, {}, 3});
  ASSERT_TRUE(y.is_ok()) << y.status().message();
  EXPECT_FLOAT_EQ(*(*y)[1].data<float>(), 0.02F);
  EXPECT_EQ(*(*y)[2].data<uint8_t>(), 50);
  EXPECT_EQ(values_of<uint8_t>((*y)[0]), (std::vector<uint8_t>{0, 50, 255}));
}

TEST(QLinearConv, RequantizesPerChannelWithBias) {
  const Tensor x = Tensor::from<uint8_t>({1, 1, 2}, {130, 120});
  const Tensor w = Tensor::from<int8_t>({2, 1, 1}, {10, -20});
  const std::vector<Tensor> inputs{x,
                                   Tensor::scalar(0.5F),
                                   Tensor::scalar<uint8_t>(128),
                                   w,
                                   floats({2}, {1, 0.1F}),
                                   Tensor::from<int8_t>({2}, {0, 0}),
                                   Tensor::scalar(1.0F),
                                   Tensor::scalar<uint8_t>(100),
                                   Tensor::from<int32_t>({2}, {1, 100})};
  // Sums 21, -79 and 60, 260, times 0.5 and 0.05.
  expect_output<uint8_t>({"QLinearConv", inputs}, {1, 2, 2}, {110, 60, 103, 113});
  std::vector<Tensor> bad = inputs;
  bad[4] = floats({3}, {1, 1, 1});
  expect_refused({"QLinearConv", bad}, "scale (input 4) of shape [3]");
  bad = inputs;
  bad[1] = Tensor::scalar(0.0F);
  expect_refused({"QLinearConv", bad}, "finite and above 0");
}

TEST(QLinearMatMul, ScalesRowsAndColumns) {
  const std::vector<Tensor> inputs{Tensor::from<int8_t>({2, 1}, {10, 20}),
                                   floats({2}, {1, 0.5F}),
                                   Tensor::from<int8_t>({2}, {0, 10}),
                                   Tensor::from<int8_t>({1, 2}, {3, -100}),
                                   floats({2}, {1, 0.1F}),
                                   Tensor::from<int8_t>({2}, {0, 0}),
                                   Tensor::scalar(1.0F),
                                   Tensor::scalar<int8_t>(-1)};
  // Sums 30 -1000 / 30 -1000, scales 1 0.1 / 0.5 0.05; -101 and -51 stay, nothing wraps.
  expect_output<int8_t>({"QLinearMatMul", inputs}, {2, 2}, {29, -101, 14, -51});
}

}  // namespace
}  // namespace octet
