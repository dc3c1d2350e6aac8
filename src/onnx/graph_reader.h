// GraphProto -> Graph.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "octet/graph.h"
#include "onnx/external_data.h"
#include "onnx/schema.h"

namespace octet {

// Reads one model. Consumes the model: tensor data is freed as it is read, what remains becomes the Graph's shell.
class GraphReader {
 public:
  GraphReader(onnx::ModelProto& model, ExternalReader& external) : model_(model), external_(external) {}

  // The graph at the file's own opset, sorted, not yet verified; Constant nodes have become constants.
  Result<Graph> read();

 private:
  Status read_versions();
  Status read_initializers();
  Status read_inputs();
  Status read_nodes();
  Status read_constant(onnx::NodeProto& proto, const std::string& place);
  Status read_attributes(onnx::NodeProto& proto, Attributes& attributes);
  Status add_outputs(const onnx::NodeProto& proto, Node& node);
  Status connect_inputs();
  Status read_outputs();
  Status read_declared_type(const onnx::ValueInfoProto& proto);
  Result<ValueId> new_value(const std::string& name, const std::string& what);
  std::string node_name(const onnx::NodeProto& proto, int index);

  onnx::ModelProto& model_;
  ExternalReader& external_;
  Graph graph_;
  std::vector<std::string> node_names_;                 // of every node of the file, by its place there
  std::vector<std::pair<size_t, int>> pending_inputs_;  // Graph node, file node: inputs not yet connected
  std::unordered_set<std::string> input_names_;         // of the file's graph inputs, initializers among them
  std::unordered_set<std::string> taken_names_;         // of nodes: those in the file and those given
  std::unordered_set<std::string> used_names_;          // of nodes: those given so far
  std::unordered_map<std::string, int64_t> next_suffix_;
};

}  // namespace octet
