// Networks of the QOperator form: operators that move codes themselves.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "compiler/quantized.h"
#include "engine/compiler/compile.h"
#include "interp/interpreter.h"
#include "octet/runtime.h"

namespace octet {
namespace {

constexpr int kZero = -5;

// [N, 8, 6, 6] float -> INT8 codes -> `middle` -> float.
struct CodesNet {
  Graph graph;
  ValueId scale, zero;

  explicit CodesNet(const std::function<ValueId(CodesNet&, ValueId)>& middle) {
    graph.opset = 17;
    const ValueId x =
        graph.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(8), Dim::of(6), Dim::of(6)});
    graph.inputs = {x};
    scale = graph.add_constant("scale", Tensor::scalar(0.02f));
    zero = graph.add_constant("zero", Tensor::scalar(static_cast<int8_t>(kZero)));
    const ValueId codes = middle(*this, add("QuantizeLinear", {x, scale, zero}));
    graph.outputs = {add("DequantizeLinear", {codes, scale, zero})};
  }
  ValueId add(const std::string& op, std::vector<ValueId> in, Attributes attributes = {}) {
    const size_t n = graph.add_node(op, std::move(in), {op + "_out"}, std::move(attributes));
    return graph.nodes[n].outputs[0];
  }
  ValueId ints(std::vector<int64_t> v) {
    const auto n = static_cast<int64_t>(v.size());
    return graph.add_constant("i", Tensor::from<int64_t>({n}, v));
  }

  // How many islands it has; its results must be those of the interpreter.
  int64_t islands() const {
    engine::CompileOptions options;
    options.timing = false;
    auto program = engine::compile(graph, options);
    EXPECT_TRUE(program.is_ok()) << program.status().message();
    if (!program.is_ok()) return -1;
    const int64_t count =
        std::count_if(program->operations.begin(), program->operations.end(),
                      [](const engine::Operation& op) { return std::holds_alternative<engine::IslandOp>(op); });
    auto made = Engine::from_program(std::move(*program));
    EXPECT_TRUE(made.is_ok()) << made.status().message();
    for (const int64_t batch : {1, 3}) {
      const std::vector<Tensor> inputs = test::random_inputs(graph, 3, batch);
      auto got = (*Session::create(*made, {}))->run(inputs);
      const auto expected = interpret(graph, inputs);
      EXPECT_TRUE(got.is_ok() && expected.is_ok());
      EXPECT_TRUE(same_bits((*got)[0], (*expected)[0]));
    }
    return count;
  }
};

TEST(QOperator, CodesMoveAsTheyAre) {
  const std::vector<std::function<ValueId(CodesNet&, ValueId)>> middles = {
      [](CodesNet& n, ValueId c) {
        return n.add("MaxPool", {c},
                     {{"kernel_shape", std::vector<int64_t>{3, 3}},
                      {"pads", std::vector<int64_t>{1, 1, 1, 1}},
                      {"strides", std::vector<int64_t>{2, 2}}});
      },
      [](CodesNet& n, ValueId c) { return n.add("Flatten", {c}); },
      [](CodesNet& n, ValueId c) {
        const ValueId scales = n.graph.add_constant("s", Tensor::from<float>({4}, {1, 1, 2, 2}));
        return n.add("Resize", {c, kNoValue, scales},
                     {{"mode", std::string("nearest")},
                      {"nearest_mode", std::string("floor")},
                      {"coordinate_transformation_mode", std::string("asymmetric")}});
      },
      [](CodesNet& n, ValueId c) {
        return n.add("Slice", {c, n.ints({1}), n.ints({6}), n.ints({1})});
      },
      [](CodesNet& n, ValueId c) {
        return n.add("Slice", {c, n.ints({1}), n.ints({6}), n.ints({2}), n.ints({2})});
      },
      [](CodesNet& n, ValueId c) {
        return n.add("Concat", {c, c}, {{"axis", int64_t{1}}});
      },
      [](CodesNet& n, ValueId c) {
        return n.add("Pad", {c, n.ints({0, 0, 1, 1, 0, 0, 1, 1}), n.zero});
      },
  };
  for (size_t i = 0; i < middles.size(); ++i) EXPECT_EQ(CodesNet(middles[i]).islands(), 0) << "move " << i;
}

// Code 0 is not the number 0 here.
TEST(QOperator, PaddingWithAnotherCodeIsNoPaddingWithZero) {
  const CodesNet net([](CodesNet& n, ValueId c) { return n.add("Pad", {c, n.ints({0, 0, 1, 1, 0, 0, 1, 1})}); });
  EXPECT_EQ(net.islands(), 1);
}

}  // namespace
}  // namespace octet
