#include "repair/channel_path.h"

#include <algorithm>
#include <limits>

#include "passes/constant_values.h"
#include "repair/weight_view.h"

namespace octet::repair {
namespace {

std::optional<double> bound(const Graph& graph, const Node& node, size_t input, double absent) {
  if (!node.has_input(input)) return absent;
  const Tensor* t = constant_input(graph, node, input);
  if (t == nullptr || t->numel() != 1) return std::nullopt;
  const auto values = to_doubles(*t);
  if (!values) return std::nullopt;
  return values->front();
}

// A tensor [N, C, 1, ...] becomes [N, C].
bool flattens_channels(const Graph& graph, const Node& node) {
  if (!node.is("Flatten") && !node.is("Reshape") && !node.is("Squeeze")) return false;
  const auto &before = graph.value(node.inputs[0]).shape, &after = graph.value(node.outputs[0]).shape;
  if (!before || !after || before->size() < 3 || after->size() != 2 || (*before)[1] != (*after)[1]) return false;
  if (!(*after)[1].is_static()) return false;
  for (size_t d = 2; d < before->size(); ++d)
    if ((*before)[d] != Dim::of(1)) return false;
  return true;
}

bool pads_with_zero(const Graph& graph, const Node& node) {
  if (!node.is("Pad") || node.has_input(3)) return false;
  if (node.attr_string("mode", "constant") != "constant") return true;
  if (!node.has_input(2)) return true;
  const Tensor* t = constant_input(graph, node, 2);
  const auto values = t == nullptr ? std::nullopt : to_doubles(*t);
  if (!values || values->size() != 1 || values->front() != 0.0) return false;
  // Channels that the padding adds would need weights of their own.
  const auto &before = graph.value(node.inputs[0]).shape, &after = graph.value(node.outputs[0]).shape;
  return before && after && before->size() > 1 && after->size() == before->size() && (*before)[1] == (*after)[1];
}

bool is_homogeneous(const Graph& graph, const Node& node) {
  if (node.is("Relu") || node.is("Identity") || node.is("GlobalAveragePool") || node.is("GlobalMaxPool")) return true;
  if (node.is("LeakyRelu") || node.is("AveragePool")) return true;
  if (node.is("PRelu")) return graph.is_constant(node.inputs[1]);
  if (node.is("MaxPool")) return node.outputs.size() < 2 || node.outputs[1] == kNoValue;
  return pads_with_zero(graph, node) || flattens_channels(graph, node);
}

// Nodes that read the value, each as input 0; empty when one reads it elsewhere.
std::vector<size_t> readers_of(const GraphIndex& index, ValueId value) {
  std::vector<size_t> readers;
  for (const GraphIndex::Use& use : index.uses(value)) {
    if (use.input != 0) return {};
    readers.push_back(use.node);
  }
  return readers;
}

}  // namespace

std::optional<double> clip_from_zero(const Graph& graph, const Node& node) {
  if (!node.is("Clip")) return std::nullopt;
  const auto lo = bound(graph, node, 1, -std::numeric_limits<double>::infinity());
  const auto hi = bound(graph, node, 2, std::numeric_limits<double>::infinity());
  if (!lo || !hi || *lo != 0.0 || !(*hi > 0)) return std::nullopt;
  return hi;
}

std::variant<ChannelPath, std::string> channel_path(const Graph& graph, const GraphIndex& index, size_t first) {
  ChannelPath path;
  path.first = first;
  const auto view = WeightView::of(graph, first);
  if (!view) return std::string("its weight is not a constant matrix or kernel");
  ValueId value = graph.nodes[first].outputs[0];
  for (;;) {
    if (graph.is_output(value)) return std::string("its result is an output of the network");
    const std::vector<size_t> readers = readers_of(index, value);
    if (readers.empty()) return std::string("its result is read in another place than as a layer's input");
    const auto other = std::find_if(readers.begin(), readers.end(), [&](size_t r) {
      const auto reader = WeightView::of(graph, r);
      return !reader || reader->in_channels() != view->out_channels();
    });
    if (other == readers.end()) {
      path.readers = readers;
      path.relu_only = path.through.size() == 1 && graph.nodes[path.through[0]].is("Relu");
      return path;
    }
    const Node& node = graph.nodes[*other];
    if (readers.size() > 1)
      return "several nodes read its result, among them '" + node.name + "' (" + node.op_type + ")";
    const bool clip = clip_from_zero(graph, node).has_value();
    if (!clip && !is_homogeneous(graph, node))
      return "'" + node.name + "' (" + node.op_type + ") behind it does not keep factors of channels";
    if (clip) path.clips.push_back(*other);
    path.has_relu = path.has_relu || clip || node.is("Relu");
    path.through.push_back(*other);
    value = node.outputs[0];
  }
}

}  // namespace octet::repair
