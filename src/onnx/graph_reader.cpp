#include "onnx/graph_reader.h"

#include "onnx/attribute_codec.h"
#include "onnx/shell.h"
#include "onnx/tensor_codec.h"
#include "onnx/value_codec.h"

namespace octet {
namespace {

bool is_onnx_domain(const std::string& domain) { return domain.empty() || domain == "ai.onnx"; }

// ONNX Runtime's own domain carries INT16 and INT4 quantization for opsets before 21, with the meaning of ai.onnx.
bool is_contrib_quantization(const onnx::NodeProto& proto) {
  return proto.domain() == "com.microsoft" &&
         (proto.op_type() == "QuantizeLinear" || proto.op_type() == "DequantizeLinear");
}

}  // namespace

Result<Graph> GraphReader::read() {
  OCTET_RETURN_IF_ERROR(read_versions());
  const onnx::GraphProto& proto = model_.graph();
  if (proto.sparse_initializer_size() != 0)
    return unsupported("initializer " + in_quotes(proto.sparse_initializer(0).values().name()) +
                       " is sparse, which is not supported");
  graph_.name = proto.name();
  OCTET_RETURN_IF_ERROR(read_initializers());
  OCTET_RETURN_IF_ERROR(read_inputs());
  OCTET_RETURN_IF_ERROR(read_nodes());
  OCTET_RETURN_IF_ERROR(connect_inputs());
  OCTET_RETURN_IF_ERROR(read_outputs());
  for (const onnx::ValueInfoProto& info : proto.value_info()) OCTET_RETURN_IF_ERROR(read_declared_type(info));
  const Status sorted = graph_.sort_topologically();
  if (!sorted) return data_corrupt(sorted.message());

  strip_to_shell(model_, node_names_);
  graph_.onnx_shell = std::make_shared<const std::string>(model_.SerializeAsString());
  graph_.compact();
  return std::move(graph_);
}

Status GraphReader::read_versions() {
  const int64_t ir_version = model_.ir_version();
  if (ir_version < kOldestIrVersion || ir_version > kNewestIrVersion)
    return unsupported("the file has IR version " + std::to_string(ir_version) + ", but only " +
                       std::to_string(kOldestIrVersion) + " to " + std::to_string(kNewestIrVersion) +
                       " are supported; export the model again with a current tool");
  bool found = false;
  for (const auto& import : model_.opset_import()) {
    const int64_t version = import.version();
    if (!is_onnx_domain(import.domain())) {
      graph_.other_opsets[import.domain()] = version;
      continue;
    }
    if (found && version != graph_.opset) return data_corrupt("the file names two versions of the ONNX operators");
    if (version < kOldestOpset || version > kNewestOpset)
      return unsupported("the model uses opset " + std::to_string(version) + ", but only opsets " +
                         std::to_string(kOldestOpset) + " to " + std::to_string(kNewestOpset) +
                         " are supported; export it again with one of these");
    graph_.opset = static_cast<int>(version);
    found = true;
  }
  if (!found) return data_corrupt("the file does not say which version of the ONNX operators it uses (opset_import)");
  return Status::ok();
}

Result<ValueId> GraphReader::new_value(const std::string& name, const std::string& what) {
  if (name.empty()) return data_corrupt(what + " has no name");
  if (graph_.find_value(name) != kNoValue)
    return data_corrupt("the name " + in_quotes(name) + " is given to two values; " + what + " is the second");
  return graph_.add_value(name);
}

Status GraphReader::read_initializers() {
  for (onnx::TensorProto& proto : *model_.mutable_graph()->mutable_initializer()) {
    OCTET_ASSIGN(const ValueId id, new_value(proto.name(), "an initializer"));
    OCTET_ASSIGN(Tensor tensor, decode_tensor(proto, external_).at("initializer " + in_quotes(proto.name())));
    Value& value = graph_.value(id);
    value.dtype = tensor.dtype();
    value.shape = static_shape(tensor.dims());
    value.constant = std::move(tensor);
  }
  return Status::ok();
}

Status GraphReader::read_inputs() {
  for (const onnx::ValueInfoProto& proto : model_.graph().input()) {
    if (!input_names_.insert(proto.name()).second)
      return data_corrupt("the graph input " + in_quotes(proto.name()) + " is listed twice");
    // Before IR version 4 every initializer was listed as an input too.
    if (graph_.is_constant(graph_.find_value(proto.name()))) continue;
    OCTET_ASSIGN(const ValueId id, new_value(proto.name(), "a graph input"));
    OCTET_ASSIGN(ValueType type, decode_value_type(proto));
    graph_.value(id).dtype = type.dtype;
    graph_.value(id).shape = std::move(type.shape);
    graph_.inputs.push_back(id);
  }
  return Status::ok();
}

// The file's name where it has one that is free, else one made up from operator and position.
std::string GraphReader::node_name(const onnx::NodeProto& proto, int index) {
  const bool made_up = proto.name().empty();
  std::string name = made_up ? proto.op_type() + "_" + std::to_string(index) : proto.name();
  const bool free = made_up ? taken_names_.count(name) == 0 : used_names_.count(name) == 0;
  if (!free) {
    int64_t& suffix = next_suffix_[name];
    std::string candidate;
    do candidate = name + "_" + std::to_string(++suffix);
    while (taken_names_.count(candidate) != 0 || used_names_.count(candidate) != 0);
    name = candidate;
  }
  taken_names_.insert(name);
  used_names_.insert(name);
  return name;
}

Status GraphReader::read_nodes() {
  onnx::GraphProto& graph = *model_.mutable_graph();
  for (const onnx::NodeProto& proto : graph.node())
    if (!proto.name().empty()) taken_names_.insert(proto.name());
  for (int i = 0; i < graph.node_size(); ++i) {
    onnx::NodeProto& proto = *graph.mutable_node(i);
    node_names_.push_back(node_name(proto, i));
    if (proto.op_type().empty()) return data_corrupt("node " + in_quotes(node_names_.back()) + " names no operator");
    Node node;
    node.name = node_names_.back();
    node.op_type = proto.op_type();
    const std::string place = describe(node);
    if (is_onnx_domain(proto.domain()) && proto.op_type() == "Constant") {
      OCTET_RETURN_IF_ERROR(read_constant(proto, place));
      continue;
    }
    if (!is_onnx_domain(proto.domain()) && !is_contrib_quantization(proto)) node.domain = proto.domain();
    node.doc = proto.doc_string();
    node.metadata = read_metadata_props(proto);
    OCTET_RETURN_IF_ERROR(read_attributes(proto, node.attributes).at(place));
    OCTET_RETURN_IF_ERROR(add_outputs(proto, node).at(place));
    pending_inputs_.emplace_back(graph_.nodes.size(), i);
    graph_.nodes.push_back(std::move(node));
  }
  return Status::ok();
}

Status GraphReader::read_constant(onnx::NodeProto& proto, const std::string& place) {
  if (proto.output_size() != 1 || proto.input_size() != 0)
    return data_corrupt("a constant has no input and one output").at(place);
  Attributes attributes;
  OCTET_RETURN_IF_ERROR(read_attributes(proto, attributes).at(place));
  OCTET_ASSIGN(Tensor tensor, constant_value(attributes).at(place));
  OCTET_ASSIGN(const ValueId id, new_value(proto.output(0), "its output").at(place));
  Value& value = graph_.value(id);
  value.dtype = tensor.dtype();
  value.shape = static_shape(tensor.dims());
  value.constant = std::move(tensor);
  return Status::ok();
}

Status GraphReader::read_attributes(onnx::NodeProto& proto, Attributes& attributes) {
  for (onnx::AttributeProto& attribute : *proto.mutable_attribute()) {
    if (attributes.count(attribute.name()) != 0)
      return data_corrupt("attribute " + in_quotes(attribute.name()) + " is given twice");
    OCTET_ASSIGN(Attribute value, decode_attribute(attribute, external_));
    attributes.emplace(attribute.name(), std::move(value));
  }
  return Status::ok();
}

Status GraphReader::add_outputs(const onnx::NodeProto& proto, Node& node) {
  for (const std::string& name : proto.output()) {
    if (name.empty()) {
      node.outputs.push_back(kNoValue);
      continue;
    }
    OCTET_ASSIGN(const ValueId id, new_value(name, "its output"));
    node.outputs.push_back(id);
  }
  return Status::ok();
}

// After all nodes are known, since a file's nodes may stand in any order.
Status GraphReader::connect_inputs() {
  for (const auto& [index, file_index] : pending_inputs_) {
    Node& node = graph_.nodes[index];
    for (const std::string& name : model_.graph().node(file_index).input()) {
      const ValueId id = name.empty() ? kNoValue : graph_.find_value(name);
      if (!name.empty() && id == kNoValue)
        return data_corrupt("it reads " + in_quotes(name) + ", which no node, input or initializer provides")
            .at(describe(node));
      node.inputs.push_back(id);
    }
  }
  return Status::ok();
}

Status GraphReader::read_outputs() {
  for (const onnx::ValueInfoProto& proto : model_.graph().output()) {
    const ValueId id = graph_.find_value(proto.name());
    if (id == kNoValue)
      return data_corrupt("the graph output " + in_quotes(proto.name()) + " is not produced by any node");
    graph_.outputs.push_back(id);
    OCTET_RETURN_IF_ERROR(read_declared_type(proto));
  }
  if (graph_.outputs.empty()) return data_corrupt("the graph has no outputs");
  return Status::ok();
}

// For values inside the graph and outputs: shape inference uses it only where it cannot know better.
Status GraphReader::read_declared_type(const onnx::ValueInfoProto& proto) {
  OCTET_ASSIGN(ValueType type, decode_value_type(proto));
  const ValueId id = graph_.find_value(proto.name());
  if (id == kNoValue || graph_.is_constant(id) || input_names_.count(proto.name()) != 0) return Status::ok();
  graph_.value(id).dtype = type.dtype;
  graph_.value(id).shape = std::move(type.shape);
  return Status::ok();
}

}  // namespace octet
