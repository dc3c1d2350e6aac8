#include "graph/verify.h"

#include <gtest/gtest.h>

#include "graph/op_table.h"
#include "graph/text.h"

namespace octet {
namespace {

// A small valid graph, to be broken in one place.
Graph good() {
  auto graph = parse_text(
      "graph \"g\" opset 17\n"
      "input %x: float32[N, 3, 8, 8]\n"
      "const %w: float32[1, 3, 1, 1] = [1.0, 2.0, 3.0]\n"
      "%a = Conv(%x, %w) {strides = [1, 1]} # conv\n"
      "%y = Relu(%a) # relu\n"
      "output %y\n");
  EXPECT_TRUE(graph.is_ok()) << graph.status().message();
  return std::move(graph).value();
}

// The complaint about the graph, "" when there is none.
std::string complaint(const Graph& graph) { return verify(graph).message(); }

#define EXPECT_COMPLAINT(graph, part) EXPECT_NE(complaint(graph).find(part), std::string::npos) << complaint(graph)

TEST(Verify, AcceptsAGoodGraph) { EXPECT_EQ(complaint(good()), ""); }

TEST(Verify, OrderAndExistence) {
  Graph g = good();
  std::swap(g.nodes[0], g.nodes[1]);
  EXPECT_COMPLAINT(g, "node 'relu' (Relu): it reads 'a', which no earlier node");
  g = good();
  g.nodes[1].inputs[0] = 99;
  EXPECT_COMPLAINT(g, "value 99, which does not exist");
  g = good();
  g.nodes[1].inputs[0] = -7;
  EXPECT_COMPLAINT(g, "value -7, which does not exist");
  g = good();
  g.outputs = {g.add_value("orphan")};
  EXPECT_COMPLAINT(g, "the graph output 'orphan' is never produced");
  g.outputs.clear();
  EXPECT_COMPLAINT(g, "no outputs");
  g = good();
  g.inputs.push_back(1000);
  EXPECT_COMPLAINT(g, "a graph input refers to value 1000");
}

TEST(Verify, EachValueIsProducedOnce) {
  Graph g = good();
  g.nodes[1].outputs[0] = g.nodes[0].outputs[0];
  EXPECT_COMPLAINT(g, "node 'relu' (Relu): it produces 'a', which is already");
  g = good();
  g.nodes[1].outputs[0] = g.find_value("w");
  EXPECT_COMPLAINT(g, "produces 'w'");
  g = good();
  g.nodes[1].outputs[0] = g.find_value("x");
  EXPECT_COMPLAINT(g, "produces 'x'");
  g = good();
  g.inputs.push_back(g.inputs[0]);
  EXPECT_COMPLAINT(g, "'x' is listed twice");
  g = good();
  g.inputs.push_back(g.find_value("w"));
  EXPECT_COMPLAINT(g, "'w' is also a constant");
}

TEST(Verify, NamesAreUniqueAndPresent) {
  Graph g = good();
  g.nodes[1].name = "conv";
  EXPECT_COMPLAINT(g, "node name 'conv' is used twice");
  g.nodes[1].name = "";
  EXPECT_COMPLAINT(g, "of type Relu has no name");
  g = good();
  g.value(0).name = g.value(1).name;
  EXPECT_COMPLAINT(g, "is used twice");
}

TEST(Verify, OperatorsAndCounts) {
  Graph g = good();
  g.nodes[1].op_type = "Rleu";
  EXPECT_COMPLAINT(g, "does not know this operator. Did you mean");
  EXPECT_EQ(verify(g).code(), StatusCode::kUnsupported);
  g = good();
  g.nodes[1].domain = "com.acme";
  EXPECT_COMPLAINT(g, "domain 'com.acme'");
  g = good();
  g.nodes[1].inputs.push_back(g.nodes[1].inputs[0]);
  EXPECT_COMPLAINT(g, "it has 2 inputs, but the operator takes 1");
  g = good();
  g.nodes[0].inputs.pop_back();
  EXPECT_COMPLAINT(g, "it has 1 inputs, but the operator takes 2 to 3");
  g = good();
  g.nodes[0].inputs[0] = kNoValue;
  EXPECT_COMPLAINT(g, "input 0 is required but missing");
  g = good();
  g.nodes[0].inputs.push_back(kNoValue);  // an omitted bias
  EXPECT_EQ(complaint(g), "");
  g = good();
  g.nodes[1].outputs.clear();
  EXPECT_COMPLAINT(g, "it has 0 outputs");
}

TEST(Verify, AttributeTypes) {
  Graph g = good();
  g.nodes[0].attributes["strides"] = int64_t{2};
  EXPECT_COMPLAINT(g, "attribute 'strides' must be a list of integers, but it is an integer");
  g = good();
  g.nodes[0].attributes["stride"] = std::vector<int64_t>{2, 2};
  EXPECT_COMPLAINT(g, "no attribute 'stride'. Did you mean 'strides'");
  g = good();
  g.nodes[0].attributes["pads"] = std::vector<float>{};  // an empty list of another type
  EXPECT_EQ(complaint(g), "");
}

TEST(Verify, ConstantsAgreeWithTheirDeclaration) {
  Graph g = good();
  g.value(g.find_value("w")).dtype = DType::kInt8;
  EXPECT_COMPLAINT(g, "'w' is declared int8 but holds float32");
  g = good();
  g.value(g.find_value("w")).shape = static_shape({3});
  EXPECT_COMPLAINT(g, "'w' is declared [3] but holds [1, 3, 1, 1]");
  g = good();
  g.value(g.find_value("w")).constant = Tensor();
  EXPECT_COMPLAINT(g, "'w' holds no tensor");
}

TEST(OpTable, Lookup) {
  ASSERT_NE(find_op("", "Conv"), nullptr);
  EXPECT_EQ(find_op("ai.onnx", "Conv"), find_op("", "Conv"));
  EXPECT_EQ(find_op("com.acme", "Conv"), nullptr);
  EXPECT_EQ(find_op("", "conv"), nullptr);
  EXPECT_EQ(find_op("", ""), nullptr);
  EXPECT_EQ(find_op("", "Zzz"), nullptr);
  for (const OpInfo& op : all_ops()) EXPECT_EQ(find_op("", op.op_type), &op);
}

}  // namespace
}  // namespace octet
