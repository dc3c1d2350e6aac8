// Where a detector's values are: both forms, found and read from a forward pass.
#include "training/loop/detector_head.h"

#include <gtest/gtest.h>

#include "metrics/detection.h"
#include "support/label_networks.h"
#include "support/random_graph.h"

namespace octet::training {
namespace {

using test::random_inputs;
using test::small_detector;

struct Pass {
  std::unique_ptr<TrainableModule> module;
  std::vector<at::Tensor> outputs;
  NetworkOutput output() const { return {*module, outputs, outputs[0]}; }
};

Pass forward(const Graph& graph, const DetectorHead& head, const Tensor& input) {
  Pass pass;
  auto made = TrainableModule::create(graph);
  EXPECT_TRUE(made.is_ok()) << made.status().message();
  pass.module = std::move(made).value();
  std::vector<std::string> names;
  for (const auto& level : head.logits) names.insert(names.end(), level.begin(), level.end());
  EXPECT_TRUE(pass.module->keep(names).is_ok());
  pass.outputs = *pass.module->forward({*to_torch(input)});
  return pass;
}

TEST(DetectorHead, BothFormsGiveTheSameValues) {
  const Graph maps = small_detector(false, 3, 64), rows = small_detector(true, 3, 64);
  const auto map_head = find_detector_head(maps), row_head = find_detector_head(rows);
  ASSERT_TRUE(map_head.is_ok()) << map_head.status().message();
  ASSERT_TRUE(row_head.is_ok()) << row_head.status().message();
  EXPECT_TRUE(map_head->maps);
  EXPECT_FALSE(row_head->maps);
  EXPECT_EQ(map_head->classes, 3);
  EXPECT_EQ(row_head->classes, 3);
  EXPECT_EQ(row_head->logits.size(), 3u) << "behind Split, Sigmoid, Concat, Reshape, Concat, Transpose";
  const Tensor input = random_inputs(maps, 3, 2)[0];
  const Pass a = forward(maps, *map_head, input), b = forward(rows, *row_head, input);
  const auto raw_a = read_predictions(*map_head, a.output(), 64, 64);
  const auto raw_b = read_predictions(*row_head, b.output(), 64, 64);
  ASSERT_TRUE(raw_a.is_ok() && raw_b.is_ok());
  EXPECT_TRUE(raw_a->is_logits && raw_b->is_logits);
  ASSERT_EQ(raw_a->cells.size(), 84u);
  EXPECT_TRUE(at::allclose(raw_a->boxes, raw_b->boxes, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(raw_a->objectness, raw_b->objectness, 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(raw_a->classes, raw_b->classes, 1e-5, 1e-6));
  // Without the way to the sigmoids, the probabilities of the rows stand for them.
  DetectorHead blind = *row_head;
  blind.logits.clear();
  const auto raw_c = read_predictions(blind, b.output(), 64, 64);
  ASSERT_TRUE(raw_c.is_ok());
  EXPECT_FALSE(raw_c->is_logits);
  EXPECT_TRUE(at::allclose(raw_c->classes, raw_b->classes.sigmoid(), 1e-5, 1e-6));
}

TEST(DetectorHead, BoxesAreDecodedAsTheMetricDoes) {
  const Graph graph = small_detector(false, 2, 64);
  const auto head = find_detector_head(graph);
  const Pass pass = forward(graph, *head, random_inputs(graph, 4, 1)[0]);
  const auto raw = read_predictions(*head, pass.output(), 64, 64);
  const at::Tensor boxes = decode_boxes(*raw).contiguous();
  std::vector<Tensor> maps;
  for (const at::Tensor& x : pass.outputs) maps.push_back(*from_torch(x.detach().contiguous()));
  const auto decoded = decode_yolox_maps(maps, 64, 64, 0);
  ASSERT_TRUE(decoded.is_ok());
  ASSERT_EQ(decoded->size(), 84u);
  for (int64_t i = 0; i < 84; ++i) {
    const float* b = boxes.data_ptr<float>() + i * 4;
    const Box& want = (*decoded)[static_cast<size_t>(i)];
    EXPECT_NEAR(b[0], want.x1, 1e-3);
    EXPECT_NEAR(b[1], want.y1, 1e-3);
    EXPECT_NEAR(b[2], want.x2, 1e-3);
    EXPECT_NEAR(b[3], want.y2, 1e-3);
  }
}

// A network of one convolution whose output goes through `op`.
Graph with_output(const Shape& input, const std::string& op) {
  Graph g;
  const ValueId x = g.add_value("x", DType::kFloat32, input);
  g.inputs = {x};
  g.add_node(op, {x}, {"y"}, {}, "last");
  g.outputs = {g.find_value("y")};
  g.value(g.outputs[0]).dtype = DType::kFloat32;
  return g;
}

TEST(DetectorHead, OutputsThatAreNoDetectors) {
  const auto refusal = [](const Graph& graph) {
    const auto head = find_detector_head(graph);
    return head.is_ok() ? "" : head.status().message();
  };
  const Shape classes = {Dim::named("N"), Dim::of(10)};
  EXPECT_NE(refusal(with_output(classes, "Relu")).find("is not that of a detector"), std::string::npos);
  const Shape few = {Dim::named("N"), Dim::of(5), Dim::of(8), Dim::of(8)};
  EXPECT_NE(refusal(with_output(few, "Relu")).find("5 + classes"), std::string::npos);
  const Shape map = {Dim::named("N"), Dim::of(7), Dim::of(8), Dim::of(8)};
  EXPECT_EQ(refusal(with_output(map, "Relu")), "");
  EXPECT_NE(refusal(with_output(map, "Sigmoid")).find("--distill"), std::string::npos) << "maps of probabilities";
  const Graph detector = small_detector(false, 2, 64);
  const auto head = find_detector_head(detector);
  const Pass pass = forward(detector, *head, random_inputs(detector, 4, 1)[0]);
  const auto wrong = read_predictions(*head, pass.output(), 60, 64);
  ASSERT_FALSE(wrong.is_ok());
  EXPECT_NE(wrong.status().message().find("60 x 64"), std::string::npos) << wrong.status().message();
}

}  // namespace
}  // namespace octet::training
