#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "arith/float_formats.h"

namespace octet {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

const DType kAllTypes[] = {DType::kFloat32,    DType::kFloat64, DType::kFloat16, DType::kBFloat16, DType::kFloat8E4M3,
                           DType::kFloat8E5M2, DType::kInt4,    DType::kUint4,   DType::kInt8,     DType::kUint8,
                           DType::kInt16,      DType::kUint16,  DType::kInt32,   DType::kUint32,   DType::kInt64,
                           DType::kUint64,     DType::kBool};

template <class T>
std::vector<T> cast_values(const Tensor& x, DType to) {
  Result<Tensor> y = cast_tensor(x, to);
  EXPECT_TRUE(y.is_ok()) << y.status().message();
  EXPECT_EQ(y->dims(), x.dims());
  EXPECT_EQ(y->dtype(), to);
  return {y->data<T>(), y->data<T>() + y->numel()};
}

// Small whole numbers exist in every type, so that every pair of types must carry them over unchanged.
TEST(CastTensor, EveryPairOfTypesKeepsSmallIntegers) {
  std::vector<float> values;
  for (int i = 0; i < 3000; ++i) values.push_back(static_cast<float>(i % 8));  // several internal chunks
  const Tensor start = Tensor::from<float>({3000}, values);
  for (DType from : kAllTypes) {
    for (DType to : kAllTypes) {
      Result<Tensor> a = cast_tensor(start, from);
      Result<Tensor> b = cast_tensor(*a, to);
      ASSERT_TRUE(b.is_ok());
      const std::vector<float> back = cast_values<float>(*b, DType::kFloat32);
      const bool through_bool = from == DType::kBool || to == DType::kBool;
      for (size_t i = 0; i < values.size(); ++i)
        ASSERT_EQ(back[i], through_bool ? (values[i] != 0 ? 1.0f : 0.0f) : values[i])
            << dtype_name(from) << " to " << dtype_name(to);
    }
  }
}

// Figures observed with ONNX Runtime 1.32 on x86-64.
TEST(CastTensor, FloatToIntegerAsOnnxRuntime) {
  const Tensor x = Tensor::from<float>(
      {13}, {kNan, kInf, -kInf, 300.7f, -300.7f, -1.5f, 0.4f, -0.4f, 70000.2f, 1e10f, -1e10f, 1e20f, 8.9f});
  EXPECT_EQ(cast_values<uint8_t>(x, DType::kUint8),
            (std::vector<uint8_t>{0, 0, 0, 44, 212, 255, 0, 0, 112, 0, 0, 0, 8}));
  EXPECT_EQ(cast_values<int8_t>(x, DType::kInt8), (std::vector<int8_t>{0, 0, 0, 44, -44, -1, 0, 0, 112, 0, 0, 0, 8}));
  EXPECT_EQ(cast_values<uint16_t>(x, DType::kUint16),
            (std::vector<uint16_t>{0, 0, 0, 300, 65236, 65535, 0, 0, 4464, 0, 0, 0, 8}));
  const int32_t lo = std::numeric_limits<int32_t>::min();
  EXPECT_EQ(cast_values<int32_t>(x, DType::kInt32),
            (std::vector<int32_t>{lo, lo, lo, 300, -300, -1, 0, 0, 70000, lo, lo, lo, 8}));
  const int64_t low = std::numeric_limits<int64_t>::min();
  EXPECT_EQ(cast_values<int64_t>(x, DType::kInt64),
            (std::vector<int64_t>{low, low, low, 300, -300, -1, 0, 0, 70000, 10000000000, -10000000000, low, 8}));
}

TEST(CastTensor, IntegersKeepTheLowBits) {
  const Tensor x = Tensor::from<int32_t>({7}, {300, -300, 9, -9, 17, -1, 0});
  EXPECT_EQ(cast_values<uint8_t>(x, DType::kUint8), (std::vector<uint8_t>{44, 212, 9, 247, 17, 255, 0}));
  EXPECT_EQ(cast_values<int8_t>(x, DType::kInt4), (std::vector<int8_t>{-4, 4, -7, 7, 1, -1, 0}));
  EXPECT_EQ(cast_values<uint8_t>(x, DType::kUint4), (std::vector<uint8_t>{12, 4, 9, 7, 1, 15, 0}));
  EXPECT_EQ(cast_values<uint8_t>(x, DType::kBool), (std::vector<uint8_t>{1, 1, 1, 1, 1, 1, 0}));
  const Tensor big = Tensor::from<uint64_t>({2}, {~uint64_t{0}, uint64_t{1} << 63});
  EXPECT_EQ(cast_values<float>(big, DType::kFloat32), (std::vector<float>{0x1p64f, 0x1p63f}));
  EXPECT_EQ(cast_values<uint64_t>(Tensor::from<float>({1}, {0x1.8p63f}), DType::kUint64),
            (std::vector<uint64_t>{uint64_t{3} << 62}));
}

TEST(CastTensor, SpecialFloatsAndSaturation) {
  const Tensor x = Tensor::from<float>({3}, {1e9f, -kInf, kNan});
  Result<Tensor> sat = cast_tensor(x, DType::kFloat8E4M3, true);
  Result<Tensor> raw = cast_tensor(x, DType::kFloat8E4M3, false);
  ASSERT_TRUE(sat.is_ok() && raw.is_ok());
  EXPECT_EQ(sat->data<uint8_t>()[0], 0x7e);
  EXPECT_EQ(sat->data<uint8_t>()[1], 0xfe);
  EXPECT_EQ(sat->data<uint8_t>()[2] & 0x7f, 0x7f);
  EXPECT_EQ(raw->data<uint8_t>()[0], 0x7f);
  EXPECT_EQ(cast_values<uint16_t>(Tensor::from<double>({2}, {1e300, -1e-300}), DType::kFloat16),
            (std::vector<uint16_t>{0x7c00, 0x8000}));
}

TEST(CastTensor, ResultOwnsItsBufferAndBadInputIsAnError) {
  const Tensor x = Tensor::from<float>({1}, {1.0f});
  Result<Tensor> y = cast_tensor(x, DType::kFloat32);
  ASSERT_TRUE(y.is_ok());
  EXPECT_NE(y->raw(), x.raw());
  EXPECT_EQ(cast_tensor(Tensor(), DType::kFloat32).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(cast_tensor(x, DType::kUndefined).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(cast_tensor(Tensor(DType::kInt8, {0, 3}), DType::kFloat64)->numel(), 0);
}

}  // namespace
}  // namespace octet
