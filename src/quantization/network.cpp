#include "quantization/network.h"

#include <algorithm>
#include <deque>
#include <map>

#include "passes/fusion_patterns.h"

namespace octet {

const Node* Network::maker(ValueId id) const {
  const int64_t producer = id == kNoValue ? -1 : index.producer(id);
  return producer < 0 ? nullptr : &graph.nodes[static_cast<size_t>(producer)];
}

bool Network::is_dynamic_float(ValueId id) const {
  return id != kNoValue && !graph.is_constant(id) && value(id).dtype == DType::kFloat32;
}

bool Network::is_float_constant(ValueId id) const {
  return graph.is_constant(id) && value(id).constant->dtype() == DType::kFloat32;
}

bool is_weighted(const Node& node) { return is_weighted_op(node); }

int weight_input(const Network& net, size_t node) {
  const Node& n = net.node(node);
  if (!is_weighted(n)) return -1;
  if (n.has_input(1) && net.is_float_constant(n.inputs[1])) return 1;
  const bool matrix = n.is("Gemm") || n.is("MatMul");
  return matrix && n.has_input(0) && net.is_float_constant(n.inputs[0]) ? 0 : -1;
}

int weight_channel_axis(const Node& node, int input, int rank) {
  if (node.is("Conv")) return input == 1 && rank >= 3 ? 0 : -1;
  if (node.is("ConvTranspose")) return input == 1 && rank >= 3 && node.attr_int("group", 1) == 1 ? 1 : -1;
  if (node.is("Gemm") && rank == 2) {
    if (input == 0) return node.attr_int("transA", 0) != 0 ? 1 : 0;
    return node.attr_int("transB", 0) != 0 ? 0 : 1;
  }
  if (node.is("MatMul") && rank >= 2) return input == 0 ? rank - 2 : rank - 1;
  return -1;
}

int weight_group_axis(const Node& node, int input, int rank) {
  if (node.is("Conv")) return input == 1 && rank >= 3 ? 1 : -1;
  if (node.is("ConvTranspose")) return input == 1 && rank >= 3 ? 0 : -1;
  if ((node.is("Gemm") && rank == 2) || (node.is("MatMul") && rank >= 2)) {
    const int channel = weight_channel_axis(node, input, rank);
    return channel == rank - 1 ? rank - 2 : rank - 1;
  }
  return -1;
}

std::optional<ChannelCounts> conv_channels(const Network& net, size_t node) {
  const Node& n = net.node(node);
  if (!n.is("Conv") && !n.is("ConvTranspose")) return std::nullopt;
  if (!n.has_input(1) || !net.graph.is_constant(n.inputs[1])) return std::nullopt;
  const Tensor& w = *net.value(n.inputs[1]).constant;
  if (w.rank() < 3) return std::nullopt;
  const int64_t group = std::max<int64_t>(1, n.attr_int("group", 1));
  if (n.is("Conv")) return ChannelCounts{w.dim(1) * group, w.dim(0)};
  return ChannelCounts{w.dim(0), w.dim(1) * group};
}

bool is_depthwise(const Network& net, size_t node) {
  const auto channels = conv_channels(net, node);
  const int64_t group = net.node(node).attr_int("group", 1);
  return channels && group > 1 && group == channels->in;
}

int64_t fan_in(const Network& net, size_t node) {
  const int input = weight_input(net, node);
  if (input < 0) return 0;
  const Node& n = net.node(node);
  const Tensor& w = *net.value(n.inputs[static_cast<size_t>(input)]).constant;
  if (n.is("Gemm") || n.is("MatMul")) {
    const int axis = weight_group_axis(n, input, w.rank());
    return axis < 0 ? w.numel() : w.dim(axis);
  }
  const auto channels = conv_channels(net, node);
  if (!channels || channels->out == 0 || channels->in == 0) return 0;
  if (n.is("Conv")) return w.numel() / channels->out;
  return w.numel() / std::max<int64_t>(1, w.dim(1)) / std::max<int64_t>(1, n.attr_int("group", 1));
}

bool is_gemv(const Network& net, size_t node) {
  const Node& n = net.node(node);
  if (!(n.is("Gemm") || n.is("MatMul")) || weight_input(net, node) != 1) return false;
  const auto& shape = net.value(n.inputs[0]).shape;
  if (!shape || shape->empty()) return false;
  const bool transposed = n.is("Gemm") && n.attr_int("transA", 0) != 0;
  const size_t kept = transposed ? 0 : shape->size() - 1;  // the summed axis; all others are rows
  for (size_t i = 0; i < shape->size(); ++i) {
    const size_t summed = transposed ? 0 : kept;
    if (i != summed && (*shape)[i] != Dim::of(1)) return false;
  }
  return true;
}

namespace {

// Fewest weighted ops between `start` and each value before it, over at most kMost values.
std::map<ValueId, int> weighted_distances(const Network& net, ValueId start) {
  constexpr size_t kMost = 512;
  std::map<ValueId, int> distance{{start, 0}};
  std::deque<ValueId> queue{start};
  while (!queue.empty() && distance.size() < kMost) {
    const ValueId v = queue.front();
    queue.pop_front();
    const Node* maker = net.maker(v);
    if (maker == nullptr) continue;
    const int cost = is_weighted(*maker) ? 1 : 0;
    for (ValueId in : maker->inputs) {
      if (in == kNoValue || net.graph.is_constant(in)) continue;
      const int through = distance[v] + cost;
      const auto it = distance.find(in);
      if (it != distance.end() && it->second <= through) continue;
      distance[in] = through;
      if (cost == 0) queue.push_front(in);
      else queue.push_back(in);
    }
  }
  return distance;
}

}  // namespace

std::optional<AddBranches> add_branches(const Network& net, size_t node) {
  const Node& n = net.node(node);
  if (!n.is("Add") || n.inputs.size() != 2) return std::nullopt;
  const ValueId a = n.inputs[0], b = n.inputs[1];
  if (!net.is_dynamic_float(a) || !net.is_dynamic_float(b)) return std::nullopt;
  const auto left = weighted_distances(net, a);
  const auto right = weighted_distances(net, b);
  AddBranches out;
  out.skip = net.index.producer(a) <= net.index.producer(b) ? 0 : 1;
  int nearest = -1;
  for (const auto& [value, l] : left) {
    const auto it = right.find(value);
    if (it == right.end()) continue;
    const int r = it->second;
    if (nearest >= 0 && l + r >= nearest) continue;
    nearest = l + r;
    out.residual = true;
    if (l != r) out.skip = l < r ? 0 : 1;
    else out.skip = net.index.producer(a) <= net.index.producer(b) ? 0 : 1;
  }
  return out;
}

std::vector<bool> reaches_output_unweighted(const Network& net) {
  const Graph& graph = net.graph;
  std::vector<bool> reaches(graph.nodes.size(), false);
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    for (ValueId out : graph.nodes[i].outputs) {
      if (out == kNoValue) continue;
      if (graph.is_output(out)) reaches[i] = true;
      for (const GraphIndex::Use& use : net.index.uses(out))
        if (!is_weighted(graph.nodes[use.node]) && reaches[use.node]) reaches[i] = true;
    }
  }
  return reaches;
}

std::vector<size_t> detection_head(const Network& net) {
  const std::vector<bool> reaches = reaches_output_unweighted(net);
  std::vector<size_t> head;
  for (size_t i = 0; i < net.graph.nodes.size(); ++i) {
    const Node& n = net.node(i);
    if (!reaches[i] || !is_weighted(n)) continue;
    if (!n.is("Conv")) return {};
    head.push_back(i);
  }
  return head.size() >= 2 ? head : std::vector<size_t>{};
}

namespace {

bool only_moves(const Node& n) { return n.is("Reshape") || n.is("Transpose") || n.is("Flatten") || n.is("Squeeze"); }

// What reads `value` behind reshapes and transposes, when there is just one such op.
std::optional<size_t> reader_behind_moves(const Network& net, ValueId value) {
  for (int steps = 0; steps < 8; ++steps) {
    const auto& uses = net.index.uses(value);
    if (uses.size() != 1) return std::nullopt;
    const Node& n = net.node(uses[0].node);
    if (!only_moves(n)) return uses[0].node;
    value = n.outputs[0];
  }
  return std::nullopt;
}

bool scores_on_top(const Network& net, size_t conv) {
  const auto reader = reader_behind_moves(net, net.node(conv).outputs[0]);
  return reader && (net.node(*reader).is("Sigmoid") || net.node(*reader).is("Softmax"));
}

// Conv -> ... Softmax -> ... -> a 1-channel Conv of the head.
bool gives_distribution(const Network& net, size_t conv, const std::vector<size_t>& head) {
  const auto softmax = reader_behind_moves(net, net.node(conv).outputs[0]);
  if (!softmax || !net.node(*softmax).is("Softmax")) return false;
  const auto projection = reader_behind_moves(net, net.node(*softmax).outputs[0]);
  if (!projection || std::find(head.begin(), head.end(), *projection) == head.end()) return false;
  const auto channels = conv_channels(net, *projection);
  return channels && channels->out == 1;
}

}  // namespace

std::vector<size_t> box_regression(const Network& net) {
  const std::vector<size_t> head = detection_head(net);
  std::vector<size_t> boxes;
  if (head.empty()) return boxes;
  for (size_t i = 0; i < net.graph.nodes.size(); ++i) {
    if (!net.node(i).is("Conv")) continue;
    const bool in_head = std::find(head.begin(), head.end(), i) != head.end();
    const auto channels = conv_channels(net, i);
    if (in_head && channels && channels->out % 4 == 0 && !scores_on_top(net, i)) boxes.push_back(i);
    else if (!in_head && gives_distribution(net, i, head)) boxes.push_back(i);
  }
  return boxes.empty() ? head : boxes;
}

ValueId end_of_fusion(const Network& net, ValueId value, const std::vector<bool>& fused,
                      std::vector<size_t>* through) {
  for (;;) {
    const auto reader = single_reader(net.graph, net.index, value);
    if (!reader || !fused[*reader] || net.node(*reader).inputs[0] != value) return value;
    if (through != nullptr) through->push_back(*reader);
    value = net.node(*reader).outputs[0];
  }
}

}  // namespace octet
