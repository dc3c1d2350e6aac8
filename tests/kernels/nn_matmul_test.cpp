#include "kernels/nn_support.h"

namespace octet {
namespace {

using namespace test;

TEST(MatMul, BroadcastsBatchesAndTakesVectors) {
  const Tensor a = counting({2, 1, 1, 2});             // [[1 2]], [[3 4]]
  const Tensor b = floats({2, 2, 1}, {1, 10, 2, 20});  // columns
  expect_near({"MatMul", {a, b}}, {2, 2, 1, 1}, {21, 42, 43, 86});
  expect_near({"MatMul", {counting({2}), b}}, {2, 1}, {21, 42});
  expect_near({"MatMul", {counting({2, 2}), floats({2}, {1, 10})}}, {2}, {21, 43});
  expect_near({"MatMul", {counting({2}), counting({2})}}, {}, {5});
  expect_near({"MatMul", {Tensor(DType::kFloat32, {2, 0}), Tensor(DType::kFloat32, {0, 1})}}, {2, 1}, {0, 0});
  expect_refused({"MatMul", {counting({2, 3}), counting({2, 3})}}, "inner sizes differ");
  expect_refused({"MatMul", {counting({2, 1, 1}), counting({3, 1, 1})}}, "[2]");
  expect_refused({"MatMul", {Tensor::scalar(1.0F), counting({1})}}, "scalars");
}

TEST(MatMul, IsExactForWideIntegersAndWrapsAround) {
  const int64_t big = (int64_t{1} << 62) + 1;
  expect_output<int64_t>({"MatMul", {ints({1, 2}, {big, 3}), ints({2, 1}, {2, 1})}}, {1, 1}, {INT64_MIN + 5});
  const Tensor a = Tensor::from<uint32_t>({1, 1}, {3000000000U});
  expect_output<uint32_t>({"MatMul", {a, a}}, {1, 1}, {static_cast<uint32_t>(9000000000000000000ULL)});
}

TEST(Gemm, TransposesScalesAndBroadcastsC) {
  const Tensor a = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor b = floats({2, 3}, {1, 0, 1, 0, 1, 0});
  expect_near({"Gemm", {a, b, floats({2}, {10, 20})}, {{"transB", int64_t{1}}, {"alpha", 2.0F}, {"beta", 0.5F}}},
              {2, 2}, {13, 14, 25, 20});
  expect_near({"Gemm", {a, b}, {{"transA", int64_t{1}}}}, {3, 3}, {1, 4, 1, 2, 5, 2, 3, 6, 3});
  expect_output<int64_t>({"Gemm", {ints({1, 1}, {3}), ints({1, 1}, {4}), ints({}, {5})}, {{"alpha", -2.0F}}}, {1, 1},
                         {-19});
  expect_refused({"Gemm", {ints({1, 1}, {3}), ints({1, 1}, {4})}, {{"alpha", 0.5F}}}, "whole numbers");
  expect_refused({"Gemm", {a, b}}, "inner sizes differ");
  expect_refused({"Gemm", {a, counting({3})}}, "must be matrices");
  expect_refused({"Gemm", {a, b, counting({4})}, {{"transB", int64_t{1}}}}, "does not broadcast");
}

TEST(MatMulInteger, TakesZeroPointsPerRowAndColumn) {
  const Tensor a = Tensor::from<uint8_t>({2, 2}, {1, 2, 3, 4});
  const Tensor b = Tensor::from<int8_t>({2, 2}, {1, -1, 2, -2});
  const Tensor rows = Tensor::from<uint8_t>({2}, {1, 3});
  const Tensor columns = Tensor::from<int8_t>({2}, {1, -1});
  expect_output<int32_t>({"MatMulInteger", {a, b}}, {2, 2}, {5, -5, 11, -11});
  expect_output<int32_t>({"MatMulInteger", {a, b, rows, columns}}, {2, 2}, {1, -1, 1, -1});
  expect_refused({"MatMulInteger", {a, b, Tensor::from<uint8_t>({3}, {1, 2, 3})}}, "a_zero_point");
  expect_refused({"MatMulInteger", {a, b, columns}}, "a_zero_point is int8");
}

}  // namespace
}  // namespace octet
