// Where quantizers stand, rule by rule (ALGORITHMS.md section 6), for each target.
#include "quantization/small_networks.h"

namespace octet::testing {
namespace {

using Strings = std::vector<std::string>;

Graph conv_relu_conv() {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId r = b.relu("relu1", b.conv("conv1", x, 16, 16));
  return b.finish({b.conv("conv2", r, 16, 16)});
}

// x -> conv1 -> relu1 -> (conv2 -> relu2 -> conv3) + relu1 -> relu4 -> conv5
Graph identity_block() {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId r1 = b.relu("relu1", b.conv("conv1", x, 16, 16));
  const ValueId r2 = b.relu("relu2", b.conv("conv2", r1, 16, 16));
  const ValueId c3 = b.conv("conv3", r2, 16, 16);
  const ValueId r4 = b.relu("relu4", b.op("Add", "add", {c3, r1}));
  return b.finish({b.conv("conv5", r4, 16, 16)});
}

TEST(Placement, BothInputsOfAWeightedOpAndNothingInsideItsFusion) {
  for (const char* target : {"tensorrt", "openvino", "octet", "onnxruntime"}) {
    const QuantizationPlan plan = prepared(conv_relu_conv(), options_for(target));
    EXPECT_EQ(readers_of(plan, "x"), (Strings{"conv1:0"})) << target;
    EXPECT_EQ(readers_of(plan, "conv1.weight"), (Strings{"conv1:1"})) << target;
    EXPECT_EQ(readers_of(plan, "relu1_out"), (Strings{"conv2:0"})) << target;
    EXPECT_FALSE(is_quantized(plan, "conv1_out")) << target;
    EXPECT_FALSE(is_quantized(plan, "conv2_out")) << target << ": a network output stays in float";
    EXPECT_FALSE(is_quantized(plan, "conv1.bias")) << target;
    EXPECT_EQ(decision_of(plan, "relu1").decision, NodeDecision::kFused);
    EXPECT_EQ(plan.tensors.at("conv1.weight").axis, 0);
    EXPECT_EQ(plan.tensors_to_observe(), (Strings{"relu1_out", "x"}));
  }
}

TEST(Placement, TypesFollowTheTarget) {
  const QuantizationPlan trt = prepared(conv_relu_conv(), options_for("tensorrt"));
  EXPECT_EQ(trt.tensors.at("x").dtype, DType::kInt8);
  EXPECT_TRUE(trt.tensors.at("x").symmetric);
  EXPECT_FALSE(decision_of(trt, "conv1").integer_bias);
  const QuantizationPlan ort = prepared(conv_relu_conv(), options_for("onnxruntime"));
  EXPECT_EQ(ort.tensors.at("x").dtype, DType::kUint8);
  EXPECT_FALSE(ort.tensors.at("x").symmetric);
  EXPECT_EQ(ort.tensors.at("conv1.weight").dtype, DType::kInt8);
  EXPECT_TRUE(decision_of(ort, "conv1").integer_bias);
}

TEST(Placement, EveryNodeHasAReason) {
  for (const char* target : {"tensorrt", "onnxruntime"})
    for (const NodePlan& n : prepared(identity_block(), options_for(target)).nodes)
      EXPECT_FALSE(n.why.empty()) << n.name;
}

TEST(Placement, IdentityShortcutSharesOneQuantizer) {
  const QuantizationPlan plan = prepared(identity_block(), options_for("tensorrt"));
  EXPECT_EQ(readers_of(plan, "relu1_out"), (Strings{"conv2:0", "add:1"}));
  EXPECT_FALSE(is_quantized(plan, "conv3_out")) << "the convolution branch stays in the accumulators";
  EXPECT_FALSE(is_quantized(plan, "add_out"));
  EXPECT_EQ(readers_of(plan, "relu4_out"), (Strings{"conv5:0"}));
  EXPECT_EQ(decision_of(plan, "add").decision, NodeDecision::kFused);
}

TEST(Placement, IntegerAddQuantizesBothBranches) {
  for (const char* target : {"onnxruntime", "octet"}) {
    const QuantizationPlan plan = prepared(identity_block(), options_for(target));
    EXPECT_EQ(readers_of(plan, "relu1_out"), (Strings{"conv2:0", "add:1"})) << target;
    EXPECT_EQ(readers_of(plan, "conv3_out"), (Strings{"add:0"})) << target;
    EXPECT_FALSE(is_quantized(plan, "add_out")) << target;
    EXPECT_EQ(decision_of(plan, "add").decision, NodeDecision::kInteger) << target;
  }
}

TEST(Placement, MappingChangesTheResidualAdd) {
  QuantizationOptions options = options_for("octet");
  options.mappings["residual_add"] = "quantize_skip";
  EXPECT_FALSE(is_quantized(prepared(identity_block(), options), "conv3_out"));
  options.mappings["residual_add"] = "float";
  const QuantizationPlan plan = prepared(identity_block(), options);
  EXPECT_EQ(readers_of(plan, "relu1_out"), (Strings{"conv2:0"}));
  EXPECT_EQ(decision_of(plan, "add").decision, NodeDecision::kFloat);
}

// The projection comes last in the file, as exporters write it, and first as the left operand.
Graph projection_block(bool projection_left) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId r2 = b.relu("relu2", b.conv("conv1", x, 16, 32));
  const ValueId main = b.conv("conv2", r2, 32, 32);
  const ValueId proj = b.conv("proj", x, 16, 32, 1);
  const ValueId sum = projection_left ? b.op("Add", "add", {proj, main}) : b.op("Add", "add", {main, proj});
  return b.finish({b.conv("conv3", b.relu("relu3", sum), 32, 16)});
}

TEST(Placement, ProjectionShortcutIsQuantizedAfterItsConvolution) {
  for (const bool left : {false, true}) {
    const QuantizationPlan plan = prepared(projection_block(left), options_for("tensorrt"));
    EXPECT_EQ(readers_of(plan, "proj_out"), (Strings{left ? "add:0" : "add:1"}));
    EXPECT_FALSE(is_quantized(plan, "conv2_out"));
    EXPECT_EQ(readers_of(plan, "x"), (Strings{"conv1:0", "proj:0"}));
  }
}

TEST(Placement, AddOfTwoPlainTensorsQuantizesBoth) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId p = b.relu("relu1", b.conv("conv1", x, 16, 16)), q = b.relu("relu2", b.conv("conv2", x, 16, 16));
  const Graph g = b.finish({b.conv("conv3", b.op("Add", "add", {p, q}), 16, 16)});
  const QuantizationPlan plan = prepared(g, options_for("tensorrt"));
  EXPECT_EQ(readers_of(plan, "relu1_out"), (Strings{"add:0"}));
  EXPECT_EQ(readers_of(plan, "relu2_out"), (Strings{"add:1"}));
  EXPECT_EQ(readers_of(plan, "add_out"), (Strings{"conv3:0"}));
}

TEST(Placement, ConcatSharesOneScale) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId p = b.relu("relu1", b.conv("conv1", x, 16, 16)), q = b.relu("relu2", b.conv("conv2", x, 16, 16));
  const Graph g = b.finish({b.conv("conv3", b.op("Concat", "cat", {p, q}, {{"axis", int64_t{1}}}), 32, 16)});
  for (const char* target : {"tensorrt", "onnxruntime", "octet"}) {
    const QuantizationPlan plan = prepared(g, options_for(target));
    EXPECT_EQ(plan.tensors.at("relu1_out").covers, (Strings{"relu1_out", "relu2_out"})) << target;
    EXPECT_EQ(plan.tensors.at("relu2_out").same_as, "relu1_out") << target;
    EXPECT_EQ(plan.tensors.at("cat_out").same_as, "relu1_out") << target;
    EXPECT_EQ(plan.tensors_to_observe(), (Strings{"relu1_out", "relu2_out", "x"})) << "the copy needs no statistics";
  }
  const Quantized done = quantize_all(g, options_for("octet"));
  const TensorRangeEntry &r1 = done.ranges.tensors.at("relu1_out"), &r2 = done.ranges.tensors.at("relu2_out");
  EXPECT_FLOAT_EQ(done.plan.params_of("cat_out")->scale[0], std::max(r1.hi[0], r2.hi[0]) / 255.0f);
  QuantizationOptions separate = options_for("octet");
  separate.mappings["concat"] = "separate";
  const QuantizationPlan own = prepared(g, separate);
  EXPECT_TRUE(own.tensors.at("relu2_out").same_as.empty());
  EXPECT_TRUE(own.tensors.at("cat_out").same_as.empty());
}

// relu1 is read by the concatenation and by conv4, relu2 by the concatenation alone.
TEST(Placement, ConcatLeavesAnInputItsOwnScaleWhenOthersWouldPay) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId p = b.relu("relu1", b.conv("conv1", x, 16, 16)), q = b.relu("relu2", b.conv("conv2", x, 16, 16));
  const ValueId joined = b.conv("conv3", b.op("Concat", "cat", {p, q}, {{"axis", int64_t{1}}}), 32, 16);
  const Graph g = b.finish({b.conv("conv5", b.op("Add", "add", {joined, b.conv("conv4", p, 16, 16)}), 16, 16)});
  const auto planned = [&](float wide1, float wide2, QuantizationOptions options) {
    Ranges ranges = quantize_all(g, options).ranges;
    ranges.tensors.at("relu1_out").hi = {wide1};
    ranges.tensors.at("relu2_out").hi = {wide2};
    return SelectiveQuantizer(options).finish(g, ranges).value();
  };
  const QuantizationOptions selective = options_for("octet", Regime::kSelective);
  const QuantizationPlan near = planned(1, 1.9f, selective);
  EXPECT_EQ(near.params_of("relu1_out")->scale, near.params_of("cat_out")->scale) << "less than a bit";

  const QuantizationPlan far = planned(1, 10, selective);
  EXPECT_FLOAT_EQ(far.params_of("relu1_out")->scale[0], 1 / 255.0f);
  EXPECT_FLOAT_EQ(far.params_of("relu2_out")->scale[0], 10 / 255.0f);
  EXPECT_FLOAT_EQ(far.params_of("cat_out")->scale[0], 10 / 255.0f);
  EXPECT_EQ(far.tensors.at("relu2_out").covers, (Strings{"relu1_out", "relu2_out"}));
  EXPECT_EQ(decision_of(far, "cat").decision, NodeDecision::kInteger);
  EXPECT_NE(decision_of(far, "cat").why.find("'relu1_out' keeps its own scale"), std::string::npos);

  const QuantizationPlan other = planned(10, 1, selective);
  EXPECT_EQ(other.params_of("relu2_out")->scale, other.params_of("cat_out")->scale) << "nobody else reads it";
  QuantizationOptions asked = selective;
  asked.mappings["concat"] = "shared_scale";
  EXPECT_FLOAT_EQ(planned(1, 10, asked).params_of("relu1_out")->scale[0], 10 / 255.0f);
  EXPECT_FLOAT_EQ(planned(1, 10, options_for("octet", Regime::kNaive)).params_of("relu1_out")->scale[0], 10 / 255.0f);
}

TEST(Placement, CommutingOpsCarryTheQuantizer) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId r = b.relu("relu1", b.conv("conv1", x, 16, 16));
  const ValueId p = b.op("MaxPool", "pool", {r}, {{"kernel_shape", std::vector<int64_t>{2, 2}}});
  const Graph g = b.finish({b.conv("conv2", p, 16, 16)});
  const QuantizationPlan plan = prepared(g, options_for("tensorrt"));
  EXPECT_EQ(readers_of(plan, "relu1_out"), (Strings{"pool:0"}));
  EXPECT_EQ(readers_of(plan, "pool_out"), (Strings{"conv2:0"}));
  EXPECT_EQ(plan.tensors.at("pool_out").same_as, "relu1_out");
  EXPECT_EQ(decision_of(plan, "pool").decision, NodeDecision::kCarries);
  EXPECT_EQ(plan.tensors_to_observe(), (Strings{"relu1_out", "x"}));
}

// Option A of He et al. 2015: every second pixel, and zero channels in front and behind.
TEST(Placement, StridedSliceAndChannelPadNeedNoOwnQuantizer) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId r1 = b.relu("relu1", b.conv("conv1", x, 16, 16));
  const ValueId c2 = b.op("Conv", "conv2", {r1, b.constant("conv2.weight", {32, 16, 3, 3}, 0.2f)},
                          {{"strides", std::vector<int64_t>{2, 2}}, {"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  const ValueId half =
      b.op("Slice", "slice",
           {r1, b.ints("starts", {0, 0}), b.ints("ends", {8, 8}), b.ints("axes", {2, 3}), b.ints("steps", {2, 2})});
  const ValueId wide = b.op("Pad", "pad", {half, b.ints("pads", {0, 8, 0, 0, 0, 8, 0, 0})});
  const Graph g = b.finish({b.conv("conv3", b.relu("relu2", b.op("Add", "add", {c2, wide})), 32, 16)});
  for (const char* target : {"tensorrt", "onnxruntime", "octet"}) {
    const QuantizationPlan plan = prepared(g, options_for(target));
    EXPECT_EQ(readers_of(plan, "relu1_out"), (Strings{"conv2:0", "slice:0"})) << target;
    EXPECT_EQ(plan.tensors.at("slice_out").same_as, "relu1_out") << target;
    EXPECT_EQ(plan.tensors.at("pad_out").same_as, "relu1_out") << target;
    EXPECT_EQ(readers_of(plan, "pad_out"), (Strings{"add:1"})) << target;
  }
}

TEST(Placement, PadWithAnotherValueDoesNotCommute) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId r1 = b.relu("relu1", b.conv("conv1", x, 16, 16));
  const ValueId five = b.graph.add_constant("five", Tensor::scalar<float>(5));
  const ValueId wide = b.op("Pad", "pad", {r1, b.ints("pads", {0, 0, 1, 1, 0, 0, 1, 1}), five});
  const QuantizationPlan plan = prepared(b.finish({b.conv("conv2", wide, 16, 16)}), options_for("tensorrt"));
  EXPECT_FALSE(is_quantized(plan, "relu1_out"));
  EXPECT_TRUE(plan.tensors.at("pad_out").same_as.empty());
}

Graph silu_net() {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId c = b.conv("conv1", x, 16, 16);
  const ValueId y = b.op("Mul", "mul", {c, b.op("Sigmoid", "sig", {c})});
  return b.finish({b.conv("conv2", y, 16, 16)});
}

TEST(Placement, SiluIsOneBlock) {
  const QuantizationPlan trt = prepared(silu_net(), options_for("tensorrt"));
  EXPECT_FALSE(is_quantized(trt, "conv1_out"));
  EXPECT_FALSE(is_quantized(trt, "sig_out"));
  EXPECT_EQ(readers_of(trt, "mul_out"), (Strings{"conv2:0"}));
  EXPECT_EQ(decision_of(trt, "sig").decision, NodeDecision::kFused);
  const QuantizationPlan ort = prepared(silu_net(), options_for("onnxruntime"));
  EXPECT_EQ(readers_of(ort, "conv1_out"), (Strings{"sig:0", "mul:0"}));
  EXPECT_EQ(readers_of(ort, "sig_out"), (Strings{"mul:1"}));
  QuantizationOptions table = options_for("octet");
  table.mappings["silu"] = "quantize_input";
  const QuantizationPlan oct = prepared(silu_net(), table);
  EXPECT_EQ(readers_of(oct, "conv1_out"), (Strings{"sig:0", "mul:0"}));
  EXPECT_FALSE(is_quantized(oct, "sig_out"));
}

TEST(Placement, DepthwiseWeightsUseAxisZero) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 32, 8, 8});
  const Graph g = b.finish({b.conv("pw", b.relu("relu", b.conv("dw", x, 32, 32, 3, 32)), 32, 16, 1)});
  const QuantizationPlan plan = prepared(g, options_for("tensorrt"));
  EXPECT_EQ(plan.tensors.at("dw.weight").axis, 0);
  EXPECT_EQ(plan.tensors.at("pw.weight").axis, 0);
}

TEST(Placement, ConvTransposeChannelsAreOnAxisOneUnlessGrouped) {
  for (const int64_t group : {int64_t{1}, int64_t{2}}) {
    NetBuilder b;
    const ValueId x = b.input("x", {1, 32, 8, 8});
    const ValueId w = b.constant("up.weight", {32, 16 / group, 2, 2});
    const ValueId y =
        b.op("ConvTranspose", "up", {x, w}, {{"group", group}, {"strides", std::vector<int64_t>{2, 2}}});
    const QuantizationPlan plan = prepared(b.finish({b.op("Relu", "relu", {y})}), options_for("tensorrt"));
    EXPECT_EQ(plan.tensors.at("up.weight").axis, group == 1 ? 1 : -1);
    EXPECT_EQ(plan.tensors.at("up.weight").why.find("groups") != std::string::npos, group != 1);
  }
}

TEST(Placement, GemmAndMatMulAxes) {
  for (const int64_t trans_b : {int64_t{0}, int64_t{1}}) {
    NetBuilder b;
    const ValueId x = b.input("x", {24, 4});
    const ValueId w = b.constant("fc.weight", trans_b != 0 ? Dims{10, 24} : Dims{24, 10});
    const ValueId y = b.op("Gemm", "fc", {x, w}, {{"transA", int64_t{1}}, {"transB", trans_b}});
    const ValueId z = b.op("MatMul", "mm", {y, b.constant("mm.weight", {10, 6})});
    const QuantizationPlan plan = prepared(b.finish({z}), options_for("octet"));
    EXPECT_EQ(plan.tensors.at("fc.weight").axis, trans_b != 0 ? 0 : 1);
    EXPECT_EQ(plan.tensors.at("mm.weight").axis, 1);
  }
}

TEST(Placement, MatMulOfTwoActivationsQuantizesBoth) {
  NetBuilder b;
  const ValueId x = b.input("x", {4, 8}), y = b.input("y", {8, 4});
  const QuantizationPlan plan = prepared(b.finish({b.op("MatMul", "mm", {x, y})}), options_for("octet"));
  EXPECT_EQ(readers_of(plan, "x"), (Strings{"mm:0"}));
  EXPECT_EQ(readers_of(plan, "y"), (Strings{"mm:1"}));
  EXPECT_EQ(plan.tensors.at("y").role, TensorRole::kActivation);
}

TEST(Placement, SharedWeightsGetOneQuantizer) {
  NetBuilder b;
  const ValueId x = b.input("x", {16, 16});
  const ValueId w = b.constant("w", {16, 16});
  const ValueId y = b.op("Gemm", "fc1", {x, w}, {{"transB", int64_t{1}}});
  const Graph same = b.finish({b.op("Gemm", "fc2", {y, w}, {{"transB", int64_t{1}}})});
  EXPECT_EQ(readers_of(prepared(same, options_for("octet")), "w"), (Strings{"fc1:1", "fc2:1"}));
  EXPECT_EQ(prepared(same, options_for("octet")).tensors.at("w").axis, 0);
  NetBuilder c;
  const ValueId u = c.input("x", {16, 16});
  const ValueId v = c.constant("w", {16, 16});
  const ValueId z = c.op("Gemm", "fc1", {u, v}, {{"transB", int64_t{1}}});
  const QuantizationPlan plan = prepared(c.finish({c.op("Gemm", "fc2", {z, v})}), options_for("octet"));
  EXPECT_EQ(plan.tensors.at("w").axis, -1) << "rows for one reader, columns for the other";
}

TEST(Placement, OnnxRuntimeQuantizesEveryResultButTheOutputs) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId c1 = b.conv("conv1", x, 16, 16);
  const ValueId s = b.op("Softmax", "soft", {c1}, {{"axis", int64_t{1}}});
  const ValueId c2 = b.conv("conv2", s, 16, 16);
  const Graph g = b.finish({b.op("Reshape", "reshape", {c2, b.ints("shape", {1, -1})})});
  const QuantizationPlan ort = prepared(g, options_for("onnxruntime"));
  EXPECT_EQ(readers_of(ort, "conv1_out"), (Strings{"soft:0"})) << "else ONNX Runtime convolves in float";
  EXPECT_FALSE(is_quantized(ort, "conv2_out")) << "reshaped, this is the network's output";
  EXPECT_FALSE(is_quantized(prepared(g, options_for("tensorrt")), "conv1_out"));
}

TEST(Placement, GraphOutputsStayFloatForTheOutside) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId r = b.relu("relu1", b.conv("conv1", x, 16, 16));
  const ValueId y = b.conv("conv2", r, 16, 16);
  const Graph g = b.finish({r, y});
  const Quantized q = quantize_all(g, options_for("octet"));
  EXPECT_EQ(readers_of(q.plan, "relu1_out"), (Strings{"conv2:0"}));
  ASSERT_EQ(q.graph.outputs.size(), 2u);
  EXPECT_EQ(q.graph.value(q.graph.outputs[0]).name, "relu1_out");
  EXPECT_EQ(q.graph.value(q.graph.outputs[1]).name, "conv2_out");
}

TEST(Placement, AveragePoolNeedsQuantizersAroundItWhereItsResultIsQuantized) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId r = b.relu("relu1", b.conv("conv1", x, 16, 16));
  const ValueId flat = b.op("Flatten", "flat", {b.op("GlobalAveragePool", "gap", {r})});
  const Graph g = b.finish({b.op("Gemm", "fc", {flat, b.constant("fc.weight", {16, 10})})});
  const QuantizationPlan plan = prepared(g, options_for("octet"));
  EXPECT_EQ(readers_of(plan, "relu1_out"), (Strings{"gap:0"}));
  EXPECT_EQ(readers_of(plan, "gap_out"), (Strings{"flat:0"}));
  EXPECT_TRUE(plan.tensors.at("gap_out").same_as.empty()) << "an average has its own range";
  EXPECT_EQ(plan.tensors.at("flat_out").same_as, "gap_out");
}

TEST(Placement, SelectiveKeepsThinConvolutionsInFloatAndNaiveDoesNot) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 3, 8, 8});
  const ValueId r = b.relu("relu1", b.conv("thin", x, 3, 8));
  const Graph g = b.finish({b.conv("wide", b.relu("relu2", b.conv("conv", r, 8, 32)), 32, 8)});
  const QuantizationPlan selective = prepared(g, options_for("octet", Regime::kSelective));
  EXPECT_EQ(decision_of(selective, "thin").decision, NodeDecision::kFloat);
  EXPECT_NE(decision_of(selective, "thin").why.find("rule 7"), std::string::npos);
  EXPECT_EQ(decision_of(selective, "conv").decision, NodeDecision::kQuantized);
  EXPECT_EQ(selective.tensors.at("relu1_out").calibrator, "auto");
  const QuantizationPlan naive = prepared(g, options_for("octet", Regime::kNaive));
  EXPECT_EQ(decision_of(naive, "thin").decision, NodeDecision::kQuantized);
  EXPECT_EQ(naive.tensors.at("x").calibrator, "percentile");
}

// Three branches on one feature: boxes (4 channels), objectness and classes under a Sigmoid, as anchor-free heads do.
Graph detector() {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId f = b.relu("relu1", b.conv("conv1", x, 16, 32));
  const ValueId box = b.conv("box", f, 32, 4, 1);
  const ValueId obj = b.op("Sigmoid", "sig1", {b.conv("obj", f, 32, 1, 1)});
  const ValueId cls = b.op("Sigmoid", "sig2", {b.conv("cls", f, 32, 20, 1)});
  return b.finish({b.op("Concat", "cat", {box, obj, cls}, {{"axis", int64_t{1}}})});
}

TEST(Placement, BoxRegressionIsFoundByStructure) {
  const QuantizationPlan plan = prepared(detector(), options_for("onnxruntime", Regime::kSelective));
  EXPECT_EQ(decision_of(plan, "box").decision, NodeDecision::kFloat);
  EXPECT_NE(decision_of(plan, "box").why.find("box"), std::string::npos);
  EXPECT_EQ(decision_of(plan, "cls").decision, NodeDecision::kQuantized);
  EXPECT_FALSE(is_quantized(plan, "cls_out")) << "only unweighted ops follow: this is the output";
}

TEST(Placement, LinearResizeIsNoCopy) {
  for (const char* mode : {"nearest", "linear"}) {
    NetBuilder b;
    const ValueId x = b.input("x", {1, 16, 4, 4});
    const ValueId r = b.relu("relu1", b.conv("conv1", x, 16, 16));
    const ValueId scales = b.graph.add_constant("scales", Tensor::from<float>({4}, {1, 1, 2, 2}));
    const ValueId y = b.op("Resize", "up", {r, kNoValue, scales}, {{"mode", std::string(mode)}});
    const QuantizationPlan plan = prepared(b.finish({b.conv("conv2", y, 16, 16)}), options_for("octet"));
    EXPECT_TRUE(is_quantized(plan, "relu1_out"));
    EXPECT_EQ(plan.tensors.at("up_out").same_as, std::string(mode) == "nearest" ? "relu1_out" : "");
  }
}

TEST(Placement, RefusesAQuantizedNetworkAndBadWeights) {
  const Quantized q = quantize_all(conv_relu_conv(), options_for("octet"));
  const auto twice = SelectiveQuantizer(options_for("octet")).prepare(q.graph);
  ASSERT_FALSE(twice.is_ok());
  EXPECT_NE(twice.status().message().find("quantized already"), std::string::npos);
  Graph g = conv_relu_conv();
  g.value(g.find_value("conv2.weight")).constant->data<float>()[3] = NAN;
  const auto bad = SelectiveQuantizer(options_for("octet")).prepare(g);
  ASSERT_FALSE(bad.is_ok());
  EXPECT_NE(bad.status().message().find("'conv2'"), std::string::npos);
  EXPECT_NE(bad.status().message().find("'conv2.weight'"), std::string::npos);
}

}  // namespace
}  // namespace octet::testing
