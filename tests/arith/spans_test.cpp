#include "arith/spans.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "arith/isa.h"
#include "arith/quantize.h"

namespace octet {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class EveryIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    set_isa_limit_for_testing(GetParam());
    ASSERT_EQ(active_isa(), GetParam());
  }
  void TearDown() override { set_isa_limit_for_testing(Isa::kAvx512); }
};

// Ties, specials and random bit patterns; an odd length leaves a tail after every vector width.
std::vector<float> inputs(float scale) {
  std::vector<float> v = {0.0f, -0.0f, kInf, -kInf, kNan, -kNan, 1e-45f, -1e-40f, 3.4e38f, -3.4e38f, 0x1p31f};
  for (int k = -140; k <= 270; ++k) {
    const float tie = (static_cast<float>(k) + 0.5f) * scale;
    v.insert(v.end(), {tie, std::nextafter(tie, kInf), std::nextafter(tie, -kInf)});
  }
  std::mt19937 rng(17);
  for (int i = 0; i < 3000; ++i) v.push_back(std::bit_cast<float>(static_cast<uint32_t>(rng())));
  std::normal_distribution<float> normal(0.0f, 50.0f * scale);
  while (v.size() < 8191) v.push_back(normal(rng));
  return v;
}

const float kScales[] = {1.0f, 0.1f, 0.0123f, 1e-38f, 1e-20f, 2e30f};

TEST_P(EveryIsa, FakeQuantizeSpanEqualsTheScalar) {
  for (float scale : kScales) {
    const std::vector<float> x = inputs(scale);
    for (auto [zp, lo, hi] :
         {std::tuple{0, -128, 127}, {3, -127, 127}, {128, 0, 255}, {0, 0, 15}, {-5, -32768, 32767}}) {
      std::vector<float> y(x.size(), -1.0f);
      fake_quantize_span(x.data(), y.data(), static_cast<int64_t>(x.size()), scale, zp, lo, hi);
      for (size_t i = 0; i < x.size(); ++i)
        ASSERT_EQ(std::bit_cast<uint32_t>(y[i]),
                  std::bit_cast<uint32_t>(fake_quantize_value(x[i], scale, zp, lo, hi)))
            << x[i];
      std::vector<float> in_place = x;
      fake_quantize_span(in_place.data(), in_place.data(), static_cast<int64_t>(x.size()), scale, zp, lo, hi);
      EXPECT_EQ(std::memcmp(in_place.data(), y.data(), y.size() * sizeof(float)), 0);
    }
  }
}

TEST_P(EveryIsa, FakeQuantizeEachTakesOneScalePerElement) {
  const std::vector<float> x = inputs(0.1f);
  std::vector<float> scale(x.size()), y(x.size());
  std::vector<int32_t> zp(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    scale[i] = 0.05f + 0.001f * static_cast<float>(i % 97);
    zp[i] = static_cast<int32_t>(i % 256) - 128;
  }
  fake_quantize_each(x.data(), y.data(), static_cast<int64_t>(x.size()), scale.data(), zp.data(), -128, 127);
  for (size_t i = 0; i < x.size(); ++i)
    ASSERT_EQ(std::bit_cast<uint32_t>(y[i]),
              std::bit_cast<uint32_t>(fake_quantize_value(x[i], scale[i], zp[i], -128, 127)));
}

template <class Q>
void check_codes(int32_t zp, int32_t lo, int32_t hi) {
  for (float scale : kScales) {
    const std::vector<float> x = inputs(scale);
    std::vector<Q> q(x.size());
    std::vector<float> back(x.size());
    quantize_span(x.data(), q.data(), static_cast<int64_t>(x.size()), scale, zp, lo, hi);
    dequantize_span(q.data(), back.data(), static_cast<int64_t>(x.size()), scale, zp);
    for (size_t i = 0; i < x.size(); ++i) {
      ASSERT_EQ(q[i], quantize_value(x[i], scale, zp, lo, hi)) << x[i];
      ASSERT_EQ(back[i], dequantize_value(q[i], scale, zp)) << x[i];
    }
  }
}

TEST_P(EveryIsa, QuantizeAndDequantizeSpansEqualTheScalar) {
  check_codes<int8_t>(0, -128, 127);
  check_codes<int8_t>(-100, -127, 127);
  check_codes<int8_t>(0, -8, 7);
  check_codes<uint8_t>(200, 0, 255);
  check_codes<int16_t>(-32768, -32768, 32767);
  check_codes<uint16_t>(65535, 0, 65535);
}

TEST_P(EveryIsa, RequantizeSpanEqualsTheScalar) {
  std::mt19937 rng(3);
  std::vector<int32_t> acc(4099);
  for (size_t i = 0; i < acc.size(); ++i) acc[i] = static_cast<int32_t>(rng()) >> (i % 31);
  acc[0] = std::numeric_limits<int32_t>::min();
  acc[1] = std::numeric_limits<int32_t>::max();
  std::vector<int8_t> s8(acc.size());
  std::vector<uint8_t> u8(acc.size());
  for (float scale : {1.0f, 0.5f, 3.1e-4f, 1e-7f}) {
    requantize_span(acc.data(), s8.data(), static_cast<int64_t>(acc.size()), scale, -3, -128, 127);
    requantize_span(acc.data(), u8.data(), static_cast<int64_t>(acc.size()), scale, 7, 0, 255);
    for (size_t i = 0; i < acc.size(); ++i) {
      ASSERT_EQ(s8[i], requantize_value(acc[i], scale, -3, -128, 127));
      ASSERT_EQ(u8[i], requantize_value(acc[i], scale, 7, 0, 255));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Spans, EveryIsa, testing::ValuesIn(runnable_isas()),
                         [](const auto& info) { return std::string(isa_name(info.param)); });

}  // namespace
}  // namespace octet
