// Small networks built in code, and the steps that most tests take.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <vector>

#include "graph/shape_inference.h"
#include "interp/interpreter.h"
#include "octet/quantization.h"

namespace octet::testing {

// Builds a graph op by op; values are called after their nodes ("conv1" makes "conv1_out").
class NetBuilder {
 public:
  Graph graph;

  ValueId input(const std::string& name, Dims dims) {
    const ValueId id = graph.add_value(name, DType::kFloat32, static_shape(dims));
    graph.inputs.push_back(id);
    return id;
  }
  Tensor random(Dims dims, float scale = 1.0f) {
    Tensor t(DType::kFloat32, std::move(dims));
    std::normal_distribution<float> normal(0, scale);
    for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = normal(generator_);
    return t;
  }
  ValueId constant(const std::string& name, Dims dims, float scale = 1.0f) {
    return graph.add_constant(name, random(std::move(dims), scale));
  }
  ValueId op(const std::string& type, const std::string& name, std::vector<ValueId> inputs,
             Attributes attributes = {}) {
    const size_t i = graph.add_node(type, std::move(inputs), {name + "_out"}, std::move(attributes), name);
    return graph.nodes[i].outputs[0];
  }
  // 3x3 (or kernel x kernel) convolution with bias that keeps height and width.
  ValueId conv(const std::string& name, ValueId x, int64_t in, int64_t out, int64_t kernel = 3, int64_t group = 1) {
    const ValueId w = constant(name + ".weight", {out, in / group, kernel, kernel}, 0.3f);
    const ValueId b = constant(name + ".bias", {out}, 0.1f);
    const int64_t pad = kernel / 2;
    return op("Conv", name, {x, w, b},
              {{"group", group},
               {"pads", std::vector<int64_t>{pad, pad, pad, pad}},
               {"kernel_shape", std::vector<int64_t>{kernel, kernel}}});
  }
  ValueId relu(const std::string& name, ValueId x) { return op("Relu", name, {x}); }
  ValueId ints(const std::string& name, std::vector<int64_t> values) {
    const auto n = static_cast<int64_t>(values.size());
    return graph.add_constant(name, Tensor::from<int64_t>({n}, values));
  }
  Graph finish(std::vector<ValueId> outputs) {
    graph.outputs = std::move(outputs);
    const Status shapes = infer_shapes(graph);
    EXPECT_TRUE(shapes.is_ok()) << shapes.message();
    return graph;
  }

 private:
  std::mt19937 generator_{7};
};

inline QuantizationOptions options_for(const std::string& target, Regime regime = Regime::kHybrid) {
  QuantizationOptions options;
  options.target = target;
  options.regime = regime;
  return options;
}

// The same with INT32 biases, whatever the target's file says.
inline QuantizationOptions integer_bias_options(const std::string& target) {
  QuantizationOptions options = options_for(target);
  options.bias = "int32";
  return options;
}

inline QuantizationPlan prepared(const Graph& graph, const QuantizationOptions& options) {
  auto plan = SelectiveQuantizer(options).prepare(graph);
  EXPECT_TRUE(plan.is_ok()) << plan.status().message();
  return plan.is_ok() ? *plan : QuantizationPlan{};
}

inline const NodePlan& decision_of(const QuantizationPlan& plan, const std::string& node) {
  static const NodePlan kNone;
  for (const NodePlan& n : plan.nodes)
    if (n.name == node) return n;
  ADD_FAILURE() << "the plan has no node " << node;
  return kNone;
}

// "conv1:0" for each reader of the quantized tensor; empty when it is not quantized.
inline std::vector<std::string> readers_of(const QuantizationPlan& plan, const std::string& tensor) {
  std::vector<std::string> texts;
  const auto it = plan.tensors.find(tensor);
  if (it == plan.tensors.end()) return texts;
  for (const TensorReader& r : it->second.readers) texts.push_back(r.node + ":" + std::to_string(r.input));
  return texts;
}

inline bool is_quantized(const QuantizationPlan& plan, const std::string& tensor) {
  return plan.tensors.count(tensor) != 0;
}

inline std::vector<Tensor> random_inputs(const Graph& graph, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.2f, 1.0f);
  std::vector<Tensor> inputs;
  for (ValueId id : graph.inputs) {
    Dims dims;
    for (const Dim& d : *graph.value(id).shape) dims.push_back(d.is_static() ? d.coefficient : 1);
    Tensor t(DType::kFloat32, dims);
    for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = normal(generator);
    inputs.push_back(std::move(t));
  }
  return inputs;
}

// Statistics of the tensors that the plan asks for, over `images` random inputs.
inline std::map<std::string, TensorStatistics> observe(const Graph& graph, const QuantizationPlan& plan,
                                                       unsigned images = 3) {
  std::map<std::string, TensorStatistics> statistics;
  for (const std::string& name : plan.tensors_to_observe()) statistics[name];
  for (unsigned seed = 0; seed < images; ++seed) {
    const auto run = interpret(graph, random_inputs(graph, seed), [&](ValueId id, const Tensor& t) {
      const auto it = statistics.find(graph.value(id).name);
      if (it != statistics.end()) it->second.add(t.data<float>(), t.numel());
    });
    EXPECT_TRUE(run.is_ok()) << run.status().message();
  }
  return statistics;
}

struct Quantized {
  Ranges ranges;
  QuantizationPlan plan;
  Graph graph;
};

// All steps; failures end the test's expectations.
inline Quantized quantize_all(const Graph& graph, const QuantizationOptions& options) {
  const SelectiveQuantizer quantizer(options);
  Quantized q;
  auto plan = quantizer.prepare(graph);
  EXPECT_TRUE(plan.is_ok()) << plan.status().message();
  if (!plan.is_ok()) return q;
  auto ranges = quantizer.calibrate(graph, *plan, observe(graph, *plan));
  EXPECT_TRUE(ranges.is_ok()) << ranges.status().message();
  if (!ranges.is_ok()) return q;
  q.ranges = *ranges;
  auto finished = quantizer.finish(graph, *ranges);
  EXPECT_TRUE(finished.is_ok()) << finished.status().message();
  if (!finished.is_ok()) return q;
  q.plan = *finished;
  auto out = quantizer.quantize_module(graph, q.plan);
  EXPECT_TRUE(out.is_ok()) << out.status().message();
  if (out.is_ok()) q.graph = *out;
  return q;
}

// The node that makes a value; a node of no inputs when there is none.
inline Node maker_of(const Graph& graph, const std::string& value) {
  const ValueId id = graph.find_value(value);
  for (const Node& n : graph.nodes)
    if (id != kNoValue && !n.outputs.empty() && n.outputs[0] == id) return n;
  ADD_FAILURE() << "nothing makes " << value;
  return {};
}

inline int count_ops(const Graph& graph, const std::string& type) {
  int count = 0;
  for (const Node& n : graph.nodes) count += n.op_type == type ? 1 : 0;
  return count;
}

// A network with most kinds of quantizers: stem, residual, concat, pools, slices, transposed convolution, Gemm.
inline Graph mixed_network() {
  NetBuilder b;
  const ValueId x = b.input("x", {2, 3, 8, 8});
  const ValueId r1 = b.relu("relu1", b.conv("conv1", x, 3, 16));
  const ValueId sum = b.relu("relu2", b.op("Add", "add", {b.conv("conv2", r1, 16, 16), r1}));
  const ValueId c = b.conv("conv3", sum, 16, 16, 1);
  const ValueId silu = b.op("Mul", "mul", {c, b.op("Sigmoid", "sig", {c})});
  const ValueId cat = b.op("Concat", "cat", {silu, r1}, {{"axis", int64_t{1}}});
  const ValueId pool = b.op("MaxPool", "pool", {cat},
                            {{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}});
  const ValueId dw = b.relu("relu4", b.conv("dw", pool, 32, 32, 3, 32));
  const ValueId up = b.op("ConvTranspose", "up", {dw, b.constant("up.weight", {32, 16, 2, 2}, 0.2f)},
                          {{"strides", std::vector<int64_t>{2, 2}}});
  const ValueId gap = b.op("GlobalAveragePool", "gap", {b.relu("relu5", up)});
  const ValueId flat = b.op("Flatten", "flat", {gap});
  return b.finish({b.op("Gemm", "fc", {flat, b.constant("fc.weight", {10, 16}), b.constant("fc.bias", {10})},
                        {{"transB", int64_t{1}}})});
}

}  // namespace octet::testing
