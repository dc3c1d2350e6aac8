// SmoothQuant keeps what a network computes and shrinks its activations.
#include <cmath>

#include "quantization/small_networks.h"
#include "repair/channel_sums.h"
#include "repair/host.h"
#include "repair/steps.h"

namespace octet {
namespace {

using octet::testing::NetBuilder;
using test::RandomHost;

// A normalization with a few huge channels and what reads it.
Graph transformer_part(bool spelled_out, bool second_reader) {
  NetBuilder b;
  const ValueId x = b.input("x", {2, 5, 8});
  Tensor scale = b.random({8}, 0.3f);
  scale.data<float>()[2] = 60;
  scale.data<float>()[5] = -25;
  const ValueId gamma = b.graph.add_constant("gamma", scale), beta = b.constant("beta", {8});
  ValueId v = kNoValue;
  if (spelled_out) {
    const Attributes last{{"axes", std::vector<int64_t>{-1}}};
    const ValueId centred = b.op("Sub", "sub", {x, b.op("ReduceMean", "mean", {x}, last)});
    const ValueId two = b.graph.add_constant("two", Tensor::scalar(2.0f)),
                  eps = b.graph.add_constant("eps", Tensor::scalar(1e-5f));
    const ValueId variance = b.op("ReduceMean", "variance", {b.op("Pow", "pow", {centred, two})}, last);
    v = b.op("Div", "div", {centred, b.op("Sqrt", "sqrt", {b.op("Add", "eps_add", {variance, eps})})});
    v = b.op("Add", "shift", {b.op("Mul", "scale", {v, gamma}), beta});
  } else {
    b.graph.opset = 17;
    v = b.op("LayerNormalization", "norm", {x, gamma, beta});
  }
  const ValueId q = b.op("MatMul", "q", {v, b.constant("q.weight", {8, 6}, 0.2f)});
  const ValueId k = b.op("MatMul", "k", {v, b.constant("k.weight", {8, 6}, 0.2f)});
  std::vector<ValueId> outputs{q, k};
  if (second_reader) outputs.push_back(b.op("Neg", "other", {v}));
  return b.finish(outputs);
}

double largest(const Graph& g, const std::string& tensor) {
  const auto sums = repair::channel_sums(g, {{tensor, -1}}, RandomHost(g, 4), "");
  EXPECT_TRUE(sums.is_ok());
  return *std::max_element((*sums)[0].abs_max.begin(), (*sums)[0].abs_max.end());
}

TEST(SmoothQuant, KeepsTheFunctionAndEvensOutChannels) {
  for (bool spelled_out : {false, true}) {
    const Graph before = transformer_part(spelled_out, false);
    Graph after = before;
    const auto step = repair::smooth_quant(after, {}, RandomHost(before, 4));
    ASSERT_TRUE(step.is_ok()) << step.status().message();
    EXPECT_EQ(step->changed, 1) << spelled_out;
    EXPECT_TRUE(test::outputs_near(test::outputs_of(before), test::outputs_of(after), 1e-5)) << spelled_out;
    const std::string tensor = spelled_out ? "shift_out" : "norm_out";
    EXPECT_LT(largest(after, tensor), 0.25 * largest(before, tensor));
  }
}

TEST(SmoothQuant, FollowsEquationFour) {
  const Graph before = transformer_part(false, false);
  const auto sums = repair::channel_sums(before, {{"norm_out", -1}}, RandomHost(before, 4), "");
  ASSERT_TRUE(sums.is_ok());
  for (double alpha : {0.0, 0.3, 1.0}) {
    Graph after = before;
    ASSERT_TRUE(repair::smooth_quant(after, {alpha}, RandomHost(before, 4)).is_ok());
    const Tensor old_gamma = test::constant_of_graph(before, "gamma"),
                 gamma = test::constant_of_graph(after, "gamma");
    for (int64_t j = 0; j < 8; ++j) {
      double w = 0;
      for (const char* name : {"q.weight", "k.weight"})
        for (int64_t o = 0; o < 6; ++o)
          w = std::max(
              w, std::fabs(static_cast<double>(test::constant_of_graph(before, name).data<float>()[j * 6 + o])));
      const double s = std::pow((*sums)[0].abs_max[static_cast<size_t>(j)], alpha) / std::pow(w, 1 - alpha);
      EXPECT_NEAR(gamma.data<float>()[j] * s / old_gamma.data<float>()[j], 1, 1e-5);
    }
  }
}

TEST(SmoothQuant, AnotherReaderForbidsIt) {
  const Graph before = transformer_part(false, true);
  Graph after = before;
  const auto step = repair::smooth_quant(after, {}, RandomHost(before, 4));
  ASSERT_TRUE(step.is_ok());
  EXPECT_EQ(step->changed, 0);
  ASSERT_EQ(step->skipped.size(), 1u);
  EXPECT_NE(step->skipped[0].find("'other' (Neg)"), std::string::npos) << step->skipped[0];
  EXPECT_TRUE(test::outputs_identical(test::outputs_of(before), test::outputs_of(after)));
}

}  // namespace
}  // namespace octet
