#include "onnx/name_check.h"

#include <algorithm>

#include "onnx/shell.h"

namespace octet {
namespace {

bool is_clean(std::string_view text) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  return std::none_of(text.begin(), text.end(), is_control) && is_utf8(text);
}

Status check(const std::string& name, const char* what) {
  if (is_clean(name)) return Status::ok();
  return data_corrupt(std::string("the name of ") + what + ", " + in_quotes(name) +
                      ", has control characters or is not valid UTF-8");
}

Status check(const onnx::ValueInfoProto& info) {
  OCTET_RETURN_IF_ERROR(check(info.name(), "a value"));
  for (const auto& dim : info.type().tensor_type().shape().dim())
    OCTET_RETURN_IF_ERROR(check(dim.dim_param(), "a dimension"));
  return Status::ok();
}

Status check(const onnx::NodeProto& node) {
  OCTET_RETURN_IF_ERROR(check(node.name(), "a node"));
  OCTET_RETURN_IF_ERROR(check(node.op_type(), "an operator"));
  OCTET_RETURN_IF_ERROR(check(node.domain(), "a domain"));
  for (const std::string& name : node.input()) OCTET_RETURN_IF_ERROR(check(name, "a value"));
  for (const std::string& name : node.output()) OCTET_RETURN_IF_ERROR(check(name, "a value"));
  for (const auto& attribute : node.attribute()) OCTET_RETURN_IF_ERROR(check(attribute.name(), "an attribute"));
  for (const auto& [key, value] : read_metadata_props(node))
    if (!is_utf8(key) || !is_utf8(value))
      return data_corrupt("the metadata of node " + in_quotes(node.name()) + " is not valid UTF-8");
  return Status::ok();
}

}  // namespace

Status check_names(const onnx::ModelProto& model) {
  const onnx::GraphProto& graph = model.graph();
  OCTET_RETURN_IF_ERROR(check(graph.name(), "the graph"));
  for (const auto& import : model.opset_import()) OCTET_RETURN_IF_ERROR(check(import.domain(), "a domain"));
  for (const auto& tensor : graph.initializer()) OCTET_RETURN_IF_ERROR(check(tensor.name(), "an initializer"));
  for (const auto& node : graph.node()) OCTET_RETURN_IF_ERROR(check(node));
  for (const auto* infos : {&graph.input(), &graph.output(), &graph.value_info()})
    for (const auto& info : *infos) OCTET_RETURN_IF_ERROR(check(info));
  return Status::ok();
}

}  // namespace octet
