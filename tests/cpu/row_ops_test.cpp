// The operators of row_ops.h and matmul_ops.h at every instruction set this CPU has, against plain loops.
#include "kernels/cpu/row_ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/cpu/features.h"
#include "kernels/cpu/matmul_ops.h"

namespace octet::cpu {
namespace {

constexpr uint8_t kUntouched = 0xa5;
constexpr int64_t kMargin = 64;  // bytes behind a buffer that must stay as they are

template <class Body>
void at_every_level(Body body) {
  limit_cpu_features_for_testing(~0u);
  std::vector<uint32_t> masks = {0};
  for (uint32_t mask : {kAvx2 + 0u, kAvx2 | kAvx512, kAvx2 | kAvx512 | kAvx512Vnni})
    if ((cpu_features() & mask) == mask) masks.push_back(mask);
  for (uint32_t mask : masks) {
    limit_cpu_features_for_testing(mask);
    SCOPED_TRACE(features_to_string(mask));
    body();
  }
  limit_cpu_features_for_testing(~0u);
}

std::vector<uint8_t> random_codes(int64_t n, std::mt19937& random, bool extreme = false) {
  std::vector<uint8_t> codes(static_cast<size_t>(n));
  for (uint8_t& c : codes) c = static_cast<uint8_t>(extreme ? 255 * (random() % 2) : random() % 256);
  return codes;
}

struct Guarded {
  explicit Guarded(int64_t n) : bytes(static_cast<size_t>(n + kMargin), kUntouched) {}
  bool intact() const {
    return std::all_of(bytes.end() - kMargin, bytes.end(), [](uint8_t b) { return b == kUntouched; });
  }
  std::vector<uint8_t> bytes;
};

int32_t nearest(double value, float scale, const Grid& g) {
  const float t = static_cast<float>(value) / scale;
  return static_cast<int32_t>(
      std::clamp(std::nearbyint(t) + static_cast<float>(g.zero), static_cast<float>(g.lo), static_cast<float>(g.hi)));
}

std::vector<float> real_numbers(float scale, int zero) {
  std::vector<float> real(256);
  for (int q = 0; q < 256; ++q) real[static_cast<size_t>(q)] = static_cast<float>(q - zero) * scale;
  return real;
}

TEST(RowOps, SoftmaxIsTheReferencesFloat64) {
  std::mt19937 random(1);
  for (const int64_t length : {1, 2, 7, 33, 197, 300, 1000})
    for (const float scale : {0.0001f, 0.0371f, 1.5f}) {
      const std::vector<float> real = real_numbers(scale, 117);
      std::vector<double> table(static_cast<size_t>(kSoftmaxTable));
      fill_softmax_table(real.data(), table.data());
      constexpr int64_t kRows = 21;
      const std::vector<uint8_t> src = random_codes(kRows * length, random, scale > 1);
      Guarded dst(kRows * length);
      SoftmaxCall call{.length = length, .table = table.data(), .scale = 1.0f / 256, .grid = {3, 2, 250}};
      call.src = src.data();
      call.dst = dst.bytes.data();
      softmax(call, 12, kRows);
      softmax(call, 0, 12);
      EXPECT_TRUE(dst.intact());
      for (int64_t r = 0; r < kRows; ++r) {
        const uint8_t* row = src.data() + r * length;
        double largest = real[row[0]], sum = 0;
        for (int64_t i = 1; i < length; ++i) largest = std::max<double>(largest, real[row[i]]);
        for (int64_t i = 0; i < length; ++i) sum += std::exp(static_cast<double>(real[row[i]]) - largest);
        for (int64_t i = 0; i < length; ++i)
          ASSERT_EQ(dst.bytes[static_cast<size_t>(r * length + i)],
                    nearest(std::exp(static_cast<double>(real[row[i]]) - largest) / sum, call.scale, call.grid))
              << "length " << length << ", row " << r << ", element " << i;
      }
    }
}

TEST(RowOps, LayerNormIsTheReferencesFloat64) {
  std::mt19937 random(2);
  const std::vector<float> real = real_numbers(0.031f, 90);
  for (const int64_t length : {1, 3, 64, 197, 768})
    for (const bool with_bias : {false, true}) {
      constexpr int64_t kRows = 19;
      const std::vector<uint8_t> src = random_codes(kRows * length, random);
      std::vector<float> weight, bias;
      for (int64_t i = 0; i < length; ++i) {
        weight.push_back(static_cast<float>(random() % 1000) / 400.0f - 1.0f);
        bias.push_back(static_cast<float>(random() % 1000) / 500.0f - 1.0f);
      }
      Guarded dst(kRows * length);
      LayerNormCall call{.length = length, .real = real.data(), .weight = weight.data()};
      call.bias = with_bias ? bias.data() : nullptr;
      call.epsilon = 1e-6f;
      call.scale = 0.02f;
      call.grid = {121, 0, 255};
      call.src = src.data();
      call.dst = dst.bytes.data();
      layer_norm(call, 7, kRows);
      layer_norm(call, 0, 7);
      EXPECT_TRUE(dst.intact());
      for (int64_t r = 0; r < kRows; ++r) {
        const uint8_t* row = src.data() + r * length;
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < length; ++i) mean += static_cast<double>(real[row[i]]);
        mean /= static_cast<double>(length);
        for (int64_t i = 0; i < length; ++i) {
          const double d = static_cast<double>(real[row[i]]) - mean;
          variance += d * d;
        }
        variance /= static_cast<double>(length);
        const double factor = 1 / std::sqrt(variance + static_cast<double>(1e-6f));
        for (int64_t i = 0; i < length; ++i) {
          const auto c = static_cast<size_t>(i);
          double y = (static_cast<double>(real[row[i]]) - mean) * factor * static_cast<double>(weight[c]);
          if (with_bias) y += static_cast<double>(bias[c]);
          ASSERT_EQ(dst.bytes[static_cast<size_t>(r * length + i)], nearest(y, call.scale, call.grid))
              << "length " << length << ", row " << r << ", element " << i;
        }
      }
    }
}

TEST(RowOps, TransposeOfFourDimensions) {
  std::mt19937 random(3);
  const int64_t dims[4] = {2, 3, 5, 4};
  const int64_t strides[4] = {60, 20, 4, 1};
  const std::vector<uint8_t> src = random_codes(120, random);
  for (const auto& perm :
       {std::array<size_t, 4>{0, 2, 1, 3}, {0, 2, 3, 1}, {0, 3, 1, 2}, {0, 1, 3, 2}, {3, 2, 1, 0}}) {
    TransposeCall call;
    for (size_t d = 0; d < 4; ++d) {
      call.size[4 + d] = dims[perm[d]];
      call.src_stride[4 + d] = strides[perm[d]];
    }
    Guarded dst(120);
    call.src = src.data();
    call.dst = dst.bytes.data();
    const int64_t rows = transpose_rows(call);
    ASSERT_EQ(rows * dims[perm[3]], 120);
    transpose(call, rows / 3, rows);
    transpose(call, 0, rows / 3);
    EXPECT_TRUE(dst.intact());
    size_t at = 0;
    int64_t i[4];
    for (i[0] = 0; i[0] < dims[perm[0]]; ++i[0])
      for (i[1] = 0; i[1] < dims[perm[1]]; ++i[1])
        for (i[2] = 0; i[2] < dims[perm[2]]; ++i[2])
          for (i[3] = 0; i[3] < dims[perm[3]]; ++i[3]) {
            int64_t from = 0;
            for (size_t d = 0; d < 4; ++d) from += i[d] * strides[perm[d]];
            ASSERT_EQ(dst.bytes[at++], src[static_cast<size_t>(from)]);
          }
  }
}

struct MatMulShape {
  int64_t matrices, m, k, n;
};

void check_matmul(const MatMulShape& s, bool extreme, bool to_float, std::mt19937& random) {
  const std::vector<uint8_t> a = random_codes(s.matrices * s.m * s.k, random, extreme),
                             b = random_codes(s.matrices * s.k * s.n, random, extreme);
  MatMulCall call{.matrices = s.matrices, .m = s.m, .k = s.k, .n = s.n};
  call.a_zero = extreme ? 0 : 131;
  call.b_zero = extreme ? 255 : 7;
  call.scale = extreme ? 3e-5f : 0.0007f;
  call.grid = {120, 3, 251};
  call.to_float = to_float;
  const int64_t count = s.matrices * s.m * s.n;
  Guarded dst(to_float ? 4 * count : count);
  std::vector<uint8_t> scratch(static_cast<size_t>(matmul_scratch_bytes(call) + kMargin), kUntouched);
  call.a = a.data();
  call.b = b.data();
  call.dst = dst.bytes.data();
  const int64_t rows = matmul_rows(call);
  matmul(call, rows / 3, rows, scratch.data());
  matmul(call, 0, rows / 3, scratch.data());
  EXPECT_TRUE(dst.intact());
  EXPECT_TRUE(std::all_of(scratch.end() - kMargin, scratch.end(), [](uint8_t v) { return v == kUntouched; }));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t matrix = i / (s.m * s.n), row = i / s.n % s.m, column = i % s.n;
    int64_t sum = 0;
    for (int64_t k = 0; k < s.k; ++k)
      sum += (a[static_cast<size_t>((matrix * s.m + row) * s.k + k)] - call.a_zero) *
             (b[static_cast<size_t>((matrix * s.k + k) * s.n + column)] - call.b_zero);
    const float v = static_cast<float>(static_cast<int32_t>(sum)) * call.scale;
    if (to_float) {
      ASSERT_EQ(reinterpret_cast<const float*>(dst.bytes.data())[i], v) << i;
    } else {
      ASSERT_EQ(dst.bytes[static_cast<size_t>(i)], nearest(v, 1, call.grid)) << i;
    }
  }
}

TEST(RowOps, ProductsOfCodesAreExactAtEveryLevel) {
  at_every_level([] {
    std::mt19937 random(4);
    for (const MatMulShape& s : {MatMulShape{1, 1, 1, 1},
                                 {2, 3, 5, 7},
                                 {3, 65, 64, 33},
                                 {1, 130, 31, 16},
                                 {2, 9, 197, 64},
                                 {1, 4, 1001, 40},
                                 {5, 64, 2, 1}})
      for (const bool to_float : {false, true}) check_matmul(s, false, to_float, random);
    check_matmul({1, 2, kMostTerms, 17}, true, false, random);  // the largest sums there are
  });
}

}  // namespace
}  // namespace octet::cpu
