// The module with fake quantizers against the interpreter on the exported Q/DQ graph, before and after training.
#include <cmath>

#include "octet/onnx.h"
#include "passes/pass.h"
#include "quantization/params.h"
#include "quantization/small_networks.h"
#include "training/support.h"

namespace octet::training::test {
namespace {

using namespace octet::testing;  // NetBuilder and the steps of quantization

std::unique_ptr<TrainableModule> quantized_module(const Graph& graph, const QuantizationPlan& plan,
                                                  const TrainableOptions& options = {}) {
  auto module = TrainableModule::create(graph, plan, options);
  EXPECT_TRUE(module.is_ok()) << module.status().message();
  return module.is_ok() ? std::move(*module) : nullptr;
}

// Codes are equal up to the rounding of float sums: a sum next to a rounding border may fall to the other side, which
// moves one code by one step. So nearly all outputs are equal to rounding, and none is far off.
void expect_exported(const Graph& exported, TrainableModule& module) {
  int64_t total = 0, off = 0;
  double worst = 0, largest = 0;
  for (unsigned seed = 40; seed < 46; ++seed) {
    const std::vector<Tensor> inputs = octet::testing::random_inputs(exported, seed);
    const auto expected = interpret(exported, inputs);
    ASSERT_TRUE(expected.is_ok()) << expected.status().message();
    const at::NoGradGuard guard;
    const auto actual = module.forward(to_torch_all(inputs));
    ASSERT_TRUE(actual.is_ok()) << actual.status().message();
    for (size_t o = 0; o < expected->size(); ++o) {
      const Tensor y = from_torch((*actual)[o]).value();
      ASSERT_EQ(y.dims(), (*expected)[o].dims());
      for (int64_t i = 0; i < y.numel(); ++i) {
        const double e = static_cast<double>((*expected)[o].data<float>()[i]);
        const double d = std::abs(e - static_cast<double>(y.data<float>()[i]));
        largest = std::max(largest, std::abs(e));
        worst = std::max(worst, d);
        off += d > 1e-5 * (1 + std::abs(e)) ? 1 : 0;
        ++total;
      }
    }
  }
  EXPECT_LE(static_cast<double>(off), 0.1 * static_cast<double>(total));
  EXPECT_LE(worst, 0.001 * (1 + largest));
}

void train_steps(TrainableModule& module, const Graph& graph, int steps) {
  module.train();
  for (int i = 0; i < steps; ++i) {
    module.zero_grad();
    const auto outputs = module.forward(to_torch_all(octet::testing::random_inputs(graph, static_cast<unsigned>(i))));
    ASSERT_TRUE(outputs.is_ok()) << outputs.status().message();
    ((*outputs)[0] - 0.5).square().mean().backward();
    const at::NoGradGuard guard;
    const ParameterGroups groups = module.parameter_groups();
    for (const auto* group : {&groups.decay, &groups.no_decay})
      for (const NamedTensor& p : *group)
        if (p.tensor.grad().defined()) at::Tensor(p.tensor).sub_(p.tensor.grad() * 0.02);
    for (const NamedTensor& p : groups.ranges) {
      EXPECT_TRUE(p.tensor.grad().defined()) << p.name;
      if (p.tensor.grad().defined()) at::Tensor(p.tensor).sub_(p.tensor.grad().clamp(-1, 1) * 0.002);
    }
    module.after_step();
  }
  module.eval();
}

struct Variant {
  const char* name;
  const char* target;
  const char* precision;  // of every node; "" : the target's own
  RangeLearning activations;
  RangeLearning weights;
  bool per_channel;
  bool integer_bias;
};

class Qat : public ::testing::TestWithParam<Variant> {
 protected:
  QuantizationOptions options() const {
    QuantizationOptions o =
        GetParam().integer_bias ? integer_bias_options(GetParam().target) : options_for(GetParam().target);
    o.per_channel = GetParam().per_channel;
    if (std::string(GetParam().precision).empty()) return o;
    QuantizationRule rule;
    rule.glob = "*";
    rule.precision = GetParam().precision;
    o.rules = {rule};
    return o;
  }
  TrainableOptions learning() const {
    TrainableOptions t;
    t.activation_ranges = GetParam().activations;
    t.weight_ranges = GetParam().weights;
    return t;
  }
};

// A value that the caller wants to keep is computed by itself; otherwise a Relu or an Add and its quantizers are one
// pass.
void expect_together_is_apart(const Graph& graph, const QuantizationPlan& plan, const TrainableOptions& options) {
  std::vector<std::string> inner;
  for (const Node& node : graph.nodes)
    if (node.is("Relu") || node.is("Add")) inner.push_back(graph.value(node.outputs[0]).name);
  ASSERT_FALSE(inner.empty());
  std::vector<std::unique_ptr<TrainableModule>> modules;
  std::vector<at::Tensor> outputs;
  for (bool apart : {false, true}) {
    modules.push_back(quantized_module(graph, plan, options));
    ASSERT_NE(modules.back(), nullptr);
    modules.back()->train();
    ASSERT_TRUE(modules.back()->keep(apart ? inner : std::vector<std::string>()).is_ok());
    const auto y = modules.back()->forward(to_torch_all(octet::testing::random_inputs(graph, 3)));
    ASSERT_TRUE(y.is_ok()) << y.status().message();
    for (const std::string& name : apart ? inner : std::vector<std::string>())
      EXPECT_TRUE(modules.back()->kept(name).defined()) << name;
    (*y)[0].square().sum().backward();
    outputs.push_back((*y)[0].detach());
  }
  EXPECT_TRUE(at::equal(outputs[0], outputs[1]));
  for (size_t i = 0; i < modules[0]->parameters().size(); ++i) {
    const at::Tensor a = modules[0]->parameters()[i].tensor.grad(), b = modules[1]->parameters()[i].tensor.grad();
    ASSERT_EQ(a.defined(), b.defined()) << modules[0]->parameters()[i].name;
    EXPECT_TRUE(!a.defined() || at::allclose(a, b, 1e-4, 1e-5)) << modules[0]->parameters()[i].name;
  }
}

TEST_P(Qat, OnePassIsTheStepsApart) {
  const Graph graph = mixed_network();
  expect_together_is_apart(graph, quantize_all(graph, options()).plan, learning());
}

// Additions of two branches that nobody else reads, of one that others read, of a value to itself, and of a channel's
// mean.
Graph network_of_additions() {
  NetBuilder b;
  const ValueId r1 = b.relu("relu1", b.conv("conv1", b.input("x", {2, 3, 8, 8}), 3, 16));
  const ValueId both = b.op("Add", "add1", {b.conv("conv2", r1, 16, 16), b.conv("conv3", r1, 16, 16, 1)});
  const ValueId again = b.relu("relu2", b.op("Add", "add2", {b.conv("conv4", both, 16, 16), both}));
  const ValueId c5 = b.conv("conv5", again, 16, 16);
  const ValueId twice = b.relu("relu3", b.op("Add", "add3", {c5, c5}));
  const ValueId mean = b.op("GlobalAveragePool", "gap", {b.conv("conv6", twice, 16, 16)});
  const ValueId spread = b.relu("relu4", b.op("Add", "add4", {b.conv("conv7", twice, 16, 16), mean}));
  const ValueId flat =
      b.op("Flatten", "flat", {b.op("GlobalAveragePool", "gap2", {b.conv("conv8", spread, 16, 16)})});
  return b.finish({b.op("Gemm", "fc", {flat, b.constant("fc.weight", {10, 16}), b.constant("fc.bias", {10})},
                        {{"transB", int64_t{1}}})});
}

TEST_P(Qat, OnePassIsTheStepsApartInAdditions) {
  const Graph graph = network_of_additions();
  expect_together_is_apart(graph, quantize_all(graph, options()).plan, learning());
}

TEST_P(Qat, EqualsTheExportedNetworkBeforeAndAfterTraining) {
  Graph graph = mixed_network();
  const Quantized q = quantize_all(graph, options());
  ASSERT_GT(count_ops(q.graph, "DequantizeLinear"), 5);
  const auto module = quantized_module(graph, q.plan, learning());
  ASSERT_NE(module, nullptr);
  expect_exported(q.graph, *module);
  train_steps(*module, graph, 4);

  QuantizationPlan plan = q.plan;
  Ranges ranges = q.ranges;
  const Status written = module->write_back(graph, &plan, &ranges);
  ASSERT_TRUE(written.is_ok()) << written.message();
  const SelectiveQuantizer quantizer(options());
  const auto trained = quantizer.quantize_module(graph, plan);
  ASSERT_TRUE(trained.is_ok()) << trained.status().message();
  EXPECT_NE(graph_fingerprint(*trained), graph_fingerprint(q.graph));
  expect_exported(*trained, *module);

  // The way of PTQ from the trained ranges gives the same file, scale for scale.
  const auto again = ranges_from_json(ranges_to_json(ranges), "ranges.json");
  ASSERT_TRUE(again.is_ok()) << again.status().message();
  const auto finished = quantizer.finish(graph, *again);
  ASSERT_TRUE(finished.is_ok()) << finished.status().message();
  const auto from_ranges = quantizer.quantize_module(graph, *finished);
  ASSERT_TRUE(from_ranges.is_ok()) << from_ranges.status().message();
  EXPECT_EQ(*serialize_onnx(*from_ranges), *serialize_onnx(*trained));
  const auto plan_again = plan_from_json(plan_to_json(plan), "plan.json");
  ASSERT_TRUE(plan_again.is_ok()) << plan_again.status().message();
  EXPECT_EQ(*serialize_onnx(*quantizer.quantize_module(graph, *plan_again)), *serialize_onnx(*trained));
}

INSTANTIATE_TEST_SUITE_P(
    Variants, Qat,
    ::testing::Values(
        Variant{"lsq_int8", "tensorrt", "", RangeLearning::kLsq, RangeLearning::kLsq, true, false},
        Variant{"lsq_affine_uint8_int_bias", "onnxruntime", "", RangeLearning::kLsq, RangeLearning::kLsq, true, true},
        Variant{"lsq_octet", "octet", "", RangeLearning::kLsq, RangeLearning::kFixed, true, false},
        Variant{"pact_int8", "tensorrt", "", RangeLearning::kPact, RangeLearning::kPact, false, false},
        Variant{"pact_affine", "openvino", "", RangeLearning::kPact, RangeLearning::kFixed, true, false},
        Variant{"fixed", "onnxruntime", "", RangeLearning::kFixed, RangeLearning::kFixed, true, true},
        Variant{"w4a8", "octet", "w4a8", RangeLearning::kLsq, RangeLearning::kLsq, true, false},
        Variant{"w8a16", "octet", "int16", RangeLearning::kLsq, RangeLearning::kLsq, true, false},
        Variant{"fp8", "octet", "fp8e4m3", RangeLearning::kLsq, RangeLearning::kLsq, true, false}),
    [](const auto& info) { return std::string(info.param.name); });

// Every quantizer of the exported file is one of the module's, and no other. That of the 8-bit input is not learned.
TEST(QatPlacement, QuantizersAreThoseOfTheFile) {
  const Graph graph = mixed_network();
  const Quantized q = quantize_all(graph, options_for("tensorrt"));
  const auto module = quantized_module(graph, q.plan);
  std::set<std::string> expected, actual;
  for (const auto& [name, t] : q.plan.tensors)
    if (!t.readers.empty()) expected.insert((t.same_as.empty() ? name : t.same_as) + ".scale");
  for (const NamedTensor& p : module->parameter_groups().ranges) actual.insert(p.name);
  ASSERT_EQ(expected.erase("x.scale"), 1U);
  EXPECT_EQ(actual, expected);
  const std::vector<NamedTensor> kept = module->buffers();
  EXPECT_TRUE(std::any_of(kept.begin(), kept.end(), [](const NamedTensor& b) { return b.name == "x.scale"; }));
}

TEST(QatPlacement, PactOfChannelsIsRefused) {
  const Graph graph = mixed_network();
  const Quantized q = quantize_all(graph, options_for("tensorrt"));
  TrainableOptions options;
  options.weight_ranges = RangeLearning::kPact;
  const auto module = TrainableModule::create(graph, q.plan, options);
  ASSERT_FALSE(module.is_ok());
  EXPECT_NE(module.status().message().find("one range per channel, which PACT cannot learn"), std::string::npos);
}

// Plans come from files that people edit.
TEST(QatPlacement, DamagedPlansAreRefusedAndEditsHonoured) {
  const Graph graph = mixed_network();
  const Quantized q = quantize_all(graph, options_for("tensorrt"));
  QuantizationPlan bad = q.plan;
  bad.tensors.at("conv1.weight").params.scale[0] = -1.0f;
  EXPECT_FALSE(TrainableModule::create(graph, bad).is_ok());
  bad = q.plan;
  bad.tensors.at("conv1.weight").params.scale.pop_back();
  EXPECT_FALSE(TrainableModule::create(graph, bad).is_ok());
  bad = prepared(graph, options_for("tensorrt"));  // not finished
  EXPECT_FALSE(TrainableModule::create(graph, bad).is_ok());
  QuantizationPlan edited = q.plan;
  for (NodePlan& n : edited.nodes)
    if (n.name == "conv2") n.decision = NodeDecision::kFloat;
  const auto exported = SelectiveQuantizer(options_for("tensorrt")).quantize_module(graph, edited);
  ASSERT_TRUE(exported.is_ok()) << exported.status().message();
  const auto module = quantized_module(graph, edited);
  ASSERT_NE(module, nullptr);
  expect_exported(*exported, *module);
}

TEST(QatPlacement, PlansOfOtherNetworksAreRefused) {
  const Quantized q = quantize_all(mixed_network(), options_for("tensorrt"));
  EXPECT_FALSE(TrainableModule::create(octet::test::random_cnn(1), q.plan).is_ok());
}

// A Q/DQ file whose weights were folded to codes still runs: pairs are fake quantizers, codes are constants.
TEST(QatPlacement, QdqFilesRunAsTheyAre) {
  for (const char* target : {"tensorrt", "onnxruntime"}) {
    const Quantized q = quantize_all(mixed_network(), options_for(target));
    const auto module = module_of(q.graph);
    ASSERT_NE(module, nullptr);
    expect_exported(q.graph, *module);
  }
}

// conv -> batch norm, one with bias and one without, one grouped, with a residual addition.
Graph norm_network() {
  NetBuilder b;
  const ValueId x = b.input("x", {4, 3, 8, 8});
  const auto norm = [&](const std::string& name, ValueId in, int64_t c) {
    Tensor variance(DType::kFloat32, {c});
    for (int64_t i = 0; i < c; ++i) variance.data<float>()[i] = 0.5f + 0.1f * static_cast<float>(i);
    return b.op(
        "BatchNormalization", name,
        {in, b.constant(name + ".weight", {c}, 1.0f), b.constant(name + ".bias", {c}, 0.2f),
         b.constant(name + ".running_mean", {c}, 0.3f), b.graph.add_constant(name + ".running_var", variance)});
  };
  const ValueId a = b.relu("relu1", norm("bn1", b.conv("conv1", x, 3, 16), 16));
  const ValueId plain = b.op("Conv", "conv2", {a, b.constant("conv2.weight", {16, 16, 3, 3}, 0.1f)},
                             {{"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  const ValueId sum = b.relu("relu2", b.op("Add", "add", {norm("bn2", plain, 16), a}));
  const ValueId dw = b.relu("relu3", norm("bn3", b.conv("dw", sum, 16, 16, 3, 16), 16));
  const ValueId flat = b.op("Flatten", "flat", {b.op("GlobalAveragePool", "gap", {dw})});
  return b.finish({b.op("Gemm", "fc", {flat, b.constant("fc.weight", {10, 16}), b.constant("fc.bias", {10})},
                        {{"transB", int64_t{1}}})});
}

Graph folded(const Graph& graph) {
  Graph out = graph;
  const auto reports = run_passes(out);
  EXPECT_TRUE(reports.is_ok()) << reports.status().message();
  EXPECT_EQ(octet::testing::count_ops(out, "BatchNormalization"), 0);
  return out;
}

// Batch normalization stays live while the quantizers meet the folded weights; the export is the folded network.
TEST(QatBatchNorm, EqualsTheFoldedExportBeforeAndAfterTraining) {
  for (const char* target : {"tensorrt", "onnxruntime"})
    for (BatchNormMode mode : {BatchNormMode::kLive, BatchNormMode::kFrozen}) {
      SCOPED_TRACE(std::string(target) + (mode == BatchNormMode::kLive ? " live" : " frozen"));
      Graph graph = norm_network();
      const QuantizationOptions options = integer_bias_options(target);
      const Quantized q = quantize_all(folded(graph), options);
      TrainableOptions learning;
      learning.batch_norm = mode;
      const auto module = quantized_module(graph, q.plan, learning);
      ASSERT_NE(module, nullptr);
      expect_exported(q.graph, *module);
      train_steps(*module, graph, 4);
      for (const NamedTensor& p : module->parameters()) EXPECT_TRUE(p.tensor.grad().defined()) << p.name;
      QuantizationPlan plan = q.plan;
      Ranges ranges = q.ranges;
      const Status written = module->write_back(graph, &plan, &ranges);
      ASSERT_TRUE(written.is_ok()) << written.message();
      const auto statistics = graph.value(graph.find_value("bn1.running_mean")).constant;
      EXPECT_EQ(same_bits(*statistics, *norm_network().value(graph.find_value("bn1.running_mean")).constant),
                mode == BatchNormMode::kFrozen);
      const SelectiveQuantizer quantizer(options);
      const Graph after = folded(graph);
      const auto exported = quantizer.quantize_module(after, plan);
      ASSERT_TRUE(exported.is_ok()) << exported.status().message();
      expect_exported(*exported, *module);
      const auto finished = quantizer.finish(after, ranges);
      ASSERT_TRUE(finished.is_ok()) << finished.status().message();
      EXPECT_EQ(*serialize_onnx(*quantizer.quantize_module(after, *finished)), *serialize_onnx(*exported));
    }
}

// With the batch's statistics equal to the running ones, live and frozen are the same function.
TEST(QatBatchNorm, LiveIsFrozenWhereTheStatisticsAgree) {
  const Graph graph = norm_network();
  const Quantized q = quantize_all(folded(graph), options_for("tensorrt"));
  TrainableOptions fixed;
  fixed.activation_ranges = RangeLearning::kFixed;
  fixed.weight_ranges = RangeLearning::kFixed;
  const auto module = quantized_module(graph, q.plan, fixed);
  ASSERT_TRUE(module->keep({"bn1_out"}).is_ok());
  EXPECT_FALSE(module->keep({"conv1_out"}).is_ok());
  ASSERT_TRUE(module->keep({"bn1_out"}).is_ok());
  const std::vector<at::Tensor> x = to_torch_all(octet::testing::random_inputs(graph, 3));
  const at::NoGradGuard guard;
  for (int i = 0; i < 4; ++i) {  // new statistics change the quantized weights, which change the statistics a little
    module->begin_reestimate();
    ASSERT_TRUE(module->forward(x).is_ok());
    ASSERT_TRUE(module->end_reestimate().is_ok());
  }
  ASSERT_TRUE(module->forward(x).is_ok());
  const at::Tensor frozen = module->kept("bn1_out").clone();
  module->train();
  ASSERT_TRUE(module->forward(x).is_ok());
  // The running variance is the one without bias: n / (n - 1) of the batch's, n = 256.
  EXPECT_TRUE(at::allclose(module->kept("bn1_out"), frozen, 1e-2, 2e-2));
}

TEST(QatBatchNorm, WhatCannotStayIsNamed) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 16, 8, 8});
  const ValueId up = b.op("ConvTranspose", "up", {x, b.constant("up.weight", {16, 16, 2, 2}, 0.2f)});
  const Graph graph =
      b.finish({b.op("BatchNormalization", "bn",
                     {up, b.constant("g", {16}), b.constant("b", {16}), b.constant("m", {16}),
                      b.graph.add_constant("v", Tensor::from<float>({16}, std::vector<float>(16, 1.0f)))})});
  const Quantized q = quantize_all(folded(graph), options_for("tensorrt"));
  const auto refused = TrainableModule::create(graph, q.plan);
  ASSERT_FALSE(refused.is_ok());
  EXPECT_EQ(refused.status().message().substr(0, 31), "node 'bn' (BatchNormalization):")
      << refused.status().message();
}

TEST(QatState, GoesOnWhereItWas) {
  const Graph graph = mixed_network();
  const Quantized q = quantize_all(graph, options_for("tensorrt"));
  const auto one = quantized_module(graph, q.plan), two = quantized_module(graph, q.plan);
  train_steps(*one, graph, 2);
  ASSERT_TRUE(two->load_state(*one->save_state()).is_ok());
  train_steps(*one, graph, 2);
  train_steps(*two, graph, 2);
  EXPECT_EQ(*one->save_state(), *two->save_state());
}

TEST(QatRanges, StayUsable) {
  const Graph graph = mixed_network();
  const Quantized q = quantize_all(graph, options_for("tensorrt"));
  const auto module = quantized_module(graph, q.plan);
  {
    const at::NoGradGuard guard;
    for (const NamedTensor& p : module->parameter_groups().ranges) at::Tensor(p.tensor).fill_(-1.0f);
  }
  module->after_step();
  for (const NamedTensor& p : module->parameter_groups().ranges) {
    const std::string tensor = p.name.substr(0, p.name.rfind('.'));
    ASSERT_EQ(p.name, tensor + ".scale");
    const std::vector<float>& start = q.plan.params_of(tensor)->scale;
    ASSERT_EQ(p.tensor.numel(), static_cast<int64_t>(start.size()));
    for (size_t i = 0; i < start.size(); ++i)
      EXPECT_EQ(p.tensor.data_ptr<float>()[i], start[i] / 16)
          << tensor << ": a step that is too long cannot shut a range";
  }
  Graph back = graph;
  QuantizationPlan plan = q.plan;
  Ranges ranges = q.ranges;
  ASSERT_TRUE(module->write_back(back, &plan, &ranges).is_ok());
  EXPECT_TRUE(SelectiveQuantizer(options_for("tensorrt")).quantize_module(back, plan).is_ok());
}

// The inverse of the choice of scales: exact where a range exists, at most two units away where none does.
TEST(RangeForScale, GivesTheScaleBack) {
  Random random(3);
  int64_t exact = 0, total = 0;
  for (DType dtype : {DType::kInt8, DType::kUint8, DType::kInt4, DType::kInt16, DType::kFloat8E4M3})
    for (bool symmetric : {true, false})
      for (int i = 0; i < 2000; ++i) {
        TensorPlan t;
        t.dtype = dtype;
        t.symmetric = symmetric;
        const float scale = static_cast<float>(std::exp(random.real(-12, 4)));
        int32_t zero = 0;
        if (!symmetric && dtype_is_integer(dtype)) {
          zero = static_cast<int32_t>(random.integer(dtype == DType::kUint8 ? 0 : -7, 7));
        } else if (dtype == DType::kUint8 && random.chance(0.5)) {
          zero = 128;  // symmetric codes around the middle
        }
        const RangeForScale r = range_for_scale(scale, zero, t);
        EXPECT_EQ(r.params.zero_point, zero);
        EXPECT_NEAR(r.params.scale, scale, 2.5e-7 * static_cast<double>(scale));
        const ScaleZero again = scale_of_range(r.lo, r.hi, t);
        EXPECT_EQ(again.scale, r.params.scale);
        EXPECT_EQ(again.zero_point, r.params.zero_point);
        exact += r.params.scale == scale ? 1 : 0;
        ++total;
      }
  EXPECT_GT(exact, total / 2);
}

}  // namespace
}  // namespace octet::training::test
