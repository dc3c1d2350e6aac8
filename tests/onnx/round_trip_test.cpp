#include <filesystem>

#include "interp/interpreter.h"
#include "onnx/models.h"
#include "support/compare.h"
#include "support/random_graph.h"

namespace octet::test {
namespace {

void expect_same_graph(const Graph& a, const Graph& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.opset, b.opset);
  EXPECT_EQ(a.other_opsets, b.other_opsets);
  EXPECT_EQ(operators(a), operators(b));
  ASSERT_EQ(a.nodes.size(), b.nodes.size());
  const auto names = [](const Graph& g, const std::vector<ValueId>& ids) {
    std::vector<std::string> out;
    for (ValueId id : ids) out.push_back(id == kNoValue ? "" : g.value(id).name);
    return out;
  };
  for (size_t i = 0; i < a.nodes.size(); ++i) {
    EXPECT_EQ(a.nodes[i].name, b.nodes[i].name);
    EXPECT_EQ(names(a, a.nodes[i].inputs), names(b, b.nodes[i].inputs));
    EXPECT_EQ(names(a, a.nodes[i].outputs), names(b, b.nodes[i].outputs));
    EXPECT_EQ(a.nodes[i].attributes.size(), b.nodes[i].attributes.size());
    EXPECT_EQ(a.nodes[i].metadata, b.nodes[i].metadata);
  }
  EXPECT_EQ(names(a, a.inputs), names(b, b.inputs));
  EXPECT_EQ(names(a, a.outputs), names(b, b.outputs));
  for (size_t i = 0; i < b.value_count(); ++i) {
    const Value& vb = b.value(static_cast<ValueId>(i));
    const ValueId id = a.find_value(vb.name);
    ASSERT_NE(id, kNoValue) << vb.name;
    const Value& va = a.value(id);
    EXPECT_EQ(va.dtype, vb.dtype) << vb.name;
    EXPECT_EQ(va.shape, vb.shape) << vb.name;
    ASSERT_EQ(va.constant.has_value(), vb.constant.has_value()) << vb.name;
    if (va.constant) {
      EXPECT_TRUE(same_bits(*va.constant, *vb.constant)) << vb.name;
    }
  }
}

TEST(RoundTrip, RandomNetworks) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = random_cnn(seed);
    Result<std::string> bytes = serialize_onnx(graph);
    ASSERT_TRUE(bytes.is_ok()) << bytes.status().message();
    Result<Graph> loaded = parse_onnx(*bytes, "");
    ASSERT_TRUE(loaded.is_ok()) << loaded.status().message();
    const std::vector<Tensor> inputs = random_inputs(graph, seed);
    Result<std::vector<Tensor>> expected = interpret(graph, inputs);
    Result<std::vector<Tensor>> actual = interpret(*loaded, inputs);
    ASSERT_TRUE(expected.is_ok()) << expected.status().message();
    ASSERT_TRUE(actual.is_ok()) << actual.status().message();
    EXPECT_TRUE(outputs_identical(*expected, *actual));
    Result<std::string> again = serialize_onnx(*loaded);
    ASSERT_TRUE(again.is_ok());
    EXPECT_TRUE(*bytes == *again);
  }
}

TEST(RoundTrip, RealNetworks) {
  const std::string folder = data_folder();
  if (folder.empty()) GTEST_SKIP() << "the folder of real networks is absent; set OCTET_DATA";
  TemporaryFolder temporary;
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/networks")) {
    if (entry.path().extension() != ".onnx") continue;
    SCOPED_TRACE(entry.path().filename().string());
    ++seen;
    Result<Graph> first = load_onnx(entry.path().string());
    ASSERT_TRUE(first.is_ok()) << first.status().message();
    const std::string path = temporary.file("again.onnx");
    ASSERT_TRUE(save_onnx(*first, path).is_ok());
    Result<Graph> second = load_onnx(path);
    ASSERT_TRUE(second.is_ok()) << second.status().message();
    expect_same_graph(*first, *second);
    EXPECT_LT(std::filesystem::file_size(path), std::filesystem::file_size(entry.path()) * 11 / 10);
    EXPECT_TRUE(*serialize_onnx(*first) == *serialize_onnx(*second));
  }
  EXPECT_GT(seen, 0);
}

TEST(RoundTrip, WithoutAFileBehindIt) {
  Graph graph;
  graph.inputs = {graph.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(4)})};
  const size_t node = graph.add_node("Relu", graph.inputs, {"y"});
  graph.outputs = graph.nodes[node].outputs;
  const onnx::ModelProto model = written(graph);
  EXPECT_EQ(model.ir_version(), 7);
  EXPECT_EQ(model.opset_import(0).version(), 13);
  EXPECT_EQ(model.producer_name(), "octet");
  EXPECT_FALSE(model.graph().name().empty());
  EXPECT_EQ(model.graph().value_info_size(), 0);
}

TEST(RoundTrip, IrVersionFollowsTheOpset) {
  for (const auto& [opset, ir] :
       std::vector<std::pair<int, int>>{{13, 7}, {15, 8}, {18, 8}, {19, 9}, {21, 10}, {22, 10}}) {
    Graph graph;
    graph.opset = opset;
    graph.inputs = {graph.add_value("x", DType::kFloat32, Shape{Dim::of(4)})};
    graph.outputs = graph.nodes[graph.add_node("Relu", graph.inputs, {"y"})].outputs;
    EXPECT_EQ(written(graph).ir_version(), ir) << opset;
  }
}

TEST(RoundTrip, BrokenGraphsAreNotWritten) {
  Graph graph;
  const ValueId nowhere = graph.add_value("nowhere");
  graph.outputs = graph.nodes[graph.add_node("Relu", {nowhere}, {"y"})].outputs;
  EXPECT_FALSE(serialize_onnx(graph).is_ok());
  TemporaryFolder folder;
  EXPECT_FALSE(save_onnx(graph, folder.file("m.onnx")).is_ok());
  EXPECT_FALSE(std::filesystem::exists(folder.file("m.onnx")));
}

// A ResNet of 78,000 parameters as quantized export leaves it: what is not weights stays under 10 KB.
TEST(RoundTrip, FilesStaySmall) {
  const std::string folder = data_folder();
  if (folder.empty()) GTEST_SKIP() << "the folder of real networks is absent; set OCTET_DATA";
  Result<Graph> graph = load_onnx(folder + "/networks/resnet8_cifar10.onnx");
  ASSERT_TRUE(graph.is_ok()) << graph.status().message();
  int64_t weights = 0;
  for (size_t i = 0; i < graph->value_count(); ++i)
    if (graph->value(static_cast<ValueId>(i)).constant)
      weights += graph->value(static_cast<ValueId>(i)).constant->nbytes();
  EXPECT_LT(static_cast<int64_t>(serialize_onnx(*graph)->size()) - weights, 10000);
}

}  // namespace
}  // namespace octet::test
