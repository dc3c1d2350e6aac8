#include "onnx/models.h"

#include <google/protobuf/unknown_field_set.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace octet::test {

onnx::ModelProto empty_model(int opset) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.mutable_graph()->set_name("g");
  auto& import = *model.add_opset_import();
  import.set_domain("");
  import.set_version(opset);
  return model;
}

void add_input(onnx::ModelProto& model, const std::string& name, const std::vector<int64_t>& dims, int type) {
  auto& input = *model.mutable_graph()->add_input();
  input.set_name(name);
  auto& tensor = *input.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  for (int64_t d : dims) {
    auto& dim = *tensor.mutable_shape()->add_dim();
    if (d >= 0) dim.set_dim_value(d);
    else dim.set_dim_param("N");
  }
}

void add_output(onnx::ModelProto& model, const std::string& name) {
  model.mutable_graph()->add_output()->set_name(name);
}

onnx::NodeProto& add_node(onnx::ModelProto& model, const std::string& op_type, const std::vector<std::string>& inputs,
                          const std::vector<std::string>& outputs, const std::string& name) {
  auto& node = *model.mutable_graph()->add_node();
  node.set_op_type(op_type);
  for (const auto& in : inputs) node.add_input(in);
  for (const auto& out : outputs) node.add_output(out);
  if (!name.empty()) node.set_name(name);
  return node;
}

onnx::TensorProto& add_floats(onnx::ModelProto& model, const std::string& name, const std::vector<int64_t>& dims,
                              const std::vector<float>& values) {
  auto& tensor = *model.mutable_graph()->add_initializer();
  tensor.set_name(name);
  tensor.set_data_type(1);
  for (int64_t d : dims) tensor.add_dims(d);
  for (float v : values) tensor.add_float_data(v);
  return tensor;
}

namespace {
onnx::AttributeProto& new_attribute(onnx::NodeProto& node, const std::string& name,
                                    onnx::AttributeProto::AttributeType type) {
  auto& attribute = *node.add_attribute();
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}
}  // namespace

void add_int(onnx::NodeProto& node, const std::string& name, int64_t value) {
  new_attribute(node, name, onnx::AttributeProto::INT).set_i(value);
}
void add_ints(onnx::NodeProto& node, const std::string& name, const std::vector<int64_t>& values) {
  auto& attribute = new_attribute(node, name, onnx::AttributeProto::INTS);
  for (int64_t v : values) attribute.add_ints(v);
}
void add_float(onnx::NodeProto& node, const std::string& name, float value) {
  new_attribute(node, name, onnx::AttributeProto::FLOAT).set_f(value);
}
void add_string(onnx::NodeProto& node, const std::string& name, const std::string& value) {
  new_attribute(node, name, onnx::AttributeProto::STRING).set_s(value);
}

onnx::ModelProto rich_model() {
  onnx::ModelProto model = empty_model();
  model.set_producer_name("maker");
  model.set_producer_version("1.2");
  model.set_domain("org.example");
  model.set_model_version(17);
  model.set_doc_string("a model");
  auto& prop = *model.add_metadata_props();
  prop.set_key("licence");
  prop.set_value("BSD");
  model.mutable_unknown_fields()->AddLengthDelimited(900, "future model field");
  auto& graph = *model.mutable_graph();
  graph.set_doc_string("a graph");
  graph.mutable_unknown_fields()->AddVarint(901, 7);
  add_input(model, "x", {-1, 3});
  graph.mutable_input(0)->set_doc_string("the input");
  auto& bias = add_floats(model, "bias", {3}, {1, 2, 3});
  bias.set_doc_string("the bias");
  bias.mutable_unknown_fields()->AddLengthDelimited(902, "future tensor field");
  auto& add = add_node(model, "Add", {"x", "bias"}, {"sum"}, "adder");
  add.set_doc_string("adds");
  for (const char* key : {"zeta", "alpha"}) {  // not sorted: the order is to be kept
    onnx::StringStringEntryProto entry;
    entry.set_key(key);
    entry.set_value(std::string("value of ") + key);
    add.mutable_unknown_fields()->AddLengthDelimited(9, entry.SerializeAsString());
  }
  add.mutable_unknown_fields()->AddFixed32(903, 5);
  auto& softmax = add_node(model, "Softmax", {"sum"}, {"y"}, "soft");
  add_int(softmax, "axis", 1);
  softmax.mutable_attribute(0)->set_doc_string("which axis");
  auto& info = *graph.add_value_info();
  info.set_name("sum");
  info.mutable_type()->mutable_tensor_type()->set_elem_type(1);
  auto& annotation = *graph.add_quantization_annotation();
  annotation.set_tensor_name("sum");
  add_output(model, "y");
  graph.mutable_output(0)->set_doc_string("the output");
  return model;
}

onnx::ModelProto old_cnn() {
  onnx::ModelProto model = empty_model(9);
  model.set_ir_version(3);
  add_input(model, "x", {-1, 2, 4, 4});
  add_input(model, "w", {3, 2, 1, 1});
  add_floats(model, "w", {3, 2, 1, 1}, {1, -2, 3, -4, 5, -6});
  auto& bias = add_floats(model, "b", {3}, {});
  bias.set_raw_data(std::string("\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40", 12));
  add_node(model, "Conv", {"x", "w", "b"}, {"c"});
  auto& clip = add_node(model, "Clip", {"c"}, {"k"});
  add_float(clip, "min", -1.0f);
  add_float(clip, "max", 2.5f);
  auto& pad = add_node(model, "Pad", {"k"}, {"p"});
  add_ints(pad, "pads", {0, 0, 1, 1, 0, 0, 1, 1});
  add_float(pad, "value", 0.5f);
  add_node(model, "GlobalAveragePool", {"p"}, {"y"});
  add_output(model, "y");
  return model;
}

Result<Graph> parse(const onnx::ModelProto& model, const std::string& folder) {
  return parse_onnx(model.SerializeAsString(), folder);
}

std::string error_of(const onnx::ModelProto& model) { return parse(model).status().message(); }

onnx::ModelProto written(const Graph& graph) {
  onnx::ModelProto model;
  Result<std::string> bytes = serialize_onnx(graph);
  EXPECT_TRUE(bytes.is_ok()) << bytes.status().message();
  if (bytes) {
    EXPECT_TRUE(model.ParseFromString(*bytes));
  }
  return model;
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "octet_onnx_XXXXXX").string();
  path_ = ::mkdtemp(pattern.data());
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

void TemporaryFolder::write(const std::string& name, const std::string& bytes) const {
  std::filesystem::create_directories(std::filesystem::path(file(name)).parent_path());
  std::ofstream(file(name), std::ios::binary) << bytes;
}

}  // namespace octet::test
