// Old forms of operators load as new ones and give the values that the old definition asks for.
#include "onnx/opset_upgrade.h"

#include <cmath>
#include <numeric>

#include "graph/shape_inference.h"
#include "graph/verify.h"
#include "interp/interpreter.h"
#include "onnx/models.h"
#include "support/compare.h"
#include "support/random_graph.h"

namespace octet::test {
namespace {

Tensor counting(const Dims& dims, float first = 0.0f) {
  Tensor t(DType::kFloat32, dims);
  std::iota(t.data<float>(), t.data<float>() + t.numel(), first);
  return t;
}

// One-node model at an old opset, run on x.
Tensor run_old(int opset, const std::string& op, const Tensor& x, const std::function<void(onnx::NodeProto&)>& fill,
               bool known_shape = true, int outputs = 1) {
  onnx::ModelProto model = empty_model(opset);
  add_input(model, "x", x.dims());
  if (!known_shape) model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  std::vector<std::string> names;
  for (int i = 0; i < outputs; ++i) names.push_back("y" + std::to_string(i));
  fill(add_node(model, op, {"x"}, names, "n"));
  for (const std::string& name : names) add_output(model, name);
  Result<Graph> graph = parse(model);
  EXPECT_TRUE(graph.is_ok()) << graph.status().message();
  if (!graph) return {};
  EXPECT_EQ(graph->opset, 13);
  Result<std::vector<Tensor>> result = interpret(*graph, {x});
  EXPECT_TRUE(result.is_ok()) << result.status().message();
  return result ? (*result)[0] : Tensor();
}

void expect_floats(const Tensor& actual, const Dims& dims, const std::vector<float>& values) {
  EXPECT_TRUE(outputs_near({Tensor::from<float>(dims, values)}, {actual}, 1e-6));
}

TEST(OpsetUpgrade, ClipPadSlice) {
  expect_floats(run_old(7, "Clip", counting({4}),
                        [](auto& n) {
                          add_float(n, "min", 1.5f);
                          add_float(n, "max", 2.5f);
                        }),
                {4}, {1.5f, 1.5f, 2, 2.5f});
  expect_floats(run_old(10, "Clip", counting({3}), [](auto& n) { add_float(n, "max", 1.0f); }), {3}, {0, 1, 1});
  expect_floats(run_old(10, "Clip", counting({3}, -1), [](auto&) {}), {3}, {-1, 0, 1});
  expect_floats(run_old(7, "Pad", counting({1, 2}),
                        [](auto& n) {
                          add_ints(n, "pads", {0, 1, 0, 2});
                          add_float(n, "value", 9);
                        }),
                {1, 5}, {9, 0, 1, 9, 9});
  expect_floats(run_old(10, "Pad", counting({3}),
                        [](auto& n) {
                          add_ints(n, "pads", {2, 0});
                          add_string(n, "mode", "reflect");
                        }),
                {5}, {2, 1, 0, 1, 2});
  expect_floats(run_old(9, "Slice", counting({2, 3}),
                        [](auto& n) {
                          add_ints(n, "starts", {1, 0});
                          add_ints(n, "ends", {100, -1});
                        }),
                {1, 2}, {3, 4});
  expect_floats(run_old(9, "Slice", counting({2, 3}),
                        [](auto& n) {
                          add_ints(n, "starts", {1});
                          add_ints(n, "ends", {3});
                          add_ints(n, "axes", {1});
                        }),
                {2, 2}, {1, 2, 4, 5});
}

TEST(OpsetUpgrade, AxesAndSplit) {
  expect_floats(run_old(11, "Squeeze", counting({1, 2, 1}), [](auto& n) { add_ints(n, "axes", {0}); }), {2, 1},
                {0, 1});
  expect_floats(run_old(11, "Squeeze", counting({1, 2, 1}), [](auto&) {}), {2}, {0, 1});
  expect_floats(run_old(9, "Unsqueeze", counting({2}),
                        [](auto& n) {
                          add_ints(n, "axes", {0, 2});
                        }),
                {1, 2, 1}, {0, 1});
  expect_floats(run_old(12, "ReduceSum", counting({2, 2}),
                        [](auto& n) {
                          add_ints(n, "axes", {1});
                          add_int(n, "keepdims", 0);
                        }),
                {2}, {1, 5});
  expect_floats(run_old(12, "ReduceSum", counting({2, 2}), [](auto&) {}), {1, 1}, {6});
  expect_floats(run_old(12, "ReduceMean", counting({2, 2}), [](auto& n) { add_ints(n, "axes", {0}); }), {1, 2},
                {1, 2});
  expect_floats(run_old(
                    11, "Split", counting({3}),
                    [](auto& n) {
                      add_ints(n, "split", {2, 1});
                    },
                    true, 2),
                {2}, {0, 1});
  expect_floats(run_old(
                    11, "Split", counting({4}), [](auto&) {}, true, 2),
                {2}, {0, 1});
  expect_floats(run_old(
                    8, "TopK", counting({4}), [](auto& n) { add_int(n, "k", 2); }, true, 2),
                {2}, {3, 2});
}

TEST(OpsetUpgrade, UpsampleAndResize) {
  const auto scales = [](onnx::NodeProto& n, std::vector<float> values) {
    auto& a = *n.add_attribute();
    a.set_name("scales");
    a.set_type(onnx::AttributeProto::FLOATS);
    for (float v : values) a.add_floats(v);
  };
  expect_floats(run_old(7, "Upsample", counting({1, 1, 1, 2}),
                        [&](auto& n) {
                          scales(n, {1, 1, 2, 2});
                        }),
                {1, 1, 2, 4}, {0, 0, 1, 1, 0, 0, 1, 1});
  expect_floats(run_old(8, "Upsample", counting({1, 1, 1, 2}),
                        [&](auto& n) {
                          scales(n, {1, 1, 1, 2});
                          add_string(n, "mode", "linear");
                        }),
                {1, 1, 1, 4}, {0, 0.5f, 1, 1});
  onnx::ModelProto model = empty_model(10);
  add_input(model, "x", {1, 1, 1, 2});
  add_floats(model, "s", {4}, {1, 1, 1, 3});
  add_node(model, "Resize", {"x", "s"}, {"y"});
  add_output(model, "y");
  Result<Graph> graph = parse(model);
  ASSERT_TRUE(graph.is_ok()) << graph.status().message();
  Result<std::vector<Tensor>> y = interpret(*graph, {counting({1, 1, 1, 2})});
  ASSERT_TRUE(y.is_ok()) << y.status().message();
  expect_floats((*y)[0], {1, 1, 1, 6}, {0, 0, 0, 1, 1, 1});
}

TEST(OpsetUpgrade, ResizeWithHalfPixelForNearestNeighbours) {
  onnx::ModelProto model = empty_model(11);
  add_input(model, "x", {1, 1, 1, 4});
  add_floats(model, "roi", {0}, {});
  add_floats(model, "s", {4}, {1, 1, 1, 0.5f});
  auto& node = add_node(model, "Resize", {"x", "roi", "s"}, {"y"});
  add_string(node, "coordinate_transformation_mode", "tf_half_pixel_for_nn");
  add_string(node, "nearest_mode", "floor");
  add_output(model, "y");
  Result<Graph> graph = parse(model);
  ASSERT_TRUE(graph.is_ok()) << graph.status().message();
  EXPECT_EQ(graph->nodes[0].inputs[1], kNoValue);
  Result<std::vector<Tensor>> y = interpret(*graph, {counting({1, 1, 1, 4})});
  ASSERT_TRUE(y.is_ok()) << y.status().message();
  expect_floats((*y)[0], {1, 1, 1, 2}, {1, 3});
}

// The old definition, spelled out: rows of everything from `axis` on.
std::vector<float> coerced_softmax(const Tensor& x, int64_t axis, const std::string& op) {
  int64_t rows = 1;
  for (int64_t i = 0; i < axis; ++i) rows *= x.dim(static_cast<int>(i));
  const int64_t width = x.numel() / rows;
  std::vector<float> y(static_cast<size_t>(x.numel()));
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x.data<float>() + r * width;
    const int64_t top = std::max_element(row, row + width) - row;
    double sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += std::exp(static_cast<double>(row[i]) - row[top]);
    for (int64_t i = 0; i < width; ++i) {
      const double z = static_cast<double>(row[i]) - row[top];
      const double v = op == "Softmax" ? std::exp(z) / sum : op == "LogSoftmax" ? z - std::log(sum) : i == top;
      y[static_cast<size_t>(r * width + i)] = static_cast<float>(v);
    }
  }
  return y;
}

TEST(OpsetUpgrade, SoftmaxOverSeveralDimensions) {
  Random random(5);
  for (const Dims& dims : {Dims{2, 3, 4}, Dims{2, 3, 1, 1}, Dims{3, 4}, Dims{2, 1, 5}}) {
    const Tensor x = random_tensor(random, dims, -3, 3);
    for (const char* op : {"Softmax", "LogSoftmax", "Hardmax"}) {
      for (bool known : {true, false}) {
        for (int64_t axis = 0; axis < x.rank(); ++axis) {
          SCOPED_TRACE(std::string(op) + dims_to_string(dims) + " axis " + std::to_string(axis));
          const Tensor y = run_old(
              9, op, x,
              [&](auto& n) {
                if (axis != 1) add_int(n, "axis", axis);
              },
              known);
          EXPECT_TRUE(outputs_near({Tensor::from<float>(dims, coerced_softmax(x, axis, op))}, {y}, 1e-6));
        }
      }
    }
  }
}

TEST(OpsetUpgrade, SoftmaxStaysOneNodeWhereThatIsTheSame) {
  for (const auto& [dims, nodes] : std::vector<std::pair<std::vector<int64_t>, size_t>>{
           {{-1, 10}, 1}, {{-1, 10, 1, 1}, 1}, {{-1, 10, 2, 1}, 4}}) {
    onnx::ModelProto model = empty_model(11);
    add_input(model, "x", dims);
    add_node(model, "Softmax", {"x"}, {"y"});
    add_output(model, "y");
    Result<Graph> graph = parse(model);
    ASSERT_TRUE(graph.is_ok()) << graph.status().message();
    EXPECT_EQ(graph->nodes.size(), nodes);
    EXPECT_TRUE(nodes != 1 || graph->nodes[0].attr_int("axis", -7) == 1);
    EXPECT_EQ(graph->value(graph->outputs[0]).name, "y");
    EXPECT_EQ(graph->value(graph->outputs[0]).shape, graph->value(graph->inputs[0]).shape);
  }
}

TEST(OpsetUpgrade, DropoutAndBatchNormalization) {
  expect_floats(run_old(7, "Dropout", counting({2}), [](auto& n) { add_float(n, "ratio", 0.9f); }), {2}, {0, 1});
  onnx::ModelProto model = empty_model(7);
  add_input(model, "x", {1, 1, 2});
  for (const char* name : {"scale", "bias", "mean", "var"}) add_floats(model, name, {1}, {1.0f});
  auto& node = add_node(model, "BatchNormalization", {"x", "scale", "bias", "mean", "var"}, {"y", "m", "v"}, "bn");
  add_int(node, "spatial", 1);
  add_output(model, "y");
  Result<Graph> graph = parse(model);
  ASSERT_TRUE(graph.is_ok()) << graph.status().message();
  EXPECT_EQ(graph->nodes[0].attributes.count("spatial"), 0u);
  node.mutable_attribute(0)->set_i(0);
  EXPECT_HAS(error_of(model), "node 'bn' (BatchNormalization): batch normalization with statistics per position");
}

TEST(OpsetUpgrade, From13To22GivesTheSameValues) {
  for (uint64_t seed = 0; seed < 15; ++seed) {
    SCOPED_TRACE(seed);
    RandomGraphOptions options;
    options.opset = 13;
    const Graph graph = random_cnn(seed, options);
    Graph upgraded = graph;
    ASSERT_TRUE(upgrade_opset(upgraded, 22).is_ok());
    EXPECT_EQ(upgraded.opset, 22);
    ASSERT_TRUE(verify(upgraded).is_ok());
    const std::vector<Tensor> inputs = random_inputs(graph, seed);
    Result<std::vector<Tensor>> before = interpret(graph, inputs);
    Result<std::vector<Tensor>> after = interpret(upgraded, inputs);
    ASSERT_TRUE(before.is_ok() && after.is_ok()) << before.status().message() << after.status().message();
    EXPECT_TRUE(outputs_identical(*before, *after));
  }
}

TEST(OpsetUpgrade, ReductionsAndSplitTo18) {
  Graph graph;
  graph.inputs = {graph.add_value("x", DType::kFloat32, Shape{Dim::of(2), Dim::of(4)})};
  std::vector<std::string> ops = {"ReduceL1",   "ReduceL2",  "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
                                  "ReduceMean", "ReduceMin", "ReduceProd",   "ReduceSumSquare"};
  for (const std::string& op : ops) {
    graph.outputs.push_back(
        graph.nodes[graph.add_node(op, graph.inputs, {op}, {{"axes", std::vector<int64_t>{1}}})].outputs[0]);
    graph.outputs.push_back(graph.nodes[graph.add_node(op, graph.inputs, {op})].outputs[0]);
  }
  for (ValueId id : graph.nodes[graph.add_node("Split", graph.inputs, {"a", "b"}, {{"axis", int64_t{1}}})].outputs)
    graph.outputs.push_back(id);
  Graph upgraded = graph;
  ASSERT_TRUE(upgrade_opset(upgraded, 18).is_ok());
  for (const Node& node : upgraded.nodes) EXPECT_EQ(node.attributes.count("axes"), 0u);
  const Tensor x = counting({2, 4}, 1);
  Result<std::vector<Tensor>> before = interpret(graph, {x});
  Result<std::vector<Tensor>> after = interpret(upgraded, {x});
  ASSERT_TRUE(before.is_ok() && after.is_ok()) << before.status().message() << after.status().message();
  EXPECT_TRUE(outputs_identical(*before, *after));
}

TEST(OpsetUpgrade, GroupNormalizationTo21) {
  Graph graph;
  graph.opset = 18;
  graph.inputs = {graph.add_value("x", DType::kFloat32, Shape{Dim::of(1), Dim::of(4), Dim::of(2)})};
  const ValueId scale = graph.add_constant("scale", Tensor::from<float>({2}, {2, 3}));
  const ValueId bias = graph.add_constant("bias", Tensor::from<float>({2}, {0, 1}));
  graph.outputs = graph
                      .nodes[graph.add_node("GroupNormalization", {graph.inputs[0], scale, bias}, {"y"},
                                            {{"num_groups", int64_t{2}}})]
                      .outputs;
  Result<std::string> bytes = serialize_onnx(graph);
  ASSERT_TRUE(bytes.is_ok()) << bytes.status().message();
  Graph upgraded = graph;
  ASSERT_TRUE(upgrade_opset(upgraded, 21).is_ok());
  ASSERT_TRUE(verify(upgraded).is_ok());
  ASSERT_TRUE(infer_shapes(upgraded).is_ok());
  const Node& norm = upgraded.nodes.back();
  EXPECT_EQ(shape_to_string(*upgraded.value(norm.inputs[1]).shape), "[4]");
  // Source: ONNX GroupNormalization-21; two groups of the elements 0..3 and 4..7.
  Result<std::vector<Tensor>> y = interpret(upgraded, {counting({1, 4, 2})});
  ASSERT_TRUE(y.is_ok()) << y.status().message();
  const float d = std::sqrt(1.25f + 1e-5f);
  expect_floats((*y)[0], {1, 4, 2},
                {2 * -1.5f / d, 2 * -0.5f / d, 2 * 0.5f / d, 2 * 1.5f / d, 1 + 3 * -1.5f / d, 1 + 3 * -0.5f / d,
                 1 + 3 * 0.5f / d, 1 + 3 * 1.5f / d});
}

TEST(OpsetUpgrade, TargetsAreChecked) {
  Graph graph = random_cnn(1);
  const int opset = graph.opset;
  EXPECT_TRUE(upgrade_opset(graph, 7).is_ok());
  EXPECT_EQ(graph.opset, opset);
  EXPECT_FALSE(upgrade_opset(graph, 23).is_ok());
}

}  // namespace
}  // namespace octet::test
