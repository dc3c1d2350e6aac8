// The Q/DQ graph computes what the plan says: every quantized reader sees the fake-quantized tensor, nobody else
// does.
#include <cmath>

#include "arith/quantize.h"
#include "quantization/small_networks.h"

namespace octet::testing {
namespace {

// Runs the float graph node by node and puts the plan's fake quantization on each edge it names: no Q/DQ node and
// none of the insertion code takes part.
std::vector<Tensor> simulate(const Graph& graph, const QuantizationPlan& plan, const std::vector<Tensor>& inputs) {
  std::map<ValueId, Tensor> values;
  for (size_t i = 0; i < inputs.size(); ++i) values[graph.inputs[i]] = inputs[i];
  auto value_of = [&](ValueId id) { return graph.is_constant(id) ? *graph.value(id).constant : values.at(id); };
  std::map<std::string, NodePlan> decisions;
  for (const NodePlan& n : plan.nodes) decisions[n.name] = n;
  for (const Node& node : graph.nodes) {
    std::vector<Tensor> args;
    std::vector<const Tensor*> pointers;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      Tensor t;
      if (node.inputs[k] != kNoValue) {
        t = value_of(node.inputs[k]);
        const auto it = plan.tensors.find(graph.value(node.inputs[k]).name);
        const TensorReader me{node.name, static_cast<int>(k)};
        const bool reads = it != plan.tensors.end() && std::find(it->second.readers.begin(), it->second.readers.end(),
                                                                 me) != it->second.readers.end();
        if (reads) t = fake_quantize(t, *plan.params_of(it->first)).value();
      }
      if (k == 2 && decisions[node.name].integer_bias) {
        const QuantParams &x = *plan.params_of(graph.value(node.inputs[0]).name),
                          &w = *plan.params_of(graph.value(node.inputs[1]).name);
        t = t.clone();
        for (int64_t c = 0; c < t.numel(); ++c) {
          const float s = x.scale[0] * w.scale[w.per_tensor() ? 0 : static_cast<size_t>(c)];
          t.data<float>()[c] = static_cast<float>(std::nearbyint(static_cast<double>(t.data<float>()[c]) / s)) * s;
        }
      }
      args.push_back(std::move(t));
    }
    for (size_t k = 0; k < args.size(); ++k) pointers.push_back(node.inputs[k] == kNoValue ? nullptr : &args[k]);
    const auto outputs = run_node(node, graph.opset, pointers);
    EXPECT_TRUE(outputs.is_ok()) << outputs.status().message();
    for (size_t k = 0; k < node.outputs.size() && outputs.is_ok(); ++k)
      if (node.outputs[k] != kNoValue) values[node.outputs[k]] = (*outputs)[k];
  }
  std::vector<Tensor> results;
  for (ValueId out : graph.outputs) results.push_back(values.at(out));
  return results;
}

void expect_same(const std::vector<Tensor>& a, const std::vector<Tensor>& b, const std::string& what) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(same_bits(a[i], b[i])) << what << ", output " << i;
}

TEST(Numerics, TheQuantizedGraphIsTheFakeQuantizedOneBitForBit) {
  const Graph g = mixed_network();
  for (const char* target : {"tensorrt", "onnxruntime", "openvino", "octet"}) {
    for (const Regime regime : {Regime::kNaive, Regime::kSelective}) {
      const Quantized q = quantize_all(g, options_for(target, regime));
      ASSERT_GT(count_ops(q.graph, "QuantizeLinear"), 5);
      const auto inputs = random_inputs(g, 99);
      const auto got = interpret(q.graph, inputs);
      ASSERT_TRUE(got.is_ok()) << got.status().message();
      expect_same(*got, simulate(g, q.plan, inputs), target);
    }
  }
}

TEST(Numerics, EightBitsStayCloseToFloat) {
  const Graph g = mixed_network();
  const Quantized q = quantize_all(g, options_for("octet"));
  const auto inputs = random_inputs(g, 1);
  const Tensor want = interpret(g, inputs).value()[0], got = interpret(q.graph, inputs).value()[0];
  double signal = 0, noise = 0;
  for (int64_t i = 0; i < want.numel(); ++i) {
    signal += want.data<float>()[i] * want.data<float>()[i];
    noise += std::pow(want.data<float>()[i] - got.data<float>()[i], 2);
  }
  EXPECT_GT(10 * std::log10(signal / noise), 25) << "dB";
  EXPECT_GT(noise, 0) << "nothing was quantized";
}

// The whole chain for one Gemm, by hand: x in [0, 2] as UINT8, weights per column, the bias at scale s_x * s_w.
TEST(Numerics, OneGemmByHand) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 2});
  const ValueId w = b.graph.add_constant("w", Tensor::from<float>({2, 2}, {1.27f, -0.5f, 0.635f, 2.54f}));
  const ValueId c = b.graph.add_constant("c", Tensor::from<float>({2}, {0.1f, -0.2f}));
  const Graph g = b.finish({b.op("Gemm", "fc", {x, w, c})});
  QuantizationOptions options = integer_bias_options("octet");
  options.calibrator_i = "max";
  const SelectiveQuantizer quantizer(options);
  const auto plan = quantizer.prepare(g);
  ASSERT_TRUE(plan.is_ok());
  std::map<std::string, TensorStatistics> statistics;
  const std::vector<float> seen{0.0f, 2.0f};
  statistics["x"].add(seen.data(), 2);
  const auto ranges = quantizer.calibrate(g, *plan, statistics);
  ASSERT_TRUE(ranges.is_ok());
  const auto done = quantizer.finish(g, *ranges);
  ASSERT_TRUE(done.is_ok());
  const float sx = 2.0f / 255.0f, s0 = 1.27f / 127.0f, s1 = 2.54f / 127.0f;
  EXPECT_EQ(done->params_of("x")->scale[0], sx);
  EXPECT_EQ(done->params_of("w")->scale, (std::vector<float>{s0, s1}));
  const auto out = quantizer.quantize_module(g, *done);
  ASSERT_TRUE(out.is_ok()) << out.status().message();
  const auto result = interpret(*out, {Tensor::from<float>({1, 2}, {0.5f, 3.0f})});
  ASSERT_TRUE(result.is_ok()) << result.status().message();
  const int x0 = 64, x1 = 255;  // 0.5 / sx = 63.75; 3 is clipped
  const int acc0 = x0 * 127 + x1 * 64 + static_cast<int>(std::nearbyint(0.1 / (sx * s0)));
  const int acc1 = x0 * -25 + x1 * 127 + static_cast<int>(std::nearbyint(-0.2 / (sx * s1)));
  EXPECT_NEAR((*result)[0].data<float>()[0], acc0 * (sx * s0), 1e-5);
  EXPECT_NEAR((*result)[0].data<float>()[1], acc1 * (sx * s1), 1e-5);
  EXPECT_EQ(out->value(out->find_value("w_q")).constant->data<int8_t>()[2], 64) << "63.5 goes to even";
}

TEST(Numerics, CommutingOpsChangeNoCode) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId p = b.op("MaxPool", "pool", {x}, {{"kernel_shape", std::vector<int64_t>{2, 2}}});
  const Graph g =
      b.finish({b.conv("conv", b.op("Transpose", "t", {p}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}}), 16, 16)});
  const Quantized q = quantize_all(g, options_for("octet"));
  std::map<std::string, Tensor> seen;
  ASSERT_TRUE(interpret(q.graph, random_inputs(g, 5), [&](ValueId id, const Tensor& t) {
                seen[q.graph.value(id).name] = t;
              }).is_ok());
  EXPECT_TRUE(same_bits(seen.at("pool_out"), seen.at("pool_out_dq"))) << "a second rounding changed the values";
  EXPECT_TRUE(same_bits(seen.at("t_out"), seen.at("t_out_dq")));
}

TEST(Numerics, FloatReadersSeeTheFloatTensor) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId r = b.relu("relu1", b.conv("conv1", x, 16, 16));
  const Graph g = b.finish({b.conv("conv2", r, 16, 16), b.op("Exp", "exp", {r})});
  const Quantized q = quantize_all(g, options_for("tensorrt"));
  EXPECT_EQ(q.graph.value(q.graph.find_node("exp")->inputs[0]).name, "relu1_out");
  EXPECT_EQ(q.graph.value(q.graph.find_node("conv2")->inputs[0]).name, "relu1_out_dq");
}

TEST(Numerics, QuantizersAreInsertedOnceAndWeightsLoseTheirFloats) {
  const Graph g = mixed_network();
  const Quantized q = quantize_all(g, integer_bias_options("octet"));
  int weights = 0, activations = 0;
  for (const auto& [name, t] : q.plan.tensors) {
    if (t.role == TensorRole::kWeight) {
      ++weights;
      EXPECT_EQ(q.graph.find_value(name), kNoValue) << "the float weights are still in the file";
      EXPECT_EQ(q.graph.value(q.graph.find_value(name + "_q")).constant->dtype(), DType::kInt8);
    } else {
      ++activations;
    }
  }
  EXPECT_EQ(weights, 6);
  EXPECT_EQ(count_ops(q.graph, "QuantizeLinear"), activations);
  int biases = 0;
  for (const NodePlan& n : q.plan.nodes) biases += n.integer_bias ? 1 : 0;
  EXPECT_EQ(biases, 5);
  EXPECT_EQ(count_ops(q.graph, "DequantizeLinear"), activations + weights + biases);
}

TEST(Numerics, SameInputsGiveTheSameGraph) {
  const Graph g = mixed_network();
  EXPECT_EQ(graph_fingerprint(quantize_all(g, options_for("octet")).graph),
            graph_fingerprint(quantize_all(g, options_for("octet")).graph));
}

TEST(Numerics, AHugeBiasRaisesTheWeightScale) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 4, 4});
  Graph g = b.finish({b.conv("conv", x, 16, 16)});
  float* w = g.value(g.find_value("conv.weight")).constant->data<float>();
  for (int i = 0; i < 16 * 9; ++i) w[i] *= 1e-6f;                           // channel 0 is nearly dead
  g.value(g.find_value("conv.bias")).constant->data<float>()[0] = 4000.0f;  // and lives by its bias
  const Quantized q = quantize_all(g, integer_bias_options("octet"));
  EXPECT_NE(q.plan.tensors.at("conv.weight").why.find("scale raised"), std::string::npos);
  const Tensor got = interpret(q.graph, random_inputs(g, 3)).value()[0];
  EXPECT_NEAR(got.data<float>()[0], 4000.0f, 1.0f);
}

// A channel without weights is its bias alone; scale 1 would round that to multiples of the input's scale.
TEST(Numerics, AnIntegerBiasOfADeadChannelKeepsItsPrecision) {
  for (const bool per_channel : {true, false}) {
    NetBuilder b;
    const ValueId x = b.input("x", {1, 16, 4, 4});
    Graph g = b.finish({b.conv("conv", x, 16, 16)});
    float* w = g.value(g.find_value("conv.weight")).constant->data<float>();
    for (int i = 0; i < (per_channel ? 2 : 16) * 16 * 9; ++i) w[i] = 0;  // two dead channels, or a dead layer
    float* bias = g.value(g.find_value("conv.bias")).constant->data<float>();
    bias[0] = 0.3f;
    bias[1] = -1e-5f;
    QuantizationOptions options = integer_bias_options("octet");
    options.per_channel = per_channel;
    const Quantized q = quantize_all(g, options);
    ASSERT_TRUE(decision_of(q.plan, "conv").integer_bias);
    const Tensor got = interpret(q.graph, random_inputs(g, 3)).value()[0];
    EXPECT_NEAR(got.data<float>()[0], 0.3f, 0.003f) << per_channel;
    if (per_channel) {
      EXPECT_NEAR(got.data<float>()[16], -1e-5f, 1e-7f);
    }
    EXPECT_NE(q.plan.tensors.at("conv.weight").why.find("of zeros"), std::string::npos);
  }
}

// ONNX Runtime stores the float biases of integer convolutions as INT32 codes of scale s_input * s_weight by itself,
// and a code beyond 32 bits turns its sign there.
TEST(Numerics, AFloatBiasFitsTheIntegersThatRuntimesMakeOfIt) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 4, 4});
  Graph g = b.finish({b.conv("conv", x, 16, 16)});
  float* w = g.value(g.find_value("conv.weight")).constant->data<float>();
  for (int i = 0; i < 16 * 9; ++i) w[i] *= 1e-6f;      // nearly dead, beside a large bias
  for (int i = 16 * 9; i < 2 * 16 * 9; ++i) w[i] = 0;  // dead, beside a small one
  float* bias = g.value(g.find_value("conv.bias")).constant->data<float>();
  bias[0] = 4000.0f;
  bias[1] = 1e-5f;
  const Quantized q = quantize_all(g, options_for("octet"));
  ASSERT_EQ(decision_of(q.plan, "conv").decision, NodeDecision::kQuantized);
  ASSERT_FALSE(decision_of(q.plan, "conv").integer_bias);
  const std::vector<float>& scales = q.plan.tensors.at("conv.weight").params.scale;
  const double input = static_cast<double>(q.plan.params_of("x")->scale[0]);
  for (size_t c = 0; c < 16; ++c) {
    const double code = static_cast<double>(bias[c]) / (input * static_cast<double>(scales[c]));
    EXPECT_LE(std::fabs(code), 0x1p30 * 1.001) << "channel " << c;
    if (c < 2) {
      EXPECT_GE(std::fabs(code), 100) << "channel " << c << " keeps its precision";
    }
  }
}

TEST(Numerics, AZeroTensorGetsAWarningAndStaysZero) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 4, 4});
  const ValueId zero = b.op("Mul", "mul", {x, b.graph.add_constant("z", Tensor::scalar<float>(0))});
  const Graph g = b.finish({b.conv("conv", zero, 16, 16)});
  const Quantized q = quantize_all(g, options_for("tensorrt"));
  ASSERT_EQ(q.ranges.warnings.size(), 1u);
  EXPECT_EQ(q.ranges.warnings[0].tensor, "mul_out");
  EXPECT_EQ(q.plan.params_of("mul_out")->scale[0], 1.0f);
  EXPECT_TRUE(interpret(q.graph, random_inputs(g, 0)).is_ok());
}

}  // namespace
}  // namespace octet::testing
