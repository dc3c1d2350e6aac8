#include "arith/choose_params.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "arith/quantize.h"

namespace octet {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(SymmetricParams, StepIsAmaxOverTheLargestCode) {
  EXPECT_EQ(symmetric_params(2.54f, DType::kInt8).scale, 2.54f / 127.0f);
  EXPECT_EQ(symmetric_params(-2.54f, DType::kInt8, true).scale, 2.54f / 127.0f);
  EXPECT_EQ(symmetric_params(5.1f, DType::kUint8).scale, 5.1f / 255.0f);
  EXPECT_EQ(symmetric_params(7.0f, DType::kInt4).scale, 1.0f);
  EXPECT_EQ(symmetric_params(1.0f, DType::kInt16).scale, 1.0f / 32767.0f);
  EXPECT_EQ(symmetric_params(448.0f, DType::kFloat8E4M3).scale, 1.0f);
  EXPECT_EQ(symmetric_params(57344.0f, DType::kFloat8E5M2).scale, 1.0f);
  EXPECT_EQ(symmetric_params(5.1f, DType::kUint8).zero_point, 0);
}

TEST(SymmetricParams, UselessRangesGetASafeScale) {
  for (float amax : {0.0f, -0.0f, 1e-45f, 5.9e-8f, kInf, kNan}) {
    const ScaleZero s = symmetric_params(amax, DType::kInt8);
    EXPECT_TRUE(s.degenerate) << amax;
    EXPECT_EQ(s.scale, kDegenerateScale) << amax;
    EXPECT_EQ(s.zero_point, 0);
  }
  EXPECT_FALSE(symmetric_params(kMinAmax, DType::kUint16).degenerate);
  EXPECT_TRUE(std::isnormal(symmetric_params(kMinAmax, DType::kUint16).scale));
  EXPECT_TRUE(std::isnormal(symmetric_params(kMinAmax, DType::kFloat8E5M2).scale));
}

TEST(AffineParams, ZeroIsAlwaysExactAndTheEndsAreWithinAStep) {
  for (DType type : {DType::kInt8, DType::kUint8, DType::kInt4, DType::kUint4, DType::kInt16, DType::kUint16}) {
    for (bool narrow : {false, true}) {
      for (auto [lo, hi] : {std::pair{-1.0f, 3.0f},
                            {0.5f, 3.0f},
                            {-7.0f, -2.0f},
                            {-0.3f, 6.0f},
                            {-1e-3f, 1e30f},
                            {-3.4e38f, 3.4e38f},
                            {0.0f, 1e-7f}}) {
        const ScaleZero s = affine_params(lo, hi, type, narrow);
        const CodeRange r = code_range(type, narrow);
        ASSERT_FALSE(s.degenerate);
        ASSERT_TRUE(std::isnormal(s.scale));
        ASSERT_GE(s.zero_point, r.lo);
        ASSERT_LE(s.zero_point, r.hi);
        EXPECT_EQ(fake_quantize_value(0.0f, s.scale, s.zero_point, r.lo, r.hi), 0.0f);
        const double low = (r.lo - s.zero_point) * static_cast<double>(s.scale);
        const double high = (r.hi - s.zero_point) * static_cast<double>(s.scale);
        EXPECT_LE(std::fabs(low - std::min(lo, 0.0f)), 0.51 * s.scale);
        EXPECT_LE(std::fabs(high - std::max(hi, 0.0f)), 0.51 * s.scale);
      }
    }
  }
}

TEST(AffineParams, WorkedExampleAndDegenerateRanges) {
  const ScaleZero s = affine_params(-1.0f, 3.0f, DType::kUint8);
  EXPECT_EQ(s.scale, static_cast<float>(4.0 / 255));
  EXPECT_EQ(s.zero_point, 64);  // 63.75 rounds up
  EXPECT_EQ(affine_params(-1.0f, 3.0f, DType::kInt8).zero_point, -64);
  for (auto [lo, hi] : {std::pair{0.0f, 0.0f}, {kNan, 1.0f}, {-kInf, 1.0f}, {-1e-9f, 1e-9f}}) {
    const ScaleZero d = affine_params(lo, hi, DType::kUint8);
    EXPECT_TRUE(d.degenerate);
    EXPECT_EQ(d.scale, kDegenerateScale);
    EXPECT_EQ(d.zero_point, 0);
  }
  EXPECT_EQ(affine_params(-2.0f, 4.48f, DType::kFloat8E4M3).scale, 4.48f / 448.0f);
}

}  // namespace
}  // namespace octet
