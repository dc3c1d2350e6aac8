// Damaged bytes of all kinds: whatever happens, it is an error or a sound graph.
#include <algorithm>

#include "graph/verify.h"
#include "onnx/models.h"
#include "support/random_graph.h"

namespace octet::test {
namespace {

// Returns whether the bytes load; what loads must be sound and writable.
bool survives(const std::string& bytes) {
  Result<Graph> graph = parse_onnx(bytes, "");
  if (!graph) {
    EXPECT_FALSE(graph.status().message().empty());
    return false;
  }
  EXPECT_TRUE(verify(*graph).is_ok());
  Result<std::string> out = serialize_onnx(*graph);
  if (out) {
    EXPECT_TRUE(parse_onnx(*out, "").is_ok());
  }
  return true;
}

std::string small_model() {
  onnx::ModelProto model = old_cnn();
  auto& node = add_node(model, "Softmax", {"k"}, {"s"}, "soft");
  add_int(node, "axis", 1);
  add_output(model, "s");
  return model.SerializeAsString();
}

TEST(HostileBytes, EveryTruncationIsAnError) {
  const std::string bytes = small_model();
  ASSERT_TRUE(parse_onnx(bytes, "").is_ok());
  for (size_t n = 0; n < bytes.size(); ++n)
    EXPECT_FALSE(parse_onnx(std::string_view(bytes).substr(0, n), "").is_ok()) << "cut after " << n << " bytes";
}

TEST(HostileBytes, TruncationsSayWhatHappened) {
  const std::string bytes = small_model();
  const std::string message = parse_onnx(bytes.substr(0, bytes.size() / 2), "").status().message();
  EXPECT_HAS(message, "the file is cut off");
}

TEST(HostileBytes, RandomByteFlips) {
  Random random(1);
  int loaded = 0;
  const std::string originals[] = {small_model(), rich_model().SerializeAsString()};
  for (int i = 0; i < 10000; ++i) {
    std::string bytes = originals[i % 2];
    for (int64_t flips = random.integer(1, 4); flips > 0; --flips)
      bytes[static_cast<size_t>(random.integer(0, static_cast<int64_t>(bytes.size()) - 1))] =
          static_cast<char>(random.bits());
    loaded += survives(bytes);
  }
  EXPECT_GT(loaded, 500);  // names and weights may change freely: many mutants are valid
}

TEST(HostileBytes, CutAndPastedChunks) {
  Random random(2);
  const std::string original = small_model();
  const auto pick = [&](size_t size) {
    return static_cast<size_t>(random.integer(0, static_cast<int64_t>(size) - 1));
  };
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = original;
    const size_t from = pick(original.size());
    const std::string chunk = original.substr(from, 1 + pick(40));
    if (random.chance(0.5)) bytes.insert(pick(bytes.size()), chunk);
    else bytes.replace(pick(bytes.size()), chunk.size(), chunk);
    survives(bytes);
  }
}

TEST(HostileBytes, ManyNodesOfOneNameLoadQuickly) {
  onnx::ModelProto model = empty_model(11);
  add_input(model, "v0", {2, 3, 1, 1});
  constexpr int kCount = 20000;
  for (int i = 0; i < kCount; ++i) {
    auto& node = add_node(model, i % 2 == 0 ? "Softmax" : "Clip", {"v" + std::to_string(i)},
                          {"v" + std::to_string(i + 1)}, "same");
    if (i % 2 == 0) add_int(node, "axis", 0);
    else add_float(node, "min", 0.5f);
  }
  add_output(model, "v" + std::to_string(kCount));
  Result<Graph> graph = parse(model);
  ASSERT_TRUE(graph.is_ok()) << graph.status().message();
  EXPECT_GE(graph->nodes.size(), static_cast<size_t>(kCount));
}

TEST(HostileBytes, DeepNestingIsRefused) {
  onnx::ModelProto model = empty_model();
  onnx::GraphProto* graph = model.mutable_graph();
  for (int i = 0; i < 5000; ++i) {
    auto& attribute = *graph->add_node()->add_attribute();
    attribute.set_type(onnx::AttributeProto::GRAPH);
    graph = attribute.mutable_g();
  }
  EXPECT_FALSE(parse(model).is_ok());
}

}  // namespace
}  // namespace octet::test
