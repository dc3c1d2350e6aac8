// What the tests of the nn_* operators share.
#pragma once

#include <cmath>
#include <random>

#include "kernels/run_op.h"

namespace octet::test {

inline Tensor random_floats(const Dims& dims, uint32_t seed) {
  std::mt19937 engine(seed);
  Tensor t(DType::kFloat32, dims);
  for (int64_t i = 0; i < t.numel(); ++i)
    t.data<float>()[i] = static_cast<float>(static_cast<int>(engine() % 2001) - 1000) / 500.0F;
  return t;
}

// Whole numbers of an integer type in [lo, hi].
template <class T>
Tensor random_codes(const Dims& dims, int lo, int hi, uint32_t seed) {
  std::mt19937 engine(seed);
  Tensor t(dtype_of<T>(), dims);
  for (int64_t i = 0; i < t.numel(); ++i)
    t.data<T>()[i] = static_cast<T>(lo + static_cast<int>(engine() % static_cast<uint32_t>(hi - lo + 1)));
  return t;
}

// Output `index` of the call has this shape and these float32 elements within `tolerance`.
inline void expect_near(const OpCall& call, const Dims& dims, const std::vector<float>& expected, size_t index = 0,
                        double tolerance = 1e-6) {
  SCOPED_TRACE(call.op);
  const auto outputs = run_op(call);
  ASSERT_TRUE(outputs.is_ok()) << outputs.status().message();
  ASSERT_GT(outputs->size(), index);
  const Tensor& y = (*outputs)[index];
  ASSERT_EQ(y.dims(), dims);
  ASSERT_EQ(y.dtype(), DType::kFloat32);
  ASSERT_EQ(static_cast<size_t>(y.numel()), expected.size());
  for (size_t i = 0; i < expected.size(); ++i)
    ASSERT_NEAR(y.data<float>()[i], expected[i], tolerance * (1 + std::fabs(expected[i]))) << "element " << i;
}

// 1, 2, 3, ... as a float32 tensor.
inline Tensor counting(const Dims& dims) {
  Tensor t(DType::kFloat32, dims);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = static_cast<float>(i + 1);
  return t;
}

using Ints = std::vector<int64_t>;

}  // namespace octet::test
