#include "training/loop/input_units.h"

#include <algorithm>
#include <cmath>
#include <string_view>

namespace octet::training {
namespace {

bool is_one_of(const Node& node, std::initializer_list<std::string_view> ops) {
  return node.domain.empty() && std::find(ops.begin(), ops.end(), node.op_type) != ops.end();
}

// What leaves the size of the numbers that it reads as it is.
bool keeps_size(const Node& node) {
  return is_one_of(
      node, {"Identity", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Pad", "Slice", "Split", "Relu",
             "MaxPool", "AveragePool", "GlobalAveragePool", "Resize", "SpaceToDepth", "DepthToSpace", "Concat"});
}

// The size of the numbers that a node reads, 1 when they are no input's. The parts of a Concat must all have the
// same.
double read_size(const Node& node, const std::map<ValueId, double>& sizes) {
  const auto size_of = [&](size_t i) {
    const auto found = node.has_input(i) ? sizes.find(node.inputs[i]) : sizes.end();
    return found == sizes.end() ? 1.0 : found->second;
  };
  const double size = size_of(0);
  for (size_t i = 1; node.is("Concat") && i < node.inputs.size(); ++i)
    if (size_of(i) != size) return 1;
  return size;
}

bool feeds_norm(const Graph& graph, const GraphIndex& index, const Node& node) {
  const auto& uses = index.uses(node.outputs[0]);
  return std::any_of(uses.begin(), uses.end(), [&](const GraphIndex::Use& use) {
    return use.input == 0 && graph.nodes[use.node].is("BatchNormalization");
  });
}

void add(const std::string& name, double unit, bool with_ranges_alone, std::map<std::string, double>* units) {
  if (!with_ranges_alone) (*units)[name] = unit;
  for (const char* range : {".scale", ".lo", ".hi"}) (*units)[name + range] = unit;
}

}  // namespace

double unit_of_input(double root_mean_square) {
  constexpr double kLargest = 0x1p100;  // its square is still a number
  if (!(root_mean_square >= 4 && root_mean_square <= kLargest)) return 1;
  return std::exp2(std::round(std::log2(root_mean_square)));
}

std::map<std::string, double> parameter_units(const Graph& graph, const std::vector<double>& input_units) {
  std::map<std::string, double> units;
  std::map<ValueId, double> sizes;  // of values that are an input's numbers in another order
  for (size_t i = 0; i < graph.inputs.size() && i < input_units.size(); ++i)
    if (input_units[i] != 1) sizes[graph.inputs[i]] = input_units[i];
  const GraphIndex index(graph);
  for (const Node& node : graph.nodes) {
    const double unit = read_size(node, sizes);
    if (unit == 1) continue;
    if (keeps_size(node)) {
      for (ValueId out : node.outputs)
        if (out != kNoValue) sizes[out] = unit;
    } else if (is_one_of(node, {"Conv", "ConvTranspose", "Gemm", "MatMul"}) && node.has_input(1) &&
               graph.is_constant(node.inputs[1]) && index.uses(node.inputs[1]).size() == 1) {
      add(graph.value(node.inputs[1]).name, unit, feeds_norm(graph, index, node), &units);
    }
  }
  for (const auto& [id, unit] : sizes) add(graph.value(id).name, 1 / unit, true, &units);
  return units;
}

}  // namespace octet::training
