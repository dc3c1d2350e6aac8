// What inference says must be what the interpreter does: for every operator, for random networks, for real ones.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "graph/every_op.h"
#include "graph/op_table.h"
#include "graph/shape_inference.h"
#include "graph/text.h"
#include "graph/verify.h"
#include "interp/interpreter.h"
#include "octet/onnx.h"
#include "support/random_graph.h"

namespace octet {
namespace {

// What each symbol (or expression of symbols) turned out to be; the same one must always be the same number.
class Symbols {
 public:
  void bind(const std::string& symbol, int64_t value) { known_[symbol] = value; }
  int64_t at(const std::string& symbol) const { return known_.at(symbol); }

  // "" or the complaint.
  std::string check(const Dim& dim, int64_t actual) {
    if (!dim.is_known()) return "";
    if (dim.symbol.empty()) return dim.coefficient == actual ? "" : "differs";
    if (dim.coefficient == 0) return actual == 0 ? "" : "differs";
    if (actual % dim.coefficient != 0) return "is not a multiple of the coefficient";
    const auto [it, is_new] = known_.emplace(dim.symbol, actual / dim.coefficient);
    return is_new || it->second == actual / dim.coefficient ? "" : "contradicts an earlier " + dim.symbol;
  }

 private:
  std::map<std::string, int64_t> known_;
};

void expect_match(const Value& v, const Tensor& actual, Symbols& symbols) {
  EXPECT_EQ(std::string(dtype_name(v.dtype)), dtype_name(actual.dtype())) << v.name;
  ASSERT_TRUE(v.shape.has_value()) << v.name;
  ASSERT_EQ(v.shape->size(), actual.dims().size())
      << v.name << ": " << shape_to_string(*v.shape) << " but is " << dims_to_string(actual.dims());
  for (size_t i = 0; i < v.shape->size(); ++i)
    EXPECT_EQ(symbols.check((*v.shape)[i], actual.dims()[i]), "")
        << v.name << ": inferred " << shape_to_string(*v.shape) << ", is " << dims_to_string(actual.dims());
}

// Without what the file or an earlier inference says about computed values: nothing but inference can fill it in.
Graph undeclared(const Graph& source) {
  Graph graph = source;
  for (const Node& node : graph.nodes)
    for (ValueId id : node.outputs) {
      if (id == kNoValue) continue;
      graph.value(id).dtype = DType::kUndefined;
      graph.value(id).shape.reset();
    }
  return graph;
}

// Infers with the declared (symbolic) inputs and with those of the tensors; compares both with the run.
void check_graph(const Graph& source, const std::vector<Tensor>& inputs, Symbols symbols, bool fully_known) {
  Graph symbolic = undeclared(source);
  Graph fixed = undeclared(source);
  std::map<std::string, Dims> dims;
  for (size_t i = 0; i < inputs.size(); ++i) dims[source.value(source.inputs[i]).name] = inputs[i].dims();
  const Status s = infer_shapes(symbolic);
  const Status f = infer_shapes(fixed, dims);
  ASSERT_TRUE(s.is_ok()) << s.message();
  ASSERT_TRUE(f.is_ok()) << f.message();
  const auto run = interpret(source, inputs, [&](ValueId id, const Tensor& actual) {
    expect_match(symbolic.value(id), actual, symbols);
    expect_match(fixed.value(id), actual, symbols);
    if (!fully_known) return;
    for (const Dim& d : *symbolic.value(id).shape) EXPECT_TRUE(d.is_known()) << source.value(id).name;
    EXPECT_TRUE(is_static(*fixed.value(id).shape)) << source.value(id).name;
  });
  ASSERT_TRUE(run.is_ok()) << run.status().message();
}

Tensor any_tensor(test::Random& random, DType dtype, const Dims& dims) {
  if (dtype == DType::kFloat32) return test::random_tensor(random, dims, 0.1, 1.0);
  Tensor t(dtype, dims);
  for (int64_t i = 0; i < t.nbytes(); ++i) t.data<uint8_t>()[i] = static_cast<uint8_t>(random.integer(0, 1));
  return t;
}

bool depends_on_data(const std::string& op) { return op == "NonZero" || op == "NonMaxSuppression"; }

TEST(InferVsInterp, EveryOperator) {
  Symbols symbols;
  symbols.bind("N", 2);
  symbols.bind("H", 6);
  symbols.bind("S", 4);
  std::set<std::string> seen;
  for (const test::OpCase& c : test::every_op()) {
    SCOPED_TRACE(c.body);
    auto graph = parse_text("graph \"t\" opset " + std::to_string(c.opset) + "\n" + c.body);
    ASSERT_TRUE(graph.is_ok()) << graph.status().message();
    graph->outputs = graph->nodes.back().outputs;
    ASSERT_TRUE(verify(*graph).is_ok()) << verify(*graph).message();
    test::Random random(1);
    std::vector<Tensor> inputs;
    for (ValueId id : graph->inputs) {
      const Value& v = graph->value(id);
      Dims dims;
      for (const Dim& d : *v.shape) dims.push_back(d.symbol.empty() ? d.coefficient : symbols.at(d.symbol));
      inputs.push_back(any_tensor(random, v.dtype, dims));
    }
    for (const Node& node : graph->nodes) seen.insert(node.op_type);
    // Only fractional scales, and slices cut from a symbol, leave a symbolic size open.
    const bool fixed_only = graph->nodes.back().op_type == "Resize" || graph->nodes.back().op_type == "Slice" ||
                            graph->nodes.back().op_type == "AveragePool" || graph->nodes.back().op_type == "MaxPool";
    check_graph(*graph, inputs, symbols, !depends_on_data(graph->nodes.back().op_type) && !fixed_only);
  }
  for (const OpInfo& op : all_ops()) EXPECT_EQ(seen.count(std::string(op.op_type)), 1U) << op.op_type;
}

TEST(InferVsInterp, RandomNetworks) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const Graph graph = test::random_cnn(seed);
    check_graph(graph, test::random_inputs(graph, seed, 3), Symbols(), true);
  }
}

std::string network(const std::string& file) {
  const char* folder = std::getenv("OCTET_DATA");
  return (folder != nullptr ? std::string(folder) : std::string(OCTET_SOURCE_DIR) + "/../shared/data") +
         "/networks/" + file;
}

class RealNetworkShapes : public ::testing::TestWithParam<const char*> {};

// Every value has a type and a known shape, with the file's own batch and with a symbolic one.
TEST_P(RealNetworkShapes, AreFullyKnown) {
  const std::string path = network(GetParam());
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "the networks are not here; set OCTET_DATA to their folder";
  auto loaded = load_onnx(path);
  ASSERT_TRUE(loaded.is_ok()) << loaded.status().message();
  const Graph& graph = *loaded;
  const auto expect_known = [](const Graph& g, bool fixed) {
    for (const Node& node : g.nodes)
      for (ValueId id : node.outputs) {
        if (id == kNoValue) continue;
        const Value& v = g.value(id);
        EXPECT_NE(v.dtype, DType::kUndefined) << v.name;
        ASSERT_TRUE(v.shape.has_value()) << v.name;
        for (const Dim& d : *v.shape) EXPECT_TRUE(fixed ? d.is_static() : d.is_known()) << v.name;
      }
  };
  expect_known(graph, false);
  Graph symbolic = undeclared(graph);
  (*symbolic.value(symbolic.inputs[0]).shape)[0] = Dim::named("batch");
  ASSERT_TRUE(infer_shapes(symbolic).is_ok());
  expect_known(symbolic, false);
  Graph fixed = undeclared(graph);
  Dims dims{1};
  for (size_t i = 1; i < graph.value(graph.inputs[0]).shape->size(); ++i)
    dims.push_back((*graph.value(graph.inputs[0]).shape)[i].coefficient);
  ASSERT_TRUE(infer_shapes(fixed, {{graph.value(graph.inputs[0]).name, dims}}).is_ok());
  expect_known(fixed, true);
}

INSTANTIATE_TEST_SUITE_P(Networks, RealNetworkShapes,
                         ::testing::Values("resnet8_cifar10.onnx", "resnet20_cifar10.onnx",
                                           "resnet20_cifar10_bn.onnx", "resnet56_cifar10.onnx",
                                           "yolox_nano_coco_416.onnx", "fastestdet_coco_352.onnx"),
                         [](const auto& info) {
                           const std::string file = info.param;
                           return file.substr(0, file.find('.'));
                         });

// The interpreter's shapes on real networks small enough for it.
TEST(InferVsInterp, SmallRealNetworks) {
  for (const char* file : {"resnet8_cifar10.onnx", "resnet20_cifar10_bn.onnx"}) {
    if (!std::filesystem::exists(network(file))) GTEST_SKIP() << "the networks are not here; set OCTET_DATA";
    auto graph = load_onnx(network(file));
    ASSERT_TRUE(graph.is_ok()) << graph.status().message();
    check_graph(*graph, test::random_inputs(*graph, 1, 1), Symbols(), true);
  }
}

}  // namespace
}  // namespace octet
