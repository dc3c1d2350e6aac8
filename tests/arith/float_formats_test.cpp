#include "arith/float_formats.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace octet {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// A format described by its parameters and decoded by the textbook formula in double precision.
struct Format {
  const char* name;
  int exponent_bits, mantissa_bits;
  bool finite_only;  // E4M3FN: the top exponent is ordinary, but for the all-ones NaN
  uint32_t (*encode)(float);
  float (*decode)(uint32_t);

  uint32_t sign_bit() const { return 1u << (exponent_bits + mantissa_bits); }
  bool is_nan(uint32_t mag) const {
    const uint32_t top = sign_bit() - 1;
    if (finite_only) return mag == top;
    return mag > (top >> mantissa_bits << mantissa_bits);
  }
  bool is_inf(uint32_t mag) const {
    return !finite_only && mag == ((sign_bit() - 1) >> mantissa_bits << mantissa_bits);
  }
  // The value that the code would have if there were no infinity and NaN.
  double value(uint32_t mag) const {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int e = static_cast<int>(mag >> mantissa_bits);
    const double m = mag & ((1u << mantissa_bits) - 1);
    const double one = std::ldexp(1.0, mantissa_bits);
    return e == 0 ? std::ldexp(m / one, 1 - bias) : std::ldexp(1 + m / one, e - bias);
  }
};

const Format kFormats[] = {
    {"fp16", 5, 10, false, [](float x) -> uint32_t { return float_to_fp16(x); },
     [](uint32_t c) { return fp16_to_float(static_cast<uint16_t>(c)); }},
    {"bf16", 8, 7, false, [](float x) -> uint32_t { return float_to_bf16(x); },
     [](uint32_t c) { return bf16_to_float(static_cast<uint16_t>(c)); }},
    {"e4m3", 4, 3, true, [](float x) -> uint32_t { return float_to_e4m3(x, false); },
     [](uint32_t c) { return e4m3_to_float(static_cast<uint8_t>(c)); }},
    {"e5m2", 5, 2, false, [](float x) -> uint32_t { return float_to_e5m2(x, false); },
     [](uint32_t c) { return e5m2_to_float(static_cast<uint8_t>(c)); }},
};

class FloatFormats : public testing::TestWithParam<Format> {};

TEST_P(FloatFormats, EveryCodeDecodesAndEncodesBack) {
  const Format& f = GetParam();
  for (uint32_t code = 0; code < 2 * f.sign_bit(); ++code) {
    const uint32_t mag = code & (f.sign_bit() - 1);
    const double sign = code & f.sign_bit() ? -1 : 1;
    const float x = f.decode(code);
    if (f.is_nan(mag)) {
      EXPECT_TRUE(std::isnan(x)) << code;
      EXPECT_TRUE(f.is_nan(f.encode(x) & (f.sign_bit() - 1))) << code;
      EXPECT_EQ(f.encode(x) & f.sign_bit(), code & f.sign_bit()) << code;
      continue;
    }
    const double expected = f.is_inf(mag) ? sign * HUGE_VAL : sign * f.value(mag);
    ASSERT_EQ(x, expected) << code;
    ASSERT_EQ(std::signbit(x), sign < 0) << code;
    ASSERT_EQ(f.encode(x), code);
  }
}

// Around the midpoint of every two neighbouring codes: below goes down, above goes up, the tie goes to the even code.
TEST_P(FloatFormats, RoundsToNearestEvenBetweenAllNeighbours) {
  const Format& f = GetParam();
  const uint32_t top = f.sign_bit() - 1;
  for (uint32_t mag = 0; mag < top; ++mag) {
    if (f.is_nan(mag) || f.is_inf(mag)) break;
    const double middle = (f.value(mag) + f.value(mag + 1)) / 2;
    const float tie = static_cast<float>(middle);
    if (tie != middle || std::isinf(tie)) continue;  // not a float: bf16's largest step
    const uint32_t even = mag % 2 == 0 ? mag : mag + 1;
    EXPECT_EQ(f.encode(tie), even) << mag;
    EXPECT_EQ(f.encode(-tie), even | f.sign_bit()) << mag;
    EXPECT_EQ(f.encode(std::nextafter(tie, 0.0f)), mag);
    EXPECT_EQ(f.encode(std::nextafter(tie, kInf)), mag + 1);
  }
}

TEST_P(FloatFormats, RandomFloatsGoToTheNearestCode) {
  const Format& f = GetParam();
  std::mt19937 rng(7);
  const uint32_t top = f.sign_bit() - 1;
  for (int i = 0; i < 200000; ++i) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(rng()) & 0x7fffffffu);
    if (std::isnan(x)) continue;
    const uint32_t code = f.encode(x);
    ASSERT_LE(code, top);
    if (f.is_nan(code) || f.is_inf(code)) {
      const uint32_t last = f.finite_only ? top - 1 : (top >> f.mantissa_bits << f.mantissa_bits) - 1;
      ASSERT_GE(x, (f.value(last) + f.value(last + 1)) / 2) << x;
      continue;
    }
    const double error = std::fabs(f.value(code) - static_cast<double>(x));
    if (code > 0) {
      ASSERT_LE(error, std::fabs(f.value(code - 1) - static_cast<double>(x))) << x;
    }
    ASSERT_LE(error, std::fabs(f.value(code + 1) - static_cast<double>(x))) << x;
  }
}

INSTANTIATE_TEST_SUITE_P(All, FloatFormats, testing::ValuesIn(kFormats),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(Fp8, SaturationFollowsOnnxCast) {
  for (float x : {464.5f, 480.0f, 1e9f, kInf}) {
    EXPECT_EQ(e4m3_to_float(float_to_e4m3(x, true)), 448.0f) << x;
    EXPECT_EQ(e4m3_to_float(float_to_e4m3(-x, true)), -448.0f) << x;
    EXPECT_TRUE(std::isnan(e4m3_to_float(float_to_e4m3(x, false)))) << x;
  }
  EXPECT_EQ(e4m3_to_float(float_to_e4m3(464.0f, false)), 448.0f);  // the tie between 448 and 480 goes to even
  for (float x : {61440.0f, 65536.0f, 1e9f, kInf}) {
    EXPECT_EQ(e5m2_to_float(float_to_e5m2(x, true)), 57344.0f) << x;
    EXPECT_EQ(e5m2_to_float(float_to_e5m2(-x, false)), -kInf) << x;
  }
  EXPECT_EQ(e5m2_to_float(float_to_e5m2(61439.0f, false)), 57344.0f);
  EXPECT_TRUE(std::isnan(e4m3_to_float(float_to_e4m3(kNan, true))));
  EXPECT_TRUE(std::isnan(e5m2_to_float(float_to_e5m2(-kNan, true))));
  EXPECT_EQ(fp8_max(DType::kFloat8E4M3), 448.0f);
  EXPECT_EQ(fp8_max(DType::kFloat8E5M2), 57344.0f);
}

}  // namespace
}  // namespace octet
