#include "interp/interpreter.h"

#include <gtest/gtest.h>

namespace octet {
namespace {

// y = relu(a + b), z = y * y; a is [N, 2], b is [N, 2].
struct Network {
  Graph graph;
  ValueId a, b, sum, y, z;
};

Network two_inputs() {
  Network net;
  Graph& g = net.graph;
  g.opset = 17;
  const Shape shape = {Dim::named("N"), Dim::of(2)};
  net.a = g.add_value("a", DType::kFloat32, shape);
  net.b = g.add_value("b", DType::kFloat32, shape);
  g.inputs = {net.a, net.b};
  g.add_node("Add", {net.a, net.b}, {"sum"});
  net.sum = g.find_value("sum");
  g.add_node("Relu", {net.sum}, {"y"});
  net.y = g.find_value("y");
  g.add_node("Mul", {net.y, net.y}, {"z"}, {}, "square");
  net.z = g.find_value("z");
  g.outputs = {net.z};
  return net;
}

Tensor row(const std::vector<float>& values) {
  return Tensor::from<float>({static_cast<int64_t>(values.size()) / 2, 2}, values);
}

void expect_message(const Result<std::vector<Tensor>>& result, const std::string& words) {
  ASSERT_FALSE(result.is_ok());
  EXPECT_NE(result.status().message().find(words), std::string::npos) << result.status().message();
}

TEST(Interpreter, RunsInOrder) {
  const Network net = two_inputs();
  const auto outputs = interpret(net.graph, {row({1, -5}), row({2, 1})});
  ASSERT_TRUE(outputs.is_ok()) << outputs.status().message();
  ASSERT_EQ(outputs->size(), 1u);
  EXPECT_TRUE(same_bits((*outputs)[0], row({9, 0})));
}

TEST(Interpreter, TapSeesInputsAndEveryValueOnce) {
  const Network net = two_inputs();
  std::vector<ValueId> seen;
  std::vector<float> firsts;
  const auto outputs = interpret(net.graph, {row({1, 1}), row({2, 2})}, [&](ValueId id, const Tensor& t) {
    seen.push_back(id);
    firsts.push_back(t.data<float>()[0]);
  });
  ASSERT_TRUE(outputs.is_ok());
  EXPECT_EQ(seen, (std::vector<ValueId>{net.a, net.b, net.sum, net.y, net.z}));
  EXPECT_EQ(firsts, (std::vector<float>{1, 2, 3, 3, 9}));
}

// The buffer of each tensor is watched through its owner.
TEST(Interpreter, FreesValuesAfterTheirLastReader) {
  Graph g;
  const ValueId x = g.add_value("x", DType::kFloat32, static_shape({4}));
  g.inputs = {x};
  ValueId last = x;
  for (int i = 0; i < 4; ++i) {
    g.add_node("Neg", {last}, {"v" + std::to_string(i)});
    last = g.find_value("v" + std::to_string(i));
  }
  g.outputs = {last};
  auto buffer = std::make_shared<std::vector<float>>(4, 1.0f);
  const std::weak_ptr<std::vector<float>> watch = buffer;
  std::vector<Tensor> inputs = {Tensor(DType::kFloat32, {4}, buffer->data(), buffer)};
  buffer.reset();
  std::vector<long> owners;
  const auto outputs = interpret(g, inputs, [&](ValueId, const Tensor&) { owners.push_back(watch.use_count()); });
  ASSERT_TRUE(outputs.is_ok());
  ASSERT_EQ(owners.size(), 5u);
  EXPECT_GT(owners[1], owners[2]);  // the interpreter lets go of x once v0 exists
  EXPECT_EQ(owners[2], 1);          // only the caller's
}

TEST(Interpreter, ChecksInputsAgainstTheDeclaration) {
  const Network net = two_inputs();
  expect_message(interpret(net.graph, {row({1, 1})}), "has 2 inputs but got 1");
  expect_message(interpret(net.graph, {row({1, 1}), Tensor::from<float>({2, 1}, {1, 1})}),
                 "input 'b' expects [N, 2] but got [2, 1]");
  expect_message(interpret(net.graph, {row({1, 1}), row({1, 1, 1, 1})}),
                 "input 'b' expects [N, 2] but got [2, 2] (other inputs have N = 1)");
  expect_message(interpret(net.graph, {row({1, 1}), Tensor::from<double>({1, 2}, {1, 1})}),
                 "input 'b' expects float32 but got float64");
  expect_message(interpret(net.graph, {row({1, 1}), Tensor()}), "but got none");
}

TEST(Interpreter, UnknownOperatorsAreNamed) {
  Network net = two_inputs();
  net.graph.nodes[2].domain = "com.example";
  const auto result = interpret(net.graph, {row({1, 1}), row({1, 1})});
  expect_message(result, "node 'square' (com.example::Mul)");
  EXPECT_EQ(result.status().code(), StatusCode::kUnsupported);
}

TEST(Interpreter, ErrorsOfOperatorsNameTheNode) {
  Graph g;
  const ValueId x = g.add_value("x", DType::kFloat32);
  const ValueId w = g.add_constant("w", Tensor::from<float>({3}, {1, 2, 3}));
  g.inputs = {x};
  g.add_node("Add", {x, w}, {"y"}, {}, "bias");
  g.outputs = {g.find_value("y")};
  expect_message(interpret(g, {Tensor::from<float>({2}, {1, 2})}), "node 'bias' (Add): shapes [2] and [3]");
}

TEST(Interpreter, OutputsMayBeInputsOrConstants) {
  Graph g;
  const ValueId x = g.add_value("x", DType::kFloat32);
  const ValueId c = g.add_constant("c", Tensor::scalar<float>(7));
  g.inputs = {x};
  g.outputs = {c, x};
  const auto outputs = interpret(g, {Tensor::scalar<float>(3)});
  ASSERT_TRUE(outputs.is_ok()) << outputs.status().message();
  EXPECT_EQ((*outputs)[0].data<float>()[0], 7);
  EXPECT_EQ((*outputs)[1].data<float>()[0], 3);
}

TEST(Interpreter, OptionalInputsMayBeAbsent) {
  Graph g;
  const ValueId x = g.add_value("x", DType::kFloat32);
  const ValueId high = g.add_constant("high", Tensor::scalar<float>(6));
  g.inputs = {x};
  g.add_node("Clip", {x, kNoValue, high}, {"y"});
  g.outputs = {g.find_value("y")};
  const auto outputs = interpret(g, {Tensor::from<float>({2}, {-1, 9})});
  ASSERT_TRUE(outputs.is_ok()) << outputs.status().message();
  EXPECT_TRUE(same_bits((*outputs)[0], Tensor::from<float>({2}, {-1, 6})));
}

}  // namespace
}  // namespace octet
