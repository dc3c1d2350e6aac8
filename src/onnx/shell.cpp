#include "onnx/shell.h"

#include <google/protobuf/unknown_field_set.h>

#include <unordered_set>

namespace octet {
namespace {

using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

constexpr int kNodeMetadataProps = 9;  // NodeProto.metadata_props, ONNX 1.16

bool is_metadata(const UnknownField& field) {
  return field.number() == kNodeMetadataProps && field.type() == UnknownField::TYPE_LENGTH_DELIMITED;
}

// Message without the fields that are in the Graph; false when nothing is left but the name.
bool leftover(const onnx::AttributeProto& from, onnx::AttributeProto& to) {
  if (!from.has_doc_string() && from.unknown_fields().empty()) return false;
  to.set_name(from.name());
  if (from.has_doc_string()) to.set_doc_string(from.doc_string());
  to.mutable_unknown_fields()->MergeFrom(from.unknown_fields());
  return true;
}

bool leftover(const onnx::NodeProto& from, const std::string& name, onnx::NodeProto& to) {
  for (const auto& attribute : from.attribute()) {
    onnx::AttributeProto kept;
    if (leftover(attribute, kept)) *to.add_attribute() = std::move(kept);
  }
  if (from.unknown_fields().empty() && to.attribute_size() == 0) return false;
  to.set_name(name);
  to.mutable_unknown_fields()->MergeFrom(from.unknown_fields());
  return true;
}

bool leftover(const onnx::TensorProto& from, onnx::TensorProto& to) {
  if (!from.has_doc_string() && from.unknown_fields().empty()) return false;
  to.set_name(from.name());
  if (from.has_doc_string()) to.set_doc_string(from.doc_string());
  to.mutable_unknown_fields()->MergeFrom(from.unknown_fields());
  return true;
}

template <class Proto>
std::map<std::string, Proto> by_name(google::protobuf::RepeatedPtrField<Proto>& protos) {
  std::map<std::string, Proto> map;
  for (Proto& proto : protos) map.emplace(proto.name(), std::move(proto));
  protos.Clear();
  return map;
}

}  // namespace

void strip_to_shell(onnx::ModelProto& model, const std::vector<std::string>& node_names) {
  onnx::GraphProto& graph = *model.mutable_graph();
  std::unordered_set<std::string> initialized;
  google::protobuf::RepeatedPtrField<onnx::TensorProto> initializers;
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    initialized.insert(tensor.name());
    onnx::TensorProto kept;
    if (leftover(tensor, kept)) *initializers.Add() = std::move(kept);
  }
  google::protobuf::RepeatedPtrField<onnx::NodeProto> nodes;
  for (int i = 0; i < graph.node_size(); ++i) {
    onnx::NodeProto kept;
    if (leftover(graph.node(i), node_names[static_cast<size_t>(i)], kept)) *nodes.Add() = std::move(kept);
  }
  google::protobuf::RepeatedPtrField<onnx::ValueInfoProto> inputs;
  for (onnx::ValueInfoProto& input : *graph.mutable_input())
    if (initialized.count(input.name()) == 0) *inputs.Add() = std::move(input);
  graph.mutable_initializer()->Swap(&initializers);
  graph.mutable_node()->Swap(&nodes);
  graph.mutable_input()->Swap(&inputs);
}

std::map<std::string, std::string> read_metadata_props(const onnx::NodeProto& node) {
  std::map<std::string, std::string> metadata;
  const UnknownFieldSet& fields = node.unknown_fields();
  for (int i = 0; i < fields.field_count(); ++i) {
    onnx::StringStringEntryProto entry;
    if (is_metadata(fields.field(i)) && entry.ParseFromString(fields.field(i).length_delimited()))
      metadata.emplace(entry.key(), entry.value());
  }
  return metadata;
}

void write_metadata_props(const std::map<std::string, std::string>& metadata, onnx::NodeProto& node) {
  if (metadata.empty() && node.unknown_fields().empty()) return;
  std::map<std::string, std::string> waiting = metadata;
  UnknownFieldSet result;
  const UnknownFieldSet& fields = node.unknown_fields();
  for (int i = 0; i < fields.field_count(); ++i) {
    const UnknownField& field = fields.field(i);
    onnx::StringStringEntryProto entry;
    if (!is_metadata(field) || !entry.ParseFromString(field.length_delimited())) {
      result.AddField(field);
      continue;
    }
    auto it = waiting.find(entry.key());
    if (it == waiting.end()) continue;
    if (entry.value() != it->second) entry.set_value(it->second);
    result.AddLengthDelimited(kNodeMetadataProps, entry.SerializeAsString());
    waiting.erase(it);
  }
  for (const auto& [key, value] : waiting) {
    onnx::StringStringEntryProto entry;
    entry.set_key(key);
    entry.set_value(value);
    result.AddLengthDelimited(kNodeMetadataProps, entry.SerializeAsString());
  }
  node.mutable_unknown_fields()->Swap(&result);
}

ShellIndex::ShellIndex(onnx::GraphProto& graph)
    : nodes_(by_name(*graph.mutable_node())),
      initializers_(by_name(*graph.mutable_initializer())),
      inputs_(by_name(*graph.mutable_input())),
      outputs_(by_name(*graph.mutable_output())) {
  for (onnx::ValueInfoProto& info : *graph.mutable_value_info()) value_infos_.push_back(std::move(info));
  graph.clear_value_info();
}

}  // namespace octet
