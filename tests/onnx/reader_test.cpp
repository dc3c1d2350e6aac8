// What valid files look like once loaded.
#include "onnx/models.h"
#include "support/compare.h"

namespace octet::test {
namespace {

Graph load_or_fail(const onnx::ModelProto& model) {
  Result<Graph> graph = parse(model);
  EXPECT_TRUE(graph.is_ok()) << graph.status().message();
  return graph ? std::move(*graph) : Graph();
}

const Value& value_of(const Graph& graph, const std::string& name) { return graph.value(graph.find_value(name)); }

TEST(Reader, SymbolicDimensionsAreKept) {
  onnx::ModelProto model = empty_model();
  add_input(model, "x", {-1, 3, 5});
  model.mutable_graph()
      ->mutable_input(0)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(2)
      ->Clear();
  add_node(model, "Relu", {"x"}, {"y"});
  add_output(model, "y");
  const Graph graph = load_or_fail(model);
  EXPECT_EQ(shape_to_string(*value_of(graph, "x").shape), "[N, 3, ?]");
  const Shape& y = *value_of(graph, "y").shape;
  EXPECT_EQ(y[0], Dim::named("N"));
  EXPECT_EQ(y[1], Dim::of(3));
  EXPECT_EQ(value_of(graph, "y").dtype, DType::kFloat32);
}

TEST(Reader, MissingAndRepeatedNodeNamesAreMadeUnique) {
  onnx::ModelProto model = empty_model();
  add_input(model, "x", {2});
  add_node(model, "Relu", {"x"}, {"a"});
  add_node(model, "Abs", {"a"}, {"b"}, "Relu_0");
  add_node(model, "Abs", {"b"}, {"c"}, "Relu_0");
  add_node(model, "Neg", {"c"}, {"y"});
  add_output(model, "y");
  const Graph graph = load_or_fail(model);
  ASSERT_EQ(graph.nodes.size(), 4u);
  EXPECT_EQ(graph.nodes[0].name, "Relu_0_1");
  EXPECT_EQ(graph.nodes[1].name, "Relu_0");
  EXPECT_EQ(graph.nodes[2].name, "Relu_0_2");
  EXPECT_EQ(graph.nodes[3].name, "Neg_3");
}

TEST(Reader, NodesInAnyOrderAreSorted) {
  onnx::ModelProto model = empty_model();
  add_input(model, "x", {2});
  add_node(model, "Neg", {"b"}, {"y"});
  add_node(model, "Abs", {"a"}, {"b"});
  add_node(model, "Relu", {"x"}, {"a"});
  add_output(model, "y");
  EXPECT_EQ(operators(load_or_fail(model)), "Relu Abs Neg");
}

TEST(Reader, InitializersListedAsInputsAreNotInputs) {
  const Graph graph = load_or_fail(old_cnn());
  ASSERT_EQ(graph.inputs.size(), 1u);
  EXPECT_EQ(graph.value(graph.inputs[0]).name, "x");
  const onnx::ModelProto out = written(graph);
  ASSERT_EQ(out.graph().input_size(), 1);
  EXPECT_EQ(out.graph().input(0).name(), "x");
}

TEST(Reader, ConstantNodesBecomeConstants) {
  onnx::ModelProto model = empty_model();
  add_input(model, "x", {2});
  auto& tensor = *add_node(model, "Constant", {}, {"t"}).add_attribute();
  tensor.set_name("value");
  tensor.set_type(onnx::AttributeProto::TENSOR);
  tensor.mutable_t()->set_data_type(1);
  tensor.mutable_t()->add_float_data(4.0f);
  add_float(add_node(model, "Constant", {}, {"f"}), "value_float", 1.5f);
  add_int(add_node(model, "Constant", {}, {"i"}), "value_int", 7);
  add_ints(add_node(model, "Constant", {}, {"is"}), "value_ints", {1, 2});
  auto& floats = *add_node(model, "Constant", {}, {"fs"}).add_attribute();
  floats.set_name("value_floats");
  floats.set_type(onnx::AttributeProto::FLOATS);
  floats.add_floats(0.5f);
  floats.add_floats(0.25f);
  add_node(model, "Sum", {"x", "t", "f", "fs"}, {"y"});
  for (const char* name : {"y", "i", "is"}) add_output(model, name);
  const Graph graph = load_or_fail(model);
  EXPECT_EQ(operators(graph), "Sum");
  const auto constant = [&](const char* name) { return *value_of(graph, name).constant; };
  EXPECT_TRUE(same_bits(constant("t"), Tensor::scalar(4.0f)));
  EXPECT_TRUE(same_bits(constant("f"), Tensor::scalar(1.5f)));
  EXPECT_TRUE(same_bits(constant("i"), Tensor::scalar<int64_t>(7)));
  EXPECT_TRUE(same_bits(constant("is"), Tensor::from<int64_t>({2}, {1, 2})));
  EXPECT_TRUE(same_bits(constant("fs"), Tensor::from<float>({2}, {0.5f, 0.25f})));
}

TEST(Reader, OmittedInputsStayOmitted) {
  onnx::ModelProto model = empty_model();
  add_input(model, "x", {2});
  add_floats(model, "high", {}, {1.0f});
  add_node(model, "Clip", {"x", "", "high"}, {"y"});
  add_output(model, "y");
  const Graph graph = load_or_fail(model);
  EXPECT_EQ(graph.nodes[0].inputs[1], kNoValue);
  EXPECT_EQ(written(graph).graph().node(0).input(1), "");
}

TEST(Reader, QuantizationOfOnnxRuntimesDomainIsUnderstood) {
  onnx::ModelProto model = empty_model();
  auto& import = *model.add_opset_import();
  import.set_domain("com.microsoft");
  import.set_version(1);
  add_input(model, "x", {2});
  add_floats(model, "scale", {}, {0.5f});
  auto& zero = *model.mutable_graph()->add_initializer();
  zero.set_name("zero");
  zero.set_data_type(5);  // INT16, which ai.onnx has from opset 21 on
  zero.add_int32_data(0);
  add_node(model, "QuantizeLinear", {"x", "scale", "zero"}, {"q"}).set_domain("com.microsoft");
  add_node(model, "DequantizeLinear", {"q", "scale", "zero"}, {"y"}).set_domain("com.microsoft");
  add_output(model, "y");
  const Graph graph = load_or_fail(model);
  EXPECT_TRUE(graph.nodes[0].is("QuantizeLinear"));
  EXPECT_EQ(value_of(graph, "q").dtype, DType::kInt16);
  const onnx::ModelProto out = written(graph);
  EXPECT_EQ(out.opset_import(0).version(), 21);
  EXPECT_EQ(out.ir_version(), 10);
  EXPECT_EQ(out.graph().node(0).domain(), "");
}

TEST(Reader, DeclaredShapesFillInWhatInferenceCannotKnow) {
  onnx::ModelProto model = empty_model();
  add_input(model, "x", {2, 3});
  add_node(model, "NonZero", {"x"}, {"y"});
  add_output(model, "y");
  auto& type = *model.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type();
  type.set_elem_type(7);
  type.mutable_shape()->add_dim()->set_dim_value(2);
  type.mutable_shape()->add_dim()->set_dim_param("found");
  const Graph graph = load_or_fail(model);
  EXPECT_EQ(value_of(graph, "y").dtype, DType::kInt64);
  ASSERT_TRUE(value_of(graph, "y").shape.has_value());
  EXPECT_EQ((*value_of(graph, "y").shape)[0], Dim::of(2));
  EXPECT_EQ(written(graph).graph().output(0).type().tensor_type().shape().dim(1).dim_param(), "found");
}

}  // namespace
}  // namespace octet::test
