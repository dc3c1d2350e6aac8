#include <cmath>
#include <limits>

#include "arith/float_formats.h"
#include "graph/op_table.h"
#include "kernels/run_op.h"

namespace octet {
namespace {

using test::expect_output;
using test::expect_refused;
using test::floats;
using test::ints;
using test::run_op;

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

TEST(Registry, HasEveryOperatorOfTheTableAndNoOther) {
  const std::vector<std::string_view> registered = all_ref_ops();
  for (const OpInfo& op : all_ops()) EXPECT_NE(find_ref_op(op.op_type), nullptr) << op.op_type;
  for (const std::string_view op : registered) EXPECT_NE(find_op("", op), nullptr) << op;
  EXPECT_EQ(registered.size(), all_ops().size());  // none twice
  EXPECT_EQ(find_ref_op("NoSuchOp"), nullptr);
}

TEST(Elementwise, BroadcastsBothWays) {
  expect_output<float>({"Add", {floats({2, 1}, {1, 2}), floats({3}, {10, 20, 30})}}, {2, 3},
                       {11, 21, 31, 12, 22, 32});
  expect_output<float>({"Sub", {floats({}, {1}), floats({2, 2}, {1, 2, 3, 4})}}, {2, 2}, {0, -1, -2, -3});
  expect_output<float>({"Mul", {floats({1, 2, 1, 2}, {1, 2, 3, 4}), floats({2, 1, 1}, {10, 100})}}, {1, 2, 1, 2},
                       {10, 20, 300, 400});
  expect_output<float>({"Add", {floats({0, 3}, {}), floats({1, 3}, {1, 2, 3})}}, {0, 3}, {});
  expect_refused({"Add", {floats({2}, {1, 2}), floats({3}, {1, 2, 3})}}, "[2] and [3] do not broadcast");
  expect_refused({"Add", {floats({1}, {1}), ints({1}, {1})}}, "float32 and int64");
  expect_refused({"Add", {floats({1}, {1})}}, "input 1 is missing");
}

// A per-channel operand against a loop written out.
TEST(Elementwise, PerChannelMatchesPlainLoop) {
  const int64_t n = 2, c = 3, hw = 5;
  std::vector<float> x(static_cast<size_t>(n * c * hw)), expected(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = 0.25f * static_cast<float>(i) - 3.0f;
    expected[i] = x[i] * static_cast<float>(1 + i / hw % c);
  }
  expect_output<float>({"Mul", {floats({n, c, 1, hw}, x), floats({c, 1, 1}, {1, 2, 3})}}, {n, c, 1, hw}, expected);
}

TEST(Elementwise, IntegersWrapAndDivideTowardsZero) {
  expect_output<int8_t>({"Add", {Tensor::from<int8_t>({2}, {127, -128}), Tensor::from<int8_t>({2}, {1, -1})}}, {2},
                        {-128, 127});
  expect_output<int64_t>({"Div", {ints({3}, {-7, 7, INT64_MIN}), ints({3}, {2, -2, -1})}}, {3}, {-3, -3, INT64_MIN});
  expect_refused({"Div", {ints({2}, {1, 1}), ints({2}, {1, 0})}}, "zero");
  expect_output<float>({"Div", {floats({1}, {1}), floats({1}, {0})}}, {1}, {kInf});
}

TEST(Elementwise, ModTakesTheSignThatFmodSays) {
  const Tensor a = ints({4}, {-5, 5, -5, INT64_MIN}), b = ints({4}, {3, -3, -3, -1});
  expect_output<int64_t>({"Mod", {a, b}}, {4}, {1, -1, -2, 0});
  expect_output<int64_t>({"Mod", {a, b}, {{"fmod", int64_t{1}}}}, {4}, {-2, 2, -2, 0});
  expect_output<float>({"Mod", {floats({1}, {-5.5f}), floats({1}, {3})}, {{"fmod", int64_t{1}}}}, {1}, {-2.5f});
  expect_refused({"Mod", {floats({1}, {1}), floats({1}, {1})}}, "fmod = 1");
}

TEST(Elementwise, PowKeepsTheTypeOfTheBase) {
  expect_output<float>({"Pow", {floats({3}, {2, 3, 4}), ints({3}, {3, 2, -1})}}, {3}, {8, 9, 0.25f});
  expect_output<int64_t>({"Pow", {ints({3}, {2, -1, 3}), ints({3}, {62, 3, -1})}}, {3}, {int64_t{1} << 62, -1, 0});
  expect_output<int64_t>({"Pow", {ints({1}, {9}), floats({1}, {0.5f})}}, {1}, {3});
}

TEST(Elementwise, ExtremesAndNanFollowNumpy) {
  const auto outputs = run_op({"Max", {floats({3}, {1, kNan, 3}), floats({3}, {2, 1, kNan})}});
  ASSERT_TRUE(outputs.is_ok());
  const float* y = (*outputs)[0].data<float>();
  EXPECT_EQ(y[0], 2);
  EXPECT_TRUE(std::isnan(y[1]) && std::isnan(y[2]));
  expect_output<float>({"Min", {floats({2}, {1, 5}), floats({1}, {3}), floats({}, {2})}}, {2}, {1, 2});
  expect_output<float>({"Mean", {floats({2}, {1, 2}), floats({2}, {3, 6})}}, {2}, {2, 4});
}

TEST(Elementwise, ClipTakesInputsOrAttributes) {
  expect_output<float>({"Clip", {floats({3}, {-2, 0, 9}), floats({}, {-1}), floats({}, {6})}}, {3}, {-1, 0, 6});
  expect_output<float>({"Clip", {floats({3}, {-2, 0, 9}), Tensor(), floats({}, {6})}}, {3}, {-2, 0, 6});
  expect_output<float>({"Clip", {floats({2}, {-2, 9})}, {{"min", 0.0f}, {"max", 6.0f}}, 1, 7}, {2}, {0, 6});
  expect_output<float>({"Clip", {floats({1}, {0}), floats({}, {5}), floats({}, {2})}}, {1}, {2});
  expect_refused({"Clip", {floats({1}, {0}), floats({2}, {5, 6})}}, "single numbers");
}

TEST(Elementwise, RoundsHalvesToEven) {
  expect_output<float>({"Round", {floats({5}, {0.5f, 1.5f, 2.5f, -0.5f, -1.5f})}}, {5}, {0, 2, 2, -0.0f, -2});
}

TEST(Elementwise, ActivationsStayFiniteAtTheEnds) {
  expect_output<float>({"Sigmoid", {floats({3}, {-200, 0, 200})}}, {3}, {0, 0.5f, 1});
  expect_output<float>({"Softplus", {floats({2}, {-200, 200})}}, {2}, {std::exp(-200.0f), 200});
  expect_output<float>({"HardSwish", {floats({4}, {-4, -3, 3, 6})}}, {4}, {-0.0f, -0.0f, 3, 6});
  expect_output<float>({"LeakyRelu", {floats({2}, {-10, 10})}, {{"alpha", 0.5f}}}, {2}, {-5, 10});
  expect_output<int8_t>({"Relu", {Tensor::from<int8_t>({2}, {-3, 3})}}, {2}, {0, 3});
  expect_output<float>({"PRelu", {floats({2, 2}, {-1, 1, -2, 2}), floats({2, 1}, {10, 100})}}, {2, 2},
                       {-10, 1, -200, 2});
  expect_refused({"PRelu", {floats({1}, {1}), floats({2}, {1, 2})}}, "larger than the input");
  expect_refused({"Gelu", {floats({1}, {1})}, {{"approximate", std::string("fast")}}}, "'fast'");
}

TEST(Elementwise, SixteenBitFloatsRoundOnce) {
  const float x[] = {1.0f, 2.5f, -3.0f};
  for (const DType half : {DType::kFloat16, DType::kBFloat16}) {
    const Tensor narrow = *cast_tensor(floats({3}, {x[0], x[1], x[2]}), half);
    const auto outputs = run_op({"Exp", {narrow}});
    ASSERT_TRUE(outputs.is_ok());
    const Tensor expected = *cast_tensor(floats({3}, {std::exp(x[0]), std::exp(x[1]), std::exp(x[2])}), half);
    EXPECT_TRUE(same_bits((*outputs)[0], expected)) << dtype_name(half);
  }
}

TEST(Logic, ComparesAndSelects) {
  expect_output<bool>({"Less", {floats({3}, {1, kNan, 3}), floats({}, {2})}}, {3}, {true, false, false});
  expect_output<bool>({"Equal", {ints({2}, {1, 2}), ints({2}, {1, 3})}}, {2}, {true, false});
  const Tensor mask = Tensor::from<bool>({2, 1}, {true, false});
  expect_output<bool>({"Xor", {mask, Tensor::from<bool>({2}, {true, false})}}, {2, 2}, {false, true, true, false});
  expect_output<int64_t>({"Where", {mask, ints({2}, {1, 2}), ints({}, {9})}}, {2, 2}, {1, 2, 9, 9});
  expect_output<bool>({"IsInf", {floats({3}, {kInf, -kInf, kNan})}, {{"detect_negative", int64_t{0}}}}, {3},
                      {true, false, false});
  expect_refused({"And", {floats({1}, {1}), mask}}, "must be bool");
}

TEST(Cast, FollowsTheAttribute) {
  expect_output<int64_t>({"Cast", {floats({3}, {-1.7f, 0.5f, 2.9f})}, {{"to", int64_t{7}}}}, {3}, {-1, 0, 2});
  expect_output<bool>({"CastLike", {floats({2}, {0, 0.5f}), Tensor::from<bool>({1}, {true})}}, {2}, {false, true});
  expect_refused({"Cast", {floats({1}, {1})}, {{"to", int64_t{8}}}}, "element type number 8");
  const auto int4 = run_op({"Cast", {floats({4}, {-9, -1.5f, 3, 8})}, {{"to", int64_t{22}}}});
  ASSERT_TRUE(int4.is_ok());
  EXPECT_EQ((*int4)[0].dtype(), DType::kInt4);
  EXPECT_EQ(*to_int64s((*int4)[0]), (std::vector<int64_t>{-8, -1, 3, 7}));
}

}  // namespace
}  // namespace octet
