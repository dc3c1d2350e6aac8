#include "onnx/model_writer.h"

#include <algorithm>
#include <set>

#include "onnx/attribute_codec.h"
#include "onnx/shell.h"
#include "onnx/tensor_codec.h"
#include "onnx/value_codec.h"

namespace octet {
namespace {

constexpr int64_t kSmallestExternal = 1024;   // below this a tensor is not worth an entry in another file
constexpr int64_t kExternalAlignment = 4096;  // a page, so that readers can map tensors straight from the file

bool is_quantization(const Node& node) { return node.is("QuantizeLinear") || node.is("DequantizeLinear"); }

bool is_16_bit(DType dtype) { return dtype == DType::kInt16 || dtype == DType::kUint16; }

// Opset that introduced this type for any operator at all.
int opset_of_type(DType dtype) {
  if (dtype == DType::kInt4 || dtype == DType::kUint4) return 21;
  if (dtype == DType::kFloat8E4M3 || dtype == DType::kFloat8E5M2) return 19;
  return kOldestWrittenOpset;
}

int opset_of_quantization(const Graph& graph, const Node& node) {
  if (node.attr_int("block_size", 0) != 0 || node.attr_int("output_dtype", 0) != 0) return 21;
  int opset = kOldestWrittenOpset;
  auto visit = [&](ValueId id) {
    if (id == kNoValue) return;
    const DType dtype = graph.value(id).dtype;
    if (is_16_bit(dtype)) opset = 21;
    if (dtype == DType::kFloat16 || dtype == DType::kBFloat16) opset = std::max(opset, 19);
  };
  for (ValueId id : node.inputs) visit(id);
  for (ValueId id : node.outputs) visit(id);
  return opset;
}

class ModelWriter {
 public:
  ModelWriter(const Graph& graph, ExternalPlan& plan, onnx::ModelProto& model)
      : graph_(graph), plan_(plan), model_(model), out_(*model.mutable_graph()), shell_(out_) {}

  void run() {
    write_versions();
    if (out_.name().empty() || !graph_.name.empty()) out_.set_name(graph_.name.empty() ? "graph" : graph_.name);
    for (const Node& node : graph_.nodes) write_node(node);
    write_initializers();
    for (ValueId id : graph_.inputs) {
      onnx::ValueInfoProto& proto = *out_.add_input();
      proto = shell_.input(graph_.value(id).name);
      encode_value_type(graph_.value(id), proto);
    }
    for (ValueId id : graph_.outputs) {
      onnx::ValueInfoProto& proto = *out_.add_output();
      proto = shell_.output(graph_.value(id).name);
      encode_value_type(graph_.value(id), proto);
    }
    write_value_infos();
    drop_stale_annotations();
  }

 private:
  std::string name_of(ValueId id) const { return id == kNoValue ? std::string() : graph_.value(id).name; }

  void write_versions() {
    if (model_.producer_name().empty()) model_.set_producer_name("octet");
    model_.set_ir_version(std::max<int64_t>(model_.ir_version(), ir_version_for_opset(graph_.opset)));
    std::map<std::string, int64_t> waiting = graph_.other_opsets;
    waiting[""] = graph_.opset;
    google::protobuf::RepeatedPtrField<onnx::OperatorSetIdProto> imports;
    for (onnx::OperatorSetIdProto& import : *model_.mutable_opset_import()) {
      auto it = waiting.find(import.domain() == "ai.onnx" ? "" : import.domain());
      if (it == waiting.end()) continue;
      import.set_version(it->second);
      waiting.erase(it);
      *imports.Add() = std::move(import);
    }
    for (const auto& [domain, version] : waiting) {
      onnx::OperatorSetIdProto& import = *imports.Add();
      import.set_domain(domain);
      import.set_version(version);
    }
    model_.mutable_opset_import()->Swap(&imports);
  }

  void write_node(const Node& node) {
    onnx::NodeProto& proto = *out_.add_node();
    proto = shell_.node(node.name);
    std::map<std::string, onnx::AttributeProto> leftovers;
    for (onnx::AttributeProto& attribute : *proto.mutable_attribute())
      leftovers.emplace(attribute.name(), std::move(attribute));
    proto.clear_attribute();
    for (ValueId id : node.inputs) proto.add_input(name_of(id));
    for (ValueId id : node.outputs) proto.add_output(name_of(id));
    proto.set_op_type(node.op_type);
    if (!node.domain.empty()) proto.set_domain(node.domain);
    if (!node.doc.empty()) proto.set_doc_string(node.doc);
    write_metadata_props(node.metadata, proto);
    for (const auto& [name, attribute] : node.attributes) {
      onnx::AttributeProto& out = *proto.add_attribute();
      auto it = leftovers.find(name);
      if (it != leftovers.end()) out = std::move(it->second);
      out.set_name(name);
      encode_attribute(attribute, out);
    }
  }

  // Every constant that something reads, in the order of the values.
  void write_initializers() {
    std::vector<bool> used(graph_.value_count(), false);
    auto mark = [&](ValueId id) {
      if (id != kNoValue) used[static_cast<size_t>(id)] = true;
    };
    for (const Node& node : graph_.nodes)
      for (ValueId id : node.inputs) mark(id);
    for (ValueId id : graph_.outputs) mark(id);
    for (size_t i = 0; i < used.size(); ++i) {
      const Value& value = graph_.value(static_cast<ValueId>(i));
      if (used[i] && value.constant) write_initializer(value);
    }
  }

  void write_initializer(const Value& value) {
    onnx::TensorProto& proto = *out_.add_initializer();
    proto = shell_.initializer(value.name);
    const Tensor& tensor = *value.constant;
    const int64_t bytes = packed_bytes(tensor.dtype(), tensor.numel());
    if (plan_.location.empty() || bytes < kSmallestExternal) {
      encode_tensor(tensor, proto);
      return;
    }
    const int64_t offset = (plan_.bytes + kExternalAlignment - 1) / kExternalAlignment * kExternalAlignment;
    proto.set_data_type(static_cast<int32_t>(dtype_to_onnx(tensor.dtype())));
    for (int64_t d : tensor.dims()) proto.add_dims(d);
    proto.set_data_location(onnx::TensorProto::EXTERNAL);
    auto add_entry = [&](const char* key, const std::string& text) {
      onnx::StringStringEntryProto& entry = *proto.add_external_data();
      entry.set_key(key);
      entry.set_value(text);
    };
    add_entry("location", plan_.location);
    add_entry("offset", std::to_string(offset));
    add_entry("length", std::to_string(bytes));
    plan_.tensors.push_back({&tensor, offset});
    plan_.bytes = offset + bytes;
  }

  // What the file said about values inside the graph, as far as they still exist.
  void write_value_infos() {
    for (const onnx::ValueInfoProto& info : shell_.value_infos()) {
      const ValueId id = graph_.find_value(info.name());
      if (id == kNoValue || graph_.is_constant(id) || !is_produced(id)) continue;
      onnx::ValueInfoProto& proto = *out_.add_value_info();
      proto = info;
      encode_value_type(graph_.value(id), proto);
    }
  }

  bool is_produced(ValueId id) {
    if (produced_.empty()) {
      produced_.resize(graph_.value_count(), false);
      for (const Node& node : graph_.nodes)
        for (ValueId out : node.outputs)
          if (out != kNoValue) produced_[static_cast<size_t>(out)] = true;
    }
    return produced_[static_cast<size_t>(id)];
  }

  void drop_stale_annotations() {
    google::protobuf::RepeatedPtrField<onnx::TensorAnnotation> kept;
    for (onnx::TensorAnnotation& annotation : *out_.mutable_quantization_annotation())
      if (graph_.find_value(annotation.tensor_name()) != kNoValue) *kept.Add() = std::move(annotation);
    out_.mutable_quantization_annotation()->Swap(&kept);
  }

  const Graph& graph_;
  ExternalPlan& plan_;
  onnx::ModelProto& model_;
  onnx::GraphProto& out_;
  ShellIndex shell_;
  std::vector<bool> produced_;
};

}  // namespace

int required_opset(const Graph& graph) {
  int opset = kOldestWrittenOpset;
  for (size_t i = 0; i < graph.value_count(); ++i)
    opset = std::max(opset, opset_of_type(graph.value(static_cast<ValueId>(i)).dtype));
  for (const Node& node : graph.nodes)
    if (is_quantization(node)) opset = std::max(opset, opset_of_quantization(graph, node));
  return opset;
}

int64_t constant_bytes(const Graph& graph) {
  int64_t bytes = 0;
  for (size_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.value(static_cast<ValueId>(i));
    if (value.constant) bytes += packed_bytes(value.constant->dtype(), value.constant->numel());
  }
  return bytes;
}

Result<std::unique_ptr<onnx::ModelProto>> build_model(const Graph& graph, ExternalPlan& plan) {
  auto model = std::make_unique<onnx::ModelProto>();
  if (graph.onnx_shell && !model->ParseFromString(*graph.onnx_shell))
    return internal_error("what is left of the original ONNX file cannot be decoded");
  plan.tensors.clear();
  plan.bytes = 0;
  ModelWriter(graph, plan, *model).run();
  return model;
}

}  // namespace octet
