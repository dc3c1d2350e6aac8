#include "arith/quantize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "arith/float_formats.h"

namespace octet {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
const DType kIntTypes[] = {DType::kInt8, DType::kUint8, DType::kInt16, DType::kUint16, DType::kInt4, DType::kUint4};

// Independent of the code under test: float quotient, library rounding and double-precision clamping.
int32_t reference_quantize(float x, float scale, int32_t zp, int32_t lo, int32_t hi) {
  const float quotient = x / scale;
  if (std::isnan(quotient)) return lo;
  const double q = std::nearbyint(static_cast<double>(quotient)) + zp;
  return static_cast<int32_t>(std::min<double>(std::max<double>(q, lo), hi));
}

std::vector<float> test_values(float scale, uint32_t seed) {
  std::vector<float> v = {0.0f,   -0.0f, kInf,   -kInf,   kNan,     -kNan,   1e-45f,  -1e-45f, 3e38f,
                          -3e38f, 1e10f, -1e10f, 65535.f, -32768.f, 0x1p31f, 0x1p63f, -0x1p63f};
  for (int k = -300; k <= 300; ++k) {
    const float tie = (static_cast<float>(k) + 0.5f) * scale;
    v.insert(v.end(), {tie, std::nextafter(tie, kInf), std::nextafter(tie, -kInf), static_cast<float>(k) * scale});
  }
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal(0.0f, 60.0f * scale);
  for (int i = 0; i < 2000; ++i) v.push_back(normal(rng));
  for (int i = 0; i < 2000; ++i) v.push_back(std::bit_cast<float>(static_cast<uint32_t>(rng())));
  return v;
}

TEST(QuantizeValue, EqualsTheReferenceForEveryType) {
  for (DType type : kIntTypes) {
    for (bool narrow : {false, true}) {
      const CodeRange r = code_range(type, narrow);
      for (float scale : {1.0f, 0.1f, 0.003921569f, 1e-30f, 3e20f, 1.17549435e-38f}) {
        for (int32_t zp : {0, r.lo, r.hi, (r.lo + r.hi) / 2}) {
          if (zp < r.lo || zp > r.hi) continue;
          for (float x : test_values(scale, 3)) {
            const int32_t q = quantize_value(x, scale, zp, r.lo, r.hi);
            ASSERT_EQ(q, reference_quantize(x, scale, zp, r.lo, r.hi)) << x << " / " << scale << " + " << zp;
            const float fake = fake_quantize_value(x, scale, zp, r.lo, r.hi);
            ASSERT_EQ(std::bit_cast<uint32_t>(fake), std::bit_cast<uint32_t>(dequantize_value(q, scale, zp))) << x;
          }
        }
      }
    }
  }
}

// Figures observed with ONNX Runtime 1.32 on x86-64: QuantizeLinear, scale 1, zero point 3.
TEST(QuantizeValue, ExtremesAsOnnxRuntime) {
  const std::vector<float> x = {kNan, kInf, -kInf, 3e38f, -1e10f, 2.5f, 3.5f, -2.5f, -0.5f, 0x1p31f, 1e-45f};
  const std::vector<int32_t> s8 = {-128, 127, -128, 127, -128, 5, 7, 1, 3, 127, 3};
  const std::vector<int32_t> u8 = {0, 255, 0, 255, 0, 5, 7, 1, 3, 255, 3};
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(quantize_value(x[i], 1.0f, 3, -128, 127), s8[i]) << x[i];
    EXPECT_EQ(quantize_value(x[i], 1.0f, 3, 0, 255), u8[i]) << x[i];
  }
}

TEST(RequantizeValue, EqualsTheDefinitionOnEdgesAndAtRandom) {
  std::vector<int32_t> accs;
  for (int k = -1000; k <= 1000; ++k) accs.push_back(k);
  for (int shift = 0; shift < 31; ++shift)
    for (int d = -3; d <= 3; ++d)
      for (int sign : {-1, 1}) accs.push_back(static_cast<int32_t>(sign * ((int64_t{1} << shift) + d)));
  accs.insert(accs.end(), {std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max(), 16777217});
  std::mt19937 rng(5);
  for (int i = 0; i < 5000; ++i) accs.push_back(static_cast<int32_t>(rng()));
  for (float scale : {1.0f, 0.5f, 0.25f, 1e-3f, 0.0078125f, 3.0517578e-05f, 1e-9f, 2.5f}) {
    for (int32_t zp : {-128, 0, 5, 127, 255}) {
      const int32_t lo = zp > 127 ? 0 : -128, hi = zp > 127 ? 255 : 127;
      for (int32_t acc : accs) {
        const float product = static_cast<float>(acc) * scale;
        const double q = std::nearbyint(static_cast<double>(product)) + zp;
        ASSERT_EQ(requantize_value(acc, scale, zp, lo, hi), static_cast<int32_t>(std::clamp<double>(q, lo, hi)))
            << acc << " * " << scale;
      }
    }
  }
}

TEST(CodeRanges, AsOnnxDefinesThem) {
  EXPECT_EQ(code_range(DType::kInt8, true).lo, -127);
  EXPECT_EQ(code_range(DType::kInt4, true).lo, -7);
  EXPECT_EQ(code_range(DType::kUint8, true).lo, 0);
  EXPECT_EQ(code_range(DType::kUint16).hi, 65535);
  EXPECT_FALSE(is_quantized_dtype(DType::kInt32));
  EXPECT_TRUE(is_quantized_dtype(DType::kFloat8E5M2));
}

// The scale index of one element, written from the ONNX text on coordinates.
int64_t reference_scale_index(const Dims& dims, int axis, int64_t block, int64_t element) {
  Dims at(dims.size());
  for (size_t i = dims.size(); i-- > 0;) {
    at[i] = element % dims[i];
    element /= dims[i];
  }
  const auto a = static_cast<size_t>(axis);
  if (block == 0) return at[a];
  int64_t index = 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t extent = i == a ? (dims[i] + block - 1) / block : dims[i];
    index = index * extent + (i == a ? at[i] / block : at[i]);
  }
  return index;
}

struct Layout {
  Dims dims;
  int axis;
  int64_t block;
};

class TensorLayouts : public testing::TestWithParam<Layout> {};

TEST_P(TensorLayouts, QuantizeDequantizeAndFakeQuantizeAgreeWithTheScalars) {
  const auto& [dims, axis, block] = GetParam();
  Result<QuantLayout> layout = quant_layout(dims, axis, block);
  ASSERT_TRUE(layout.is_ok()) << layout.status().message();
  Tensor x(DType::kFloat32, dims);
  std::mt19937 rng(11);
  std::normal_distribution<float> normal(0.0f, 3.0f);
  for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] = normal(rng);
  x.data<float>()[0] = kNan;
  for (DType type : kIntTypes) {
    QuantParams p{.dtype = type, .axis = axis, .block_size = block, .narrow_range = true};
    const CodeRange r = code_range(type, true);
    for (int64_t i = 0; i < layout->scale_count; ++i) {
      p.scale.push_back(0.01f * static_cast<float>(1 + rng() % 100));
      p.zero_point.push_back(r.lo + static_cast<int32_t>(rng() % static_cast<uint32_t>(r.hi - r.lo + 1)));
    }
    Result<Tensor> q = quantize(x, p);
    ASSERT_TRUE(q.is_ok()) << q.status().message();
    const std::vector<int64_t> codes = *to_int64s(*q);
    Result<Tensor> back = dequantize(*q, p);
    Result<Tensor> fake = fake_quantize(x, p);
    ASSERT_TRUE(back.is_ok() && fake.is_ok());
    EXPECT_TRUE(same_bits(*back, *fake));
    for (int64_t i = 0; i < x.numel(); ++i) {
      const int64_t s = axis < 0 ? 0 : reference_scale_index(dims, axis, block, i);
      ASSERT_EQ(layout->scale_index(i), s);
      const auto k = static_cast<size_t>(s);
      ASSERT_EQ(codes[static_cast<size_t>(i)],
                reference_quantize(x.data<float>()[i], p.scale[k], p.zero_point[k], r.lo, r.hi));
    }
  }
}

TEST_P(TensorLayouts, Fp8KeepsNanAndSaturates) {
  const auto& [dims, axis, block] = GetParam();
  Result<QuantLayout> layout = quant_layout(dims, axis, block);
  Tensor x(DType::kFloat32, dims);
  for (int64_t i = 0; i < x.numel(); ++i) x.data<float>()[i] = std::ldexp(static_cast<float>(i - 7), i % 20 - 9);
  x.data<float>()[0] = kNan;
  x.data<float>()[1] = kInf;
  for (DType type : {DType::kFloat8E4M3, DType::kFloat8E5M2}) {
    QuantParams p{.dtype = type, .axis = axis, .block_size = block};
    for (int64_t i = 0; i < layout->scale_count; ++i) p.scale.push_back(0.25f + 0.1f * static_cast<float>(i % 9));
    Result<Tensor> q = quantize(x, p);
    ASSERT_TRUE(q.is_ok()) << q.status().message();
    EXPECT_TRUE(same_bits(*dequantize(*q, p), *fake_quantize(x, p)));
    for (int64_t i = 2; i < x.numel(); ++i) {
      const float v = x.data<float>()[i] / p.scale[static_cast<size_t>(layout->scale_index(i))];
      ASSERT_EQ(q->data<uint8_t>()[i], type == DType::kFloat8E4M3 ? float_to_e4m3(v) : float_to_e5m2(v));
    }
    EXPECT_TRUE(std::isnan(fake_quantize(x, p)->data<float>()[0]));
    EXPECT_EQ(fake_quantize(x, p)->data<float>()[1],
              fp8_max(type) * p.scale[static_cast<size_t>(layout->scale_index(1))]);
  }
}

INSTANTIATE_TEST_SUITE_P(Quantize, TensorLayouts,
                         testing::Values(Layout{{7, 5, 3}, -1, 0}, Layout{{4, 5, 6}, 0, 0}, Layout{{4, 5, 6}, 1, 0},
                                         Layout{{4, 5, 6}, 2, 0}, Layout{{6, 70}, 1, 32}, Layout{{70, 6}, 0, 32},
                                         Layout{{2, 9, 5}, 1, 4}, Layout{{3, 8}, 1, 100}, Layout{{3, 4, 2, 2}, 3, 1},
                                         Layout{{19}, 0, 0}));

TEST(ValidateQuantParams, EveryMistakeHasItsSentence) {
  const Tensor x = Tensor::from<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto message = [&](const QuantParams& p) {
    const Status s = quantize(x, p).status();
    EXPECT_FALSE(dequantize(Tensor(p.dtype == DType::kUndefined ? DType::kInt8 : p.dtype, {2, 3}), p).is_ok());
    return s.message();
  };
  EXPECT_NE(message({.scale = {}}).find("needs 1 scales, got 0"), std::string::npos);
  EXPECT_NE(message({.scale = {1, 1}, .axis = 1}).find("needs 3 scales, got 2"), std::string::npos);
  EXPECT_NE(message({.scale = {1}, .axis = 2}).find("outside the shape [2, 3]"), std::string::npos);
  EXPECT_NE(message({.scale = {1}, .block_size = 2}).find("needs a quantization axis"), std::string::npos);
  EXPECT_NE(message({.scale = {1}, .axis = 0, .block_size = -2}).find("negative"), std::string::npos);
  EXPECT_NE(message({.scale = {1, 0}, .axis = 0}).find("scale[1] is 0"), std::string::npos);
  EXPECT_NE(message({.scale = {kInf}}).find("must be finite"), std::string::npos);
  EXPECT_NE(message({.scale = {kNan}}).find("must be finite"), std::string::npos);
  EXPECT_NE(message({.scale = {1}, .zero_point = {200}}).find("outside the codes -128..127"), std::string::npos);
  EXPECT_NE(message({.scale = {1}, .zero_point = {-128}, .narrow_range = true}).find("-127..127"), std::string::npos);
  EXPECT_NE(message({.dtype = DType::kFloat8E4M3, .scale = {1}, .zero_point = {1}}).find("zero point"),
            std::string::npos);
  EXPECT_NE(message({.scale = {1}, .zero_point = {1, 2}}).find("1 scales but 2 zero points"), std::string::npos);
  EXPECT_NE(message({.dtype = DType::kInt32, .scale = {1}}).find("not a type to quantize to"), std::string::npos);
  EXPECT_FALSE(quantize(Tensor::from<int8_t>({1}, {1}), {.scale = {1}}).is_ok());
  EXPECT_EQ(quantize(Tensor(DType::kFloat32, {0, 3}), {.scale = {1, 1, 1}, .axis = 1})->numel(), 0);
}

TEST(QuantizeBias, RoundsInDoubleAndSaturates) {
  EXPECT_EQ(quantize_bias_value(16777219.0f * 4, 4.0f), 16777220);  // the nearest float is what is divided
  EXPECT_EQ(quantize_bias_value(2.5f, 1.0f), 2);
  EXPECT_EQ(quantize_bias_value(1e30f, 1e-9f), std::numeric_limits<int32_t>::max());
  EXPECT_EQ(quantize_bias_value(-kInf, 1.0f), std::numeric_limits<int32_t>::min());
  EXPECT_EQ(quantize_bias_value(kNan, 1.0f), 0);
}

}  // namespace
}  // namespace octet
