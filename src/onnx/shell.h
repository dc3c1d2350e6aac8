// What an ONNX file says besides the graph: kept as a ModelProto whose nodes and initializers hold only the fields
// that Octet does not interpret, found again by name when the model is written.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "octet/graph.h"
#include "onnx/schema.h"

namespace octet {

// Turns `model` into its shell. node_names[i] is the name that node i of the file has in the Graph. Tensor data must
// have been read already. Inputs that are initializers (IR versions before 4) are dropped from the inputs.
void strip_to_shell(onnx::ModelProto& model, const std::vector<std::string>& node_names);

// NodeProto.metadata_props (field 9, newer than Debian's schema) of a node.
std::map<std::string, std::string> read_metadata_props(const onnx::NodeProto& node);
// Makes `node` carry exactly `metadata`: known keys keep their place, new ones follow sorted.
void write_metadata_props(const std::map<std::string, std::string>& metadata, onnx::NodeProto& node);

// The leftovers of a shell by name. Takes them out of the model's graph.
class ShellIndex {
 public:
  explicit ShellIndex(onnx::GraphProto& graph);

  // Leftover fields for a node, initializer, ...; a fresh message with the name when the file said nothing.
  onnx::NodeProto node(const std::string& name) const { return get(nodes_, name); }
  onnx::TensorProto initializer(const std::string& name) const { return get(initializers_, name); }
  onnx::ValueInfoProto input(const std::string& name) const { return get(inputs_, name); }
  onnx::ValueInfoProto output(const std::string& name) const { return get(outputs_, name); }
  // In the order of the file.
  const std::vector<onnx::ValueInfoProto>& value_infos() const { return value_infos_; }

 private:
  template <class Proto>
  static Proto get(const std::map<std::string, Proto>& protos, const std::string& name) {
    auto it = protos.find(name);
    if (it != protos.end()) return it->second;
    Proto proto;
    if (!name.empty()) proto.set_name(name);
    return proto;
  }

  std::map<std::string, onnx::NodeProto> nodes_;
  std::map<std::string, onnx::TensorProto> initializers_;
  std::map<std::string, onnx::ValueInfoProto> inputs_;
  std::map<std::string, onnx::ValueInfoProto> outputs_;
  std::vector<onnx::ValueInfoProto> value_infos_;
};

}  // namespace octet
