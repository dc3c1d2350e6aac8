// Files that are not models, or models that contradict themselves: one sentence each.
#include "onnx/models.h"

namespace octet::test {
namespace {

onnx::ModelProto relu_model() {
  onnx::ModelProto model = empty_model();
  add_input(model, "x", {2, 3});
  add_node(model, "Relu", {"x"}, {"y"}, "act");
  add_output(model, "y");
  return model;
}

std::string error_of_bytes(const std::string& bytes) { return parse_onnx(bytes, "").status().message(); }

TEST(BadFiles, NotAnOnnxModel) {
  EXPECT_HAS(error_of_bytes(""), "this is not an ONNX model: the file is empty");
  EXPECT_HAS(error_of_bytes("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "this is not an ONNX model");
  EXPECT_HAS(error_of_bytes("recipe:\n  quantize: true\n"), "this is not an ONNX model");
  EXPECT_HAS(error_of_bytes(std::string(1000, '\0')), "this is not an ONNX model");
  EXPECT_HAS(error_of_bytes(std::string(1000, '\xff')), "this is not an ONNX model");
  EXPECT_HAS(error_of_bytes(std::string("PK\x03\x04\x14\0\x08\0", 8)), "this is not an ONNX model");
  onnx::ModelProto model = relu_model();
  model.clear_graph();
  EXPECT_HAS(error_of(model), "it has no graph");
  model = relu_model();
  model.clear_ir_version();
  EXPECT_HAS(error_of(model), "it has no ir_version");
}

TEST(BadFiles, MissingFilesAndFolders) {
  TemporaryFolder folder;
  EXPECT_EQ(load_onnx(folder.file("none.onnx")).status().code(), StatusCode::kNotFound);
  EXPECT_FALSE(load_onnx(folder.path()).is_ok());
  folder.write("empty.onnx", "");
  EXPECT_HAS(load_onnx(folder.file("empty.onnx")).status().message(), "empty.onnx");
}

TEST(BadFiles, Versions) {
  onnx::ModelProto model = relu_model();
  model.mutable_opset_import(0)->set_version(6);
  EXPECT_EQ(parse(model).status().code(), StatusCode::kUnsupported);
  EXPECT_HAS(error_of(model), "opset 6, but only opsets 7 to 22");
  for (int64_t version : {int64_t{23}, int64_t{-1}, INT64_MAX}) {
    model.mutable_opset_import(0)->set_version(version);
    EXPECT_HAS(error_of(model), "only opsets 7 to 22");
  }
  model.clear_opset_import();
  EXPECT_HAS(error_of(model), "does not say which version");
  for (int version : {7, 13, 22}) {
    model = relu_model();
    model.mutable_opset_import(0)->set_version(version);
    model.mutable_opset_import(0)->set_domain("ai.onnx");
    EXPECT_EQ(error_of(model), "");
  }
  model.set_ir_version(2);
  EXPECT_HAS(error_of(model), "IR version 2");
  model.set_ir_version(1000);
  EXPECT_HAS(error_of(model), "IR version 1000");
}

TEST(BadFiles, OperatorsOctetDoesNotHave) {
  onnx::ModelProto model = relu_model();
  model.mutable_graph()->mutable_node(0)->set_op_type("FrobnicateLinear");
  EXPECT_EQ(parse(model).status().code(), StatusCode::kUnsupported);
  EXPECT_HAS(error_of(model), "'act'");
  EXPECT_HAS(error_of(model), "FrobnicateLinear");
  model = relu_model();
  model.mutable_graph()->mutable_node(0)->set_domain("com.microsoft");
  model.mutable_graph()->mutable_node(0)->set_op_type("QAttention");
  EXPECT_EQ(parse(model).status().code(), StatusCode::kUnsupported);
  EXPECT_HAS(error_of(model), "QAttention");
  EXPECT_HAS(error_of(model), "com.microsoft");
}

TEST(BadFiles, SubgraphsSparseAndStrings) {
  onnx::ModelProto model = relu_model();
  auto& branch = *model.mutable_graph()->mutable_node(0)->add_attribute();
  branch.set_name("then_branch");
  branch.set_type(onnx::AttributeProto::GRAPH);
  branch.mutable_g()->set_name("sub");
  model.mutable_graph()->mutable_node(0)->set_op_type("If");
  EXPECT_EQ(parse(model).status().code(), StatusCode::kUnsupported);
  EXPECT_HAS(error_of(model), "node 'act' (If): attribute 'then_branch': operators that contain subgraphs");

  model = relu_model();
  model.mutable_graph()->add_sparse_initializer()->mutable_values()->set_name("thin");
  EXPECT_HAS(error_of(model), "initializer 'thin' is sparse");

  model = relu_model();
  model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(8);
  EXPECT_HAS(error_of(model), "tensor of STRING");
  model.mutable_graph()->mutable_input(0)->mutable_type()->mutable_sequence_type();
  EXPECT_HAS(error_of(model), "sequence");

  model = relu_model();
  auto& constant = add_node(model, "Constant", {}, {"c"}, "text");
  add_string(constant, "value_string", "hello");
  EXPECT_HAS(error_of(model), "node 'text' (Constant): tensors of strings");
}

TEST(BadFiles, GraphsThatDoNotConnect) {
  onnx::ModelProto model = relu_model();
  model.mutable_graph()->mutable_node(0)->set_input(0, "ghost");
  EXPECT_HAS(error_of(model), "node 'act' (Relu): it reads 'ghost'");

  model = relu_model();
  model.mutable_graph()->mutable_output(0)->set_name("ghost");
  EXPECT_HAS(error_of(model), "the graph output 'ghost' is not produced");

  model = relu_model();
  model.mutable_graph()->clear_output();
  EXPECT_HAS(error_of(model), "no outputs");

  model = relu_model();
  add_node(model, "Add", {"x", "b"}, {"a"}, "first");
  add_node(model, "Add", {"x", "a"}, {"b"}, "second");
  EXPECT_EQ(parse(model).status().code(), StatusCode::kDataCorrupt);
  EXPECT_HAS(error_of(model), "part of a cycle");

  model = relu_model();
  add_node(model, "Relu", {"self"}, {"self"}, "loop");
  EXPECT_HAS(error_of(model), "part of a cycle");
}

TEST(BadFiles, NamesGivenTwice) {
  onnx::ModelProto model = relu_model();
  add_node(model, "Abs", {"x"}, {"y"}, "again");
  EXPECT_HAS(error_of(model), "node 'again' (Abs): the name 'y' is given to two values");

  model = relu_model();
  add_input(model, "x", {2, 3});
  EXPECT_HAS(error_of(model), "the graph input 'x' is listed twice");

  model = relu_model();
  add_floats(model, "w", {1}, {1});
  add_floats(model, "w", {1}, {2});
  EXPECT_HAS(error_of(model), "'w'");

  model = relu_model();
  add_floats(model, "y", {1}, {1});
  EXPECT_HAS(error_of(model), "'y' is given to two values");

  model = relu_model();
  add_int(*model.mutable_graph()->mutable_node(0), "a", 1);
  add_int(*model.mutable_graph()->mutable_node(0), "a", 2);
  EXPECT_HAS(error_of(model), "attribute 'a' is given twice");
}

TEST(BadFiles, AttributesAndCounts) {
  onnx::ModelProto model = relu_model();
  model.mutable_graph()->mutable_node(0)->add_input("x");
  EXPECT_HAS(error_of(model), "'act'");
  model = relu_model();
  model.mutable_graph()->mutable_node(0)->set_op_type("Softmax");
  add_string(*model.mutable_graph()->mutable_node(0), "axis", "one");
  EXPECT_HAS(error_of(model), "axis");
  // Attributes of the wrong kind in operators that the loader rewrites.
  for (const char* op : {"Clip", "Pad", "Slice", "Squeeze", "Unsqueeze", "ReduceSum", "Split", "TopK", "Upsample"}) {
    model = relu_model();
    model.mutable_opset_import(0)->set_version(7);
    auto& node = *model.mutable_graph()->mutable_node(0);
    node.set_op_type(op);
    for (const char* name : {"axes", "split", "k", "pads", "starts", "ends", "scales"})
      add_string(node, name, "wrong");
    EXPECT_NE(error_of(model), "") << op;
    node.clear_input();
    EXPECT_NE(error_of(model), "") << op;
  }
}

TEST(BadFiles, NamesAreText) {
  for (const std::string& name :
       {std::string("tab\there"), std::string("\xff\xfe"), std::string("cut \xe2\x82"),
        std::string("overlong \xc0\xaf"), std::string("surrogate \xed\xa0\x80"), std::string("nul\0", 4)}) {
    onnx::ModelProto model = relu_model();
    model.mutable_graph()->mutable_node(0)->set_name(name);
    EXPECT_HAS(error_of(model), "the name of a node");
    model = relu_model();
    model.mutable_graph()->mutable_node(0)->set_op_type(name);
    EXPECT_HAS(error_of(model), "the name of an operator");
    model = relu_model();
    add_int(*model.mutable_graph()->mutable_node(0), name, 1);
    EXPECT_HAS(error_of(model), "the name of an attribute");
  }
  onnx::ModelProto model = relu_model();
  model.mutable_graph()->mutable_node(0)->set_name("couche é, 層, \xf0\x9f\x98\x80");
  EXPECT_EQ(error_of(model), "");
}

TEST(BadFiles, StrangeNamesAreQuotedSafely) {
  onnx::ModelProto model = relu_model();
  model.mutable_graph()->mutable_node(0)->set_input(0, "line\nbreak\x1b[31m" + std::string(5000, 'a'));
  const std::string message = error_of(model);
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_LT(message.size(), 400u);
}

}  // namespace
}  // namespace octet::test
