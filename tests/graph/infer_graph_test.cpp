// Inference over whole graphs: replaced inputs, declared types, hostile graphs.
#include <gtest/gtest.h>

#include "graph/infer/op_inference.h"
#include "graph/infer_case.h"
#include "graph/op_table.h"

namespace octet {
namespace {

using test::infer;
using test::type_of;

Graph parsed(const std::string& text) {
  auto graph = parse_text(text);
  EXPECT_TRUE(graph.is_ok()) << graph.status().message();
  return std::move(graph).value();
}

Graph small_net() {
  return parsed(
      "graph \"g\" opset 17\n"
      "input %x: float32[N, 3, 8, 8]\n"
      "const %w: float32[2, 3, 1, 1] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]\n"
      "const %t: int64[2] = [-1, 128]\n"
      "%a: float32[99, 99] = Conv(%x, %w)\n"
      "%y: int8 = Reshape(%a, %t)\n"
      "output %y\n");
}

TEST(InferGraph, EveryOperatorOfTheTableHasItsInference) {
  for (const OpInfo& op : all_ops()) EXPECT_NE(find_infer(op.op_type), nullptr) << op.op_type;
  EXPECT_EQ(find_infer("Nonsense"), nullptr);
}

TEST(InferGraph, InferredTypesReplaceDeclaredOnes) {
  Graph g = small_net();
  ASSERT_TRUE(infer_shapes(g).is_ok());
  EXPECT_EQ(type_of(g.value(g.find_value("a"))), "float32[N, 2, 8, 8]");
  EXPECT_EQ(type_of(g.value(g.find_value("y"))), "float32[N, 128]");
}

TEST(InferGraph, ReplacedInputsReachEverything) {
  Graph g = small_net();
  ASSERT_TRUE(infer_shapes(g).is_ok());
  ASSERT_TRUE(infer_shapes(g, {{"x", {4, 3, 8, 16}}}).is_ok());
  EXPECT_EQ(type_of(g.value(g.find_value("a"))), "float32[4, 2, 8, 16]");
  EXPECT_EQ(type_of(g.value(g.find_value("y"))), "float32[8, 128]");
  // The image no longer fits the constant shape.
  const Status misfit = infer_shapes(g, {{"x", {1, 3, 5, 5}}});
  EXPECT_NE(misfit.message().find("[1, 2, 5, 5] cannot take the shape [-1, 128]"), std::string::npos)
      << misfit.message();
}

TEST(InferGraph, ReplacedInputsMustExistAndFit) {
  Graph g = small_net();
  const Status unknown = infer_shapes(g, {{"xx", {1, 3, 8, 8}}});
  EXPECT_EQ(unknown.code(), StatusCode::kNotFound);
  EXPECT_NE(unknown.message().find("no input 'xx'. Did you mean 'x'"), std::string::npos) << unknown.message();
  EXPECT_NE(infer_shapes(g, {{"w", {2, 3, 1, 1}}}).message().find("no input 'w'"), std::string::npos);
  EXPECT_NE(infer_shapes(g, {{"x", {1, 3, 8}}}).message().find("another rank"), std::string::npos);
  EXPECT_NE(infer_shapes(g, {{"x", {1, 3, -8, 8}}}).message().find("negative"), std::string::npos);
}

TEST(InferGraph, DeclaredShapesFillWhatCannotBeInferred) {
  const std::string text =
      "graph \"g\" opset 17\n"
      "input %x: float32[N, 4]\n"
      "%i: int64[2, hits] = NonZero(%x)\n"
      "%y: float32[hits, ?] = Custom(%i)\n"
      "output %y\n";
  Graph g = parsed(text);
  ASSERT_TRUE(infer_shapes(g).is_ok());
  EXPECT_EQ(type_of(g.value(g.find_value("i"))), "int64[2, hits]");
  EXPECT_EQ(type_of(g.value(g.find_value("y"))), "float32[hits, ?]");
  ASSERT_TRUE(infer_shapes(g, {{"x", {2, 4}}}).is_ok());  // now the declarations may be stale
  EXPECT_EQ(type_of(g.value(g.find_value("i"))), "int64[2, ?]");
  EXPECT_EQ(type_of(g.value(g.find_value("y"))), "float32?");
}

TEST(InferGraph, HostileGraphs) {
  Graph g = small_net();
  g.nodes[0].inputs[0] = 1000;
  EXPECT_EQ(infer_shapes(g).code(), StatusCode::kDataCorrupt);
  g = small_net();
  g.nodes[0].outputs[0] = -5;
  EXPECT_EQ(infer_shapes(g).code(), StatusCode::kDataCorrupt);
  g = small_net();
  g.value(0).shape = Shape(65, Dim::of(1));
  EXPECT_NE(infer_shapes(g).message().find("at most 64"), std::string::npos);
  // A node without its inputs gives an error or unknown types, never a read out of bounds.
  for (const OpInfo& op : all_ops()) {
    for (size_t inputs = 0; inputs < 3; ++inputs) {
      Graph bare;
      const ValueId x = bare.add_value("x", DType::kFloat32, Shape{});
      bare.inputs = {x};
      bare.add_node(std::string(op.op_type), std::vector<ValueId>(inputs, inputs == 2 ? x : kNoValue), {"y"});
      (void)infer_shapes(bare);
    }
  }
}

TEST(InferGraph, DoublingRanksStopAt64) {
  std::string body = "input %x: float32[1]\nconst %a: int64[8] = [0, 1, 2, 3, 4, 5, 6, 7]\n%v0 = Unsqueeze(%x, %a)\n";
  for (int i = 1; i < 10; ++i)
    body += "%v" + std::to_string(i) + " = Unsqueeze(%v" + std::to_string(i - 1) + ", %a)\n";
  EXPECT_NE(infer(body).find("more than 64 dimensions"), std::string::npos);
}

TEST(InferGraph, LongSymbolChainsStayBounded) {
  std::string body = "input %x: float32[" + std::string(5000, 'b') + ", 1, H]\n";
  std::string last = "x";
  for (int i = 0; i < 200; ++i) {
    const std::string next = "p" + std::to_string(i);
    body += "%" + next + " = MaxPool(%" + last + ") {kernel_shape = [3], strides = [2], pads = [1, 1]}\n";
    last = next;
  }
  const std::string type = infer(body);
  EXPECT_LT(type.size(), 200U) << type;
  EXPECT_EQ(type.find("error"), std::string::npos) << type;
}

}  // namespace
}  // namespace octet
