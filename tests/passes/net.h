// A small hand-made network and what the tests of the passes ask of it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "graph/shape_inference.h"
#include "graph/verify.h"
#include "interp/interpreter.h"
#include "passes/pass.h"
#include "passes/rewrites.h"
#include "support/compare.h"
#include "support/random_graph.h"

namespace octet::test {

struct Net {
  Graph graph;
  Random random{7};

  explicit Net(int opset = 13) { graph.opset = opset; }

  // Dimension -1 is the symbolic batch.
  ValueId input(const std::string& name, const Dims& dims) {
    Shape shape;
    for (int64_t d : dims) shape.push_back(d < 0 ? Dim::named("N") : Dim::of(d));
    graph.inputs.push_back(graph.add_value(name, DType::kFloat32, shape));
    return graph.inputs.back();
  }
  ValueId op(const std::string& type, std::vector<ValueId> inputs, Attributes attributes = {}) {
    return graph.nodes[graph.add_node(type, std::move(inputs), {type + "_out"}, std::move(attributes))].outputs[0];
  }
  ValueId floats(const Dims& dims, double low = -1, double high = 1) {
    return graph.add_constant("w", random_tensor(random, dims, low, high));
  }
  ValueId number(float value) { return graph.add_constant("s", Tensor::scalar<float>(value)); }
  ValueId ints(const std::vector<int64_t>& v) {
    return graph.add_constant("i", Tensor::from<int64_t>({static_cast<int64_t>(v.size())}, v));
  }
  ValueId batch_norm(ValueId x, int64_t c, Attributes attributes = {}) {
    return op("BatchNormalization", {x, floats({c}, -1.5, 1.5), floats({c}), floats({c}), floats({c}, 0.3, 2)},
              std::move(attributes));
  }
  void output(ValueId id) { graph.outputs.push_back(id); }
};

inline std::vector<Tensor> outputs_of(const Graph& graph, const std::vector<Tensor>& inputs) {
  Result<std::vector<Tensor>> outputs = interpret(graph, inputs);
  EXPECT_TRUE(outputs.is_ok()) << outputs.status().message();
  return outputs.is_ok() ? std::move(outputs).value() : std::vector<Tensor>();
}

// Runs one pass (shapes inferred before) and checks what every pass promises: a well-formed graph, the same output
// names, outputs within `relative` (0: the same bits) and nothing left to do afterwards. Returns its rewrites.
inline int apply(Graph& graph, Result<int> (*pass)(Graph&, const PassOptions&), double relative = 1e-4,
                 const PassOptions& options = {}, uint64_t input_seed = 1) {
  Status shapes = infer_shapes(graph);
  EXPECT_TRUE(shapes.is_ok()) << shapes.message();
  const std::vector<Tensor> inputs = random_inputs(graph, input_seed);
  const std::vector<Tensor> before = outputs_of(graph, inputs);
  const std::vector<std::string> names = output_names(graph);

  const Result<int> rewrites = pass(graph, options);
  EXPECT_TRUE(rewrites.is_ok()) << rewrites.status().message();
  const Status verified = verify(graph);
  EXPECT_TRUE(verified.is_ok()) << verified.message();
  EXPECT_EQ(output_names(graph), names);
  const std::vector<Tensor> after = outputs_of(graph, inputs);
  EXPECT_TRUE(relative == 0.0 ? outputs_identical(before, after) : outputs_near(before, after, relative));
  return rewrites.is_ok() ? *rewrites : -1;
}

}  // namespace octet::test
