#include <algorithm>
#include <cmath>
#include <optional>

#include "octet/zoo.h"
#include "passes/constant_values.h"
#include "passes/graph_editor.h"

namespace octet {
namespace {

// y = conv(x) * scale + shift per channel; without a convolution y = x * scale + shift.
struct Branch {
  ValueId source = kNoValue;
  std::optional<size_t> conv;
  std::vector<double> scale, shift;  // empty: 1 and 0
  std::vector<size_t> nodes;         // to be removed
};

// Where a kernel lies: one entry for height, one for width.
struct Window {
  int64_t kernel[2] = {1, 1};
  int64_t pad[2] = {0, 0};  // before the first row and column
};

// The convolution that computes the sum.
struct Fused {
  Window window;
  int64_t groups = 1, channels = 0, in_channels = 0;  // in_channels: per group
  std::vector<double> weight, bias;
};

int64_t value_channels(const Graph& graph, ValueId id) {
  const auto& shape = graph.value(id).shape;
  return shape && shape->size() == 4 && (*shape)[1].is_static() ? (*shape)[1].coefficient : -1;
}

bool same_shape(const Graph& graph, ValueId a, ValueId b) {
  return graph.value(a).shape && graph.value(b).shape && *graph.value(a).shape == *graph.value(b).shape;
}

// A 2-D convolution with constant weights and plain padding.
bool is_fusable_conv(const Graph& graph, const Node& node) {
  const Tensor* w = constant_input(graph, node, 1);
  if (!node.is("Conv") || w == nullptr || w->rank() != 4 || w->dtype() != DType::kFloat32) return false;
  if (node.has_input(2) && constant_input(graph, node, 2) == nullptr) return false;
  return node.attr_string("auto_pad", "NOTSET") == "NOTSET" && node.attr_ints("pads", {0, 0, 0, 0}).size() == 4 &&
         node.attr_ints("dilations", {1, 1}) == std::vector<int64_t>{1, 1};
}

Window window_of(const Graph& graph, const Node& conv) {
  const Tensor& w = *constant_input(graph, conv, 1);
  const std::vector<int64_t> pads = conv.attr_ints("pads", {0, 0, 0, 0});
  return {{w.dim(2), w.dim(3)}, {pads[0], pads[1]}};
}

class BranchFuser {
 public:
  explicit BranchFuser(Graph& graph) : editor_(graph) {}

  Result<int> run() {
    int fused = 0;
    for (size_t i = 0; i < editor_.node_count(); ++i)
      if (is_root(i) && fuse(i)) ++fused;
    OCTET_RETURN_IF_ERROR(editor_.finish());
    return fused;
  }

 private:
  const Graph& graph() const { return editor_.graph(); }

  // Of equal shapes, so that nothing is broadcast.
  bool is_sum(size_t i) const {
    const Node& node = editor_.node(i);
    return !editor_.removed(i) && node.is("Add") && node.has_input(0) && node.has_input(1) &&
           same_shape(graph(), node.inputs[0], node.outputs[0]) &&
           same_shape(graph(), node.inputs[1], node.outputs[0]);
  }
  // The last addition of a sum.
  bool is_root(size_t i) const {
    if (!is_sum(i)) return false;
    const ValueId y = editor_.node(i).outputs[0];
    if (editor_.use_count(y) != 1 || editor_.is_output(y)) return true;
    for (size_t k = i + 1; k < editor_.node_count(); ++k)
      for (ValueId in : editor_.node(k).inputs)
        if (in == y) return !is_sum(k);
    return true;
  }

  // The terms of the sum; inner additions go to `inner`.
  std::vector<ValueId> terms_of(size_t root, std::vector<size_t>* inner) const {
    std::vector<ValueId> waiting = {editor_.node(root).inputs[0], editor_.node(root).inputs[1]}, terms;
    while (!waiting.empty()) {
      const ValueId id = waiting.back();
      waiting.pop_back();
      const std::optional<size_t> producer = editor_.private_producer(id);
      if (producer && is_sum(*producer)) {
        inner->push_back(*producer);
        waiting.push_back(editor_.node(*producer).inputs[0]);
        waiting.push_back(editor_.node(*producer).inputs[1]);
      } else {
        terms.push_back(id);
      }
    }
    return terms;
  }

  bool take_batch_norm(const Node& norm, Branch* branch) const {
    if (norm.inputs.size() != 5 || norm.outputs.size() != 1 || norm.attr_int("training_mode", 0) != 0) return false;
    std::vector<double> parameters[4];
    for (size_t i = 0; i < 4; ++i) {
      const Tensor* tensor = constant_input(graph(), norm, i + 1);
      const auto values = tensor == nullptr ? std::nullopt : to_doubles(*tensor);
      if (!values || values->size() != static_cast<size_t>(value_channels(graph(), norm.outputs[0]))) return false;
      parameters[i] = *values;
    }
    const double epsilon = norm.attr_float("epsilon", 1e-5F);
    for (size_t c = 0; c < parameters[0].size(); ++c) {
      const double spread = parameters[3][c] + epsilon;
      if (!(spread > 0)) return false;
      branch->scale.push_back(parameters[0][c] / std::sqrt(spread));
      branch->shift.push_back(parameters[1][c] - parameters[2][c] * branch->scale.back());
    }
    return true;
  }

  // What leads from `term` back to the tensor that all branches read: [Conv] [BatchNormalization], both optional.
  Branch branch_of(ValueId term) const {
    Branch branch;
    branch.source = term;
    std::optional<size_t> producer = editor_.private_producer(term);
    if (producer && editor_.node(*producer).is("BatchNormalization") &&
        take_batch_norm(editor_.node(*producer), &branch)) {
      branch.nodes.push_back(*producer);
      branch.source = editor_.node(*producer).inputs[0];
      producer = editor_.private_producer(branch.source);
    }
    if (producer && is_fusable_conv(graph(), editor_.node(*producer))) {
      branch.conv = producer;
      branch.source = editor_.node(*producer).inputs[0];
    }
    return branch;
  }

  // The largest convolution, if all branches can be expressed in its window.
  std::optional<size_t> common_conv(const std::vector<Branch>& branches) const {
    std::optional<size_t> largest;
    bool all_conv = true;
    for (const Branch& b : branches) {
      if (b.source != branches[0].source) return std::nullopt;
      all_conv = all_conv && b.conv;
      if (b.conv && (!largest || constant_input(graph(), editor_.node(*b.conv), 1)->numel() >
                                     constant_input(graph(), editor_.node(*largest), 1)->numel()))
        largest = b.conv;
    }
    if (!largest) return std::nullopt;
    const Node& main = editor_.node(*largest);
    const Window outer = window_of(graph(), main);
    const std::vector<int64_t> strides = main.attr_ints("strides", {1, 1});
    if (!all_conv && strides != std::vector<int64_t>{1, 1}) return std::nullopt;
    for (const Branch& b : branches) {
      Window w;
      if (b.conv) {
        const Node& conv = editor_.node(*b.conv);
        w = window_of(graph(), conv);
        if (conv.attr_ints("strides", {1, 1}) != strides || conv.attr_int("group", 1) != main.attr_int("group", 1))
          return std::nullopt;
      }
      for (int axis : {0, 1}) {
        const int64_t before = outer.pad[axis] - w.pad[axis];
        if (before < 0 || before + w.kernel[axis] > outer.kernel[axis]) return std::nullopt;
      }
    }
    return largest;
  }

  // Adds weight and bias of a branch.
  bool accumulate(const Branch& branch, Fused* sum) const {
    const auto scale = [&](int64_t c) { return branch.scale.empty() ? 1.0 : branch.scale[static_cast<size_t>(c)]; };
    std::vector<double> weight, bias;
    Window w;
    if (branch.conv) {
      const Node& conv = editor_.node(*branch.conv);
      w = window_of(graph(), conv);
      weight = *to_doubles(*constant_input(graph(), conv, 1));
      if (conv.has_input(2)) {
        const auto values = to_doubles(*constant_input(graph(), conv, 2));
        if (!values || values->size() != static_cast<size_t>(sum->channels)) return false;
        bias = *values;
      }
    } else {  // the identity
      weight.assign(static_cast<size_t>(sum->channels * sum->in_channels), 0.0);
      for (int64_t c = 0; c < sum->channels; ++c)
        weight[static_cast<size_t>(c * sum->in_channels + c % sum->in_channels)] = 1.0;
    }
    const int64_t top = sum->window.pad[0] - w.pad[0], left = sum->window.pad[1] - w.pad[1];
    size_t from = 0;
    for (int64_t c = 0; c < sum->channels; ++c) {
      for (int64_t i = 0; i < sum->in_channels; ++i)
        for (int64_t y = 0; y < w.kernel[0]; ++y)
          for (int64_t x = 0; x < w.kernel[1]; ++x) {
            const int64_t row = (c * sum->in_channels + i) * sum->window.kernel[0] + top + y;
            sum->weight[static_cast<size_t>(row * sum->window.kernel[1] + left + x)] += weight[from++] * scale(c);
          }
      const auto k = static_cast<size_t>(c);
      sum->bias[k] += (bias.empty() ? 0.0 : bias[k] * scale(c)) + (branch.shift.empty() ? 0.0 : branch.shift[k]);
    }
    return true;
  }

  std::optional<Fused> sum_of(const std::vector<Branch>& branches, size_t main) const {
    const Tensor& w = *constant_input(graph(), editor_.node(main), 1);
    Fused sum;
    sum.window = window_of(graph(), editor_.node(main));
    sum.groups = editor_.node(main).attr_int("group", 1);
    sum.channels = w.dim(0);
    sum.in_channels = w.dim(1);
    sum.weight.assign(static_cast<size_t>(w.numel()), 0.0);
    sum.bias.assign(static_cast<size_t>(sum.channels), 0.0);
    const bool square = sum.channels == sum.in_channels * sum.groups;
    for (const Branch& b : branches)
      if ((!b.conv && !square) || !accumulate(b, &sum)) return std::nullopt;
    return sum;
  }

  bool fuse(size_t root) {
    std::vector<size_t> gone;
    std::vector<Branch> branches;
    for (ValueId term : terms_of(root, &gone)) branches.push_back(branch_of(term));
    const std::optional<size_t> main = common_conv(branches);
    if (!main) return false;
    const std::optional<Fused> sum = sum_of(branches, *main);
    if (!sum) return false;
    const Dims dims = constant_input(graph(), editor_.node(*main), 1)->dims();
    std::optional<Tensor> weight = from_doubles(DType::kFloat32, dims, sum->weight);
    std::optional<Tensor> bias = from_doubles(DType::kFloat32, {sum->channels}, sum->bias);
    if (!weight || !bias) return false;  // not finite
    const std::string name = editor_.node(*main).name;
    editor_.set_constant(*main, 1, std::move(*weight), name + ".weight");
    editor_.set_constant(*main, 2, std::move(*bias), name + ".bias");
    for (const Branch& b : branches) {
      gone.insert(gone.end(), b.nodes.begin(), b.nodes.end());
      if (b.conv && b.conv != main) gone.push_back(*b.conv);
    }
    for (size_t node : gone) editor_.remove(node);
    editor_.absorb(*main, root);
    return true;
  }

  GraphEditor editor_;
};

}  // namespace

Result<int> fuse_branches(Graph& graph) {
  OCTET_ASSIGN(const int fused, BranchFuser(graph).run());
  if (fused > 0) graph.compact();
  return fused;
}

}  // namespace octet
