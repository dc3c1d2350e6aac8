// The module itself: names, write-back, batch normalization, state, messages.
#include "passes/pass.h"
#include "quantization/small_networks.h"
#include "training/support.h"

namespace octet::training::test {
namespace {

using octet::testing::NetBuilder;

// conv -> batch norm -> relu, twice with a residual addition, then a classifier.
Graph bn_network() {
  NetBuilder b;
  const ValueId x = b.input("x", {4, 3, 8, 8});
  const auto norm = [&](const std::string& name, ValueId in, int64_t c) {
    Tensor variance(DType::kFloat32, {c});
    for (int64_t i = 0; i < c; ++i) variance.data<float>()[i] = 0.5f + 0.25f * static_cast<float>(i);
    return b.op(
        "BatchNormalization", name,
        {in, b.constant(name + ".weight", {c}, 1.0f), b.constant(name + ".bias", {c}, 0.2f),
         b.constant(name + ".running_mean", {c}, 0.3f), b.graph.add_constant(name + ".running_var", variance)},
        {{"epsilon", 1e-3f}, {"momentum", 0.8f}});
  };
  const ValueId a = b.relu("relu1", norm("bn1", b.conv("conv1", x, 3, 8), 8));
  const ValueId c = norm("bn2", b.conv("conv2", a, 8, 8), 8);
  const ValueId sum = b.relu("relu2", b.op("Add", "add", {c, a}));
  const ValueId flat = b.op("Flatten", "flat", {b.op("GlobalAveragePool", "gap", {sum})});
  return b.finish({b.op("Gemm", "fc", {flat, b.constant("fc.weight", {10, 8}), b.constant("fc.bias", {10})},
                        {{"transB", int64_t{1}}})});
}

at::Tensor batch(uint64_t seed) {
  Random random(seed);
  return to_torch(octet::test::random_tensor(random, {4, 3, 8, 8}, -1.0, 2.0)).value();
}

std::map<std::string, at::Tensor> by_name(const std::vector<NamedTensor>& list) {
  std::map<std::string, at::Tensor> map;
  for (const NamedTensor& t : list) map[t.name] = t.tensor;
  return map;
}

// Plain SGD on the sum of squares of the outputs.
void train_steps(TrainableModule& module, int steps, double rate = 0.01) {
  module.train();
  for (int i = 0; i < steps; ++i) {
    module.zero_grad();
    const auto outputs = module.forward({batch(static_cast<uint64_t>(i))});
    ASSERT_TRUE(outputs.is_ok()) << outputs.status().message();
    ((*outputs)[0] - 1).square().mean().backward();
    const at::NoGradGuard guard;
    for (const NamedTensor& p : module.parameters())
      if (p.tensor.grad().defined()) at::Tensor(p.tensor).sub_(p.tensor.grad() * rate);
    module.after_step();
  }
  module.eval();
}

std::vector<Tensor> run(TrainableModule& module, const at::Tensor& x) {
  const at::NoGradGuard guard;
  const auto outputs = module.forward({x});
  EXPECT_TRUE(outputs.is_ok()) << outputs.status().message();
  return outputs.is_ok() ? from_torch_all(*outputs) : std::vector<Tensor>{};
}

TEST(Module, ParametersAndBuffersHaveTheirOnnxNames) {
  const auto module = module_of(bn_network());
  std::vector<std::string> names, buffers;
  for (const NamedTensor& p : module->parameters()) names.push_back(p.name);
  for (const NamedTensor& p : module->buffers()) buffers.push_back(p.name);
  const std::set<std::string> expected = {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias", "bn1.weight",
                                          "bn1.bias",     "bn2.weight", "bn2.bias",     "fc.weight",  "fc.bias"};
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()), expected);
  EXPECT_EQ(names.size(), expected.size());
  EXPECT_EQ(std::set<std::string>(buffers.begin(), buffers.end()),
            (std::set<std::string>{"bn1.running_mean", "bn1.running_var", "bn2.running_mean", "bn2.running_var"}));
  const ParameterGroups groups = module->parameter_groups();
  EXPECT_EQ(groups.decay.size(), 3U);
  EXPECT_EQ(groups.no_decay.size(), 7U);
  EXPECT_TRUE(groups.ranges.empty());
}

TEST(Module, TrainedValuesGoBackBitForBit) {
  Graph graph = bn_network();
  const auto module = module_of(graph);
  train_steps(*module, 3);
  ASSERT_TRUE(module->write_back(graph).is_ok());
  for (const auto& list : {module->parameters(), module->buffers()})
    for (const NamedTensor& t : list)
      EXPECT_TRUE(same_bits(*graph.value(graph.find_value(t.name)).constant, from_torch(t.tensor).value())) << t.name;
  EXPECT_NE(graph_fingerprint(graph), graph_fingerprint(bn_network()));
  const at::Tensor x = batch(50);
  const auto expected = interpret(graph, {from_torch(x).value()});
  ASSERT_TRUE(expected.is_ok());
  EXPECT_TRUE(octet::test::outputs_near(*expected, run(*module, x), 1e-5));
  Graph other = octet::test::random_cnn(3);
  EXPECT_EQ(module->write_back(other).code(), StatusCode::kNotFound);
}

TEST(Module, TrainingLowersTheLoss) {
  const auto module = module_of(bn_network());
  const auto loss = [&] {
    double sum = 0;
    module->train();
    for (uint64_t i = 0; i < 4; ++i) {
      const at::NoGradGuard guard;
      sum += (module->forward({batch(i)}).value()[0] - 1).square().mean().item<double>();
    }
    return sum;
  };
  const double before = loss();
  train_steps(*module, 30, 0.05);
  EXPECT_LT(loss(), 0.5 * before);
}

TEST(BatchNorm, LiveStatisticsFollowTheBatch) {
  const Graph graph = bn_network();
  const auto module = module_of(graph);
  ASSERT_TRUE(module->keep({"conv1_out", "bn1_out"}).is_ok());
  const at::Tensor mean0 = by_name(module->buffers())["bn1.running_mean"].clone();
  const at::Tensor var0 = by_name(module->buffers())["bn1.running_var"].clone();
  module->train();
  ASSERT_TRUE(module->forward({batch(1)}).is_ok());
  const at::Tensor in = module->kept("conv1_out").detach().to(at::kDouble);
  const at::Tensor mean = in.mean({0, 2, 3}), var = in.var({0, 2, 3}, true), biased = in.var({0, 2, 3}, false);
  const auto buffers = by_name(module->buffers());
  EXPECT_TRUE(at::allclose(buffers.at("bn1.running_mean"), (0.8 * mean0 + 0.2 * mean).to(at::kFloat), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(buffers.at("bn1.running_var"), (0.8 * var0 + 0.2 * var).to(at::kFloat), 1e-5, 1e-6));
  const auto p = by_name(module->parameters());
  const auto wide = [](const at::Tensor& t) { return t.detach().to(at::kDouble).reshape({1, -1, 1, 1}); };
  const at::Tensor expected =
      (in - wide(mean)) / at::sqrt(wide(biased) + 1e-3) * wide(p.at("bn1.weight")) + wide(p.at("bn1.bias"));
  EXPECT_TRUE(at::allclose(module->kept("bn1_out").detach().to(at::kDouble), expected, 1e-4, 1e-5));
}

TEST(BatchNorm, FrozenStatisticsStay) {
  TrainableOptions options;
  options.batch_norm = BatchNormMode::kFrozen;
  const Graph graph = bn_network();
  const auto module = module_of(graph, options);
  module->train();
  const at::Tensor x = batch(2);
  const std::vector<Tensor> training = from_torch_all(module->forward({x}).value());
  module->eval();
  EXPECT_TRUE(octet::test::outputs_identical(training, run(*module, x)));
  train_steps(*module, 2);
  Graph back = graph;
  ASSERT_TRUE(module->write_back(back).is_ok());
  for (const char* name : {"bn1.running_mean", "bn2.running_var"})
    EXPECT_TRUE(
        same_bits(*back.value(back.find_value(name)).constant, *graph.value(graph.find_value(name)).constant));
}

TEST(BatchNorm, FreezesAfterTheStepsAskedFor) {
  TrainableOptions options;
  options.freeze_batch_norm_after = 2;
  const auto module = module_of(bn_network(), options);
  train_steps(*module, 1);
  EXPECT_EQ(module->batch_norm_mode(), BatchNormMode::kLive);
  train_steps(*module, 1);
  EXPECT_EQ(module->batch_norm_mode(), BatchNormMode::kFrozen);
  const at::Tensor before = by_name(module->buffers())["bn1.running_mean"].clone();
  train_steps(*module, 2);
  EXPECT_TRUE(at::equal(before, by_name(module->buffers())["bn1.running_mean"]));
}

TEST(BatchNorm, ReestimationAveragesOverTheBatches) {
  const auto module = module_of(bn_network());
  ASSERT_TRUE(module->keep({"conv1_out"}).is_ok());
  at::Tensor mean = at::zeros({8}, at::kDouble), var = at::zeros({8}, at::kDouble);
  module->begin_reestimate();
  EXPECT_FALSE(TrainableModule::create(bn_network()).value()->end_reestimate().is_ok());
  for (uint64_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(module->forward({batch(i)}).is_ok());
    const at::Tensor in = module->kept("conv1_out").to(at::kDouble);
    mean += in.mean({0, 2, 3}) / 5;
    var += in.var({0, 2, 3}, true) / 5;
  }
  ASSERT_TRUE(module->end_reestimate().is_ok());
  const auto buffers = by_name(module->buffers());
  EXPECT_TRUE(at::allclose(buffers.at("bn1.running_mean"), mean.to(at::kFloat), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(buffers.at("bn1.running_var"), var.to(at::kFloat), 1e-5, 1e-6));
}

TEST(BatchNorm, OneValuePerChannelIsRefused) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 3});
  const Graph graph = b.finish({b.op("BatchNormalization", "bn",
                                     {x, b.constant("g", {3}), b.constant("b", {3}), b.constant("m", {3}),
                                      b.graph.add_constant("v", Tensor::from<float>({3}, {1, 1, 1}))})});
  const auto module = module_of(graph);
  module->train();
  const auto outputs = module->forward({at::randn({1, 3})});
  ASSERT_FALSE(outputs.is_ok());
  EXPECT_NE(outputs.status().message().find("node 'bn' (BatchNormalization): one value per channel"),
            std::string::npos);
}

// Trained, written back and folded: the same network to 1e-5.
TEST(BatchNorm, FoldedEqualsUnfoldedAfterTraining) {
  for (uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    Graph graph = seed == 0 ? bn_network() : octet::test::random_cnn(seed);
    const auto module = module_of(graph);
    const std::vector<at::Tensor> inputs =
        seed == 0 ? std::vector<at::Tensor>{batch(9)} : to_torch_all(octet::test::random_inputs(graph, seed, 4));
    module->train();
    for (int step = 0; step < 3; ++step) {
      module->zero_grad();
      const auto outputs = module->forward(inputs);
      ASSERT_TRUE(outputs.is_ok()) << outputs.status().message();
      at::Tensor loss = at::zeros({});
      for (const at::Tensor& y : *outputs) loss = loss + y.square().mean();
      loss.backward();
      const at::NoGradGuard guard;
      for (const NamedTensor& p : module->parameters())
        if (p.tensor.grad().defined()) at::Tensor(p.tensor).sub_(p.tensor.grad().clamp(-1, 1) * 0.01);
      module->after_step();
    }
    module->eval();
    ASSERT_TRUE(module->write_back(graph).is_ok());
    Graph folded = graph;
    const auto reports = run_passes(folded);
    ASSERT_TRUE(reports.is_ok()) << reports.status().message();
    if (seed == 0) {
      EXPECT_EQ(octet::test::count_nodes(folded, "BatchNormalization"), 0);
    }
    const std::vector<Tensor> host = from_torch_all(inputs);
    const auto unfolded = interpret(graph, host), result = interpret(folded, host);
    ASSERT_TRUE(unfolded.is_ok() && result.is_ok());
    EXPECT_TRUE(octet::test::outputs_near(*unfolded, *result, 1e-5));
  }
}

TEST(State, ComesBackBitForBit) {
  const auto module = module_of(bn_network());
  train_steps(*module, 2);
  const auto saved = module->save_state();
  ASSERT_TRUE(saved.is_ok());
  EXPECT_EQ(*saved, *module->save_state());
  const auto other = module_of(bn_network());
  ASSERT_TRUE(other->load_state(*saved).is_ok());
  EXPECT_EQ(other->steps(), 2);
  EXPECT_EQ(*other->save_state(), *saved);
  // And goes on alike.
  train_steps(*module, 2);
  train_steps(*other, 2);
  EXPECT_EQ(*other->save_state(), *module->save_state());
}

TEST(State, DamagedAndForeignStatesChangeNothing) {
  const auto module = module_of(bn_network());
  const std::string own = *module->save_state();
  for (size_t cut : {size_t{0}, size_t{4}, size_t{20}, size_t{60}, own.size() / 2, own.size() - 1})
    EXPECT_FALSE(module->load_state(std::string_view(own).substr(0, cut)).is_ok()) << cut;
  EXPECT_FALSE(module->load_state(own + "x").is_ok());
  Random random(4);
  for (int i = 0; i < 300; ++i) {
    std::string bad = own;
    for (int k = 0; k < 3; ++k) bad[static_cast<size_t>(random.integer(0, 400))] = static_cast<char>(random.bits());
    (void)module->load_state(bad);  // may succeed where only numbers changed, must not crash
    ASSERT_TRUE(module->load_state(own).is_ok());
  }
  const auto stranger = module_of(octet::test::random_cnn(3));
  const Status refused = stranger->load_state(own);
  ASSERT_FALSE(refused.is_ok());
  EXPECT_NE(refused.message().find("of another network"), std::string::npos) << refused.message();
  EXPECT_EQ(*module->save_state(), own);
}

TEST(Finite, NamesTheFirstLayer) {
  const auto module = module_of(bn_network());
  EXPECT_EQ(module->first_non_finite({batch(1)}).value(), "");
  at::Tensor bad = batch(1);
  bad[0][0][0][0] = std::nanf("");
  EXPECT_EQ(module->first_non_finite({bad}).value(), "the input 'x' has 1 NaN and 0 infinite of 768 values");
  {
    const at::NoGradGuard guard;
    by_name(module->parameters())["fc.bias"][3] = std::numeric_limits<float>::infinity();
  }
  EXPECT_EQ(module->first_non_finite({batch(1)}).value(), "'fc.bias' has 0 NaN and 1 infinite of 10 values");
  // Finite numbers whose product is not: the layer is named, and running statistics stay.
  const auto large = module_of(bn_network());
  {
    const at::NoGradGuard guard;
    by_name(large->parameters())["conv2.weight"].mul_(3e38f);
  }
  large->train();
  const at::Tensor mean = by_name(large->buffers())["bn1.running_mean"].clone();
  const std::string found = large->first_non_finite({batch(1) * 100}).value();
  EXPECT_EQ(found.substr(0, 48), "node 'conv2' (Conv): its output 'conv2_out' has ") << found;
  EXPECT_TRUE(at::equal(mean, by_name(large->buffers())["bn1.running_mean"]));
}

TEST(Module, KeptValuesArePartOfTheAutogradGraph) {
  const auto module = module_of(bn_network());
  ASSERT_TRUE(module->keep({"relu1_out"}).is_ok());
  const Status missing = module->keep({"relu1_outt"});
  EXPECT_EQ(missing.code(), StatusCode::kNotFound);
  EXPECT_NE(missing.message().find("relu1_out"), std::string::npos);
  module->train();
  ASSERT_TRUE(module->forward({batch(0)}).is_ok());
  module->kept("relu1_out").sum().backward();
  EXPECT_TRUE(by_name(module->parameters())["conv1.weight"].grad().defined());
  EXPECT_FALSE(by_name(module->parameters())["conv2.weight"].grad().defined());
}

TEST(Module, ChannelsLastAndFloat64ComputeTheSame) {
  const Graph graph = bn_network();
  const at::Tensor x = batch(3);
  const std::vector<Tensor> expected = run(*module_of(graph), x);
  const auto last = module_of(graph);
  const std::vector<NamedTensor> held = last->parameters();
  ASSERT_TRUE(last->channels_last().is_ok());
  EXPECT_TRUE(octet::test::outputs_near(expected, run(*last, x), 1e-5));
  for (size_t i = 0; i < held.size(); ++i) EXPECT_TRUE(held[i].tensor.is_same(last->parameters()[i].tensor));
  Graph back = graph;
  ASSERT_TRUE(last->write_back(back).is_ok());
  EXPECT_EQ(graph_fingerprint(back), graph_fingerprint(graph));
  const auto wide = module_of(graph);
  ASSERT_TRUE(wide->to(at::kDouble).is_ok());
  const at::NoGradGuard guard;
  const at::Tensor y = wide->forward({x}).value()[0];
  EXPECT_EQ(y.scalar_type(), at::kDouble);
  EXPECT_TRUE(octet::test::outputs_near(expected, {from_torch(y.to(at::kFloat)).value()}, 1e-5));
}

TEST(Module, DropoutDropsInTrainingAlone) {
  NetBuilder b;
  const ValueId x = b.input("x", {2, 1000});
  const Graph graph = b.finish({b.op("Dropout", "drop", {x}, {})});
  const auto module = module_of(graph);
  const at::Tensor ones = at::ones({2, 1000});
  EXPECT_TRUE(at::equal(module->forward({ones}).value()[0], ones));
  module->train();
  const at::Tensor y = module->forward({ones}).value()[0];
  EXPECT_NEAR(at::count_nonzero(y).item<double>(), 1000, 150);
  EXPECT_TRUE(((y == 0) | (y == 2)).all().item<bool>());
}

TEST(Module, WrongInputsAndNetworksGetOneSentence) {
  const auto module = module_of(bn_network());
  EXPECT_EQ(module->forward({}).status().message(), "the network has 1 inputs but got 0");
  EXPECT_EQ(module->forward({at::randn({4, 3, 8, 9})}).status().message(),
            "input 'x' expects [4, 3, 8, 8] but got [4, 3, 8, 9]");
  NetBuilder b;
  const ValueId x = b.input("x", {2, 3});
  const size_t i = b.graph.add_node("Fancy", {x}, {"y"}, {}, "odd");
  b.graph.nodes[i].domain = "com.example";
  b.graph.outputs = {b.graph.nodes[i].outputs[0]};
  EXPECT_EQ(TrainableModule::create(b.graph).status().message(),
            "node 'odd' (com.example::Fancy): Octet has no such operator to train");
}

}  // namespace
}  // namespace octet::training::test
