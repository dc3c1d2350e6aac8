#include <cmath>
#include <limits>

#include "kernels/run_op.h"

namespace octet {
namespace {

using test::expect_output;
using test::expect_refused;
using test::floats;
using test::ints;
using test::run_op;

const Tensor& cube() {  // [2, 3, 2]: 0 .. 11
  static const Tensor t = floats({2, 3, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  return t;
}

TEST(Reduce, AxesFromInputAndAttribute) {
  expect_output<float>({"ReduceSum", {cube(), ints({1}, {1})}}, {2, 1, 2}, {6, 9, 24, 27});
  expect_output<float>({"ReduceSum", {cube(), ints({2}, {-1, 0})}, {{"keepdims", int64_t{0}}}}, {3}, {14, 22, 30});
  expect_output<float>({"ReduceMean", {cube()}, {{"axes", std::vector<int64_t>{0, 2}}}, 1, 13}, {1, 3, 1},
                       {3.5f, 5.5f, 7.5f});
  expect_output<float>({"ReduceMax", {cube()}, {{"keepdims", int64_t{0}}}}, {}, {11});
  expect_output<float>({"ReduceSum", {cube()}, {{"noop_with_empty_axes", int64_t{1}}}}, {2, 3, 2},
                       test::values_of<float>(cube()));
  expect_refused({"ReduceSum", {cube(), ints({1}, {3})}}, "axis 3");
  expect_refused({"ReduceSum", {cube(), ints({2}, {1, -2})}}, "twice");
}

TEST(Reduce, NormsAndLogarithms) {
  const Tensor x = floats({2}, {3, -4});
  expect_output<float>({"ReduceL1", {x}}, {1}, {7});
  expect_output<float>({"ReduceL2", {x}}, {1}, {5});
  expect_output<float>({"ReduceSumSquare", {x}}, {1}, {25});
  expect_output<float>({"ReduceLogSumExp", {floats({2}, {1000, 1000})}}, {1}, {1000 + std::log(2.0f)});
  expect_output<float>({"ReduceProd", {x}}, {1}, {-12});
}

TEST(Reduce, OverNothingGivesTheNeutralElement) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const Tensor none = floats({2, 0}, {});
  const Tensor axis = ints({1}, {1});
  expect_output<float>({"ReduceSum", {none, axis}}, {2, 1}, {0, 0});
  expect_output<float>({"ReduceProd", {none, axis}}, {2, 1}, {1, 1});
  expect_output<float>({"ReduceMax", {none, axis}}, {2, 1}, {-kInf, -kInf});
  expect_output<float>({"ReduceMin", {none, axis}}, {2, 1}, {kInf, kInf});
  expect_output<bool>({"ReduceMin", {Tensor::from<bool>({2, 0}, {}), axis}}, {2, 1}, {true, true});
}

// 2^24 + 1 is no float32: a sum kept in float32 would stand still.
TEST(Reduce, SumsOfFloatsAreKeptInDouble) {
  expect_output<float>({"ReduceSum", {floats({5}, {16777216, 1, 1, 1, 1})}}, {1}, {16777220});
}

TEST(Arg, TiesNanAndErrors) {
  const Tensor x = floats({2, 3}, {1, 5, 5, 2, 2, 0});
  const Attributes last = {{"axis", int64_t{1}}, {"select_last_index", int64_t{1}}};
  expect_output<int64_t>({"ArgMax", {x}, {{"axis", int64_t{1}}}}, {2, 1}, {1, 0});
  expect_output<int64_t>({"ArgMax", {x}, last}, {2, 1}, {2, 1});
  expect_output<int64_t>({"ArgMin", {x}, {{"axis", int64_t{-2}}, {"keepdims", int64_t{0}}}}, {3}, {0, 1, 1});
  expect_output<int64_t>({"ArgMax", {floats({3}, {9, std::nanf(""), 10})}}, {1}, {1});
  expect_refused({"ArgMax", {floats({0}, {})}}, "no elements");
}

TEST(CumSum, DirectionsAndExclusion) {
  const Tensor x = floats({3}, {1, 2, 4});
  const Attributes exclusive = {{"exclusive", int64_t{1}}}, reverse = {{"reverse", int64_t{1}}};
  expect_output<float>({"CumSum", {x, ints({}, {0})}}, {3}, {1, 3, 7});
  expect_output<float>({"CumSum", {x, ints({}, {-1})}, exclusive}, {3}, {0, 1, 3});
  expect_output<float>({"CumSum", {x, ints({}, {0})}, reverse}, {3}, {7, 6, 4});
  expect_refused({"CumSum", {x, ints({}, {1})}}, "axis 1");
}

TEST(Einsum, ContractsTransposesAndTakesDiagonals) {
  const Tensor a = floats({2, 2}, {1, 2, 3, 4}), b = floats({2, 2}, {5, 6, 7, 8});
  const auto equation = [](const char* text) { return Attributes{{"equation", std::string(text)}}; };
  expect_output<float>({"Einsum", {a, b}, equation("ij,jk->ik")}, {2, 2}, {19, 22, 43, 50});
  expect_output<float>({"Einsum", {a, b}, equation("ij, jk")}, {2, 2}, {19, 22, 43, 50});
  expect_output<float>({"Einsum", {a}, equation("ji")}, {2, 2}, {1, 3, 2, 4});
  expect_output<float>({"Einsum", {a}, equation("ii->i")}, {2}, {1, 4});
  expect_output<float>({"Einsum", {a, b, a}, equation("ij,ij,ij->")}, {}, {5 + 24 + 63 + 128});
  expect_output<float>({"Einsum", {floats({1, 2, 2}, {1, 2, 3, 4}), b}, equation("...ij,...jk->...ik")}, {1, 2, 2},
                       {19, 22, 43, 50});
  expect_refused({"Einsum", {a, b}, equation("ij,k->i")}, "does not fit");
  expect_refused({"Einsum", {a}, equation("ij->ik")}, "must name axes");
  expect_refused({"Einsum", {a, floats({3}, {1, 2, 3})}, equation("ij,j->i")}, "disagrees");
  expect_refused({"Einsum", {a}, equation("i-j")}, "position 1");
}

}  // namespace
}  // namespace octet
