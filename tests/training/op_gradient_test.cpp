// Gradients of every operator and of random networks against central differences, in float64.
#include "graph/op_table.h"
#include "training/support.h"

namespace octet::training::test {
namespace {

// Operators without a gradient, and why.
const std::map<std::string, std::string> kNoGradient = {
    {"And", "boolean"},
    {"ArgMax", "integer"},
    {"ArgMin", "integer"},
    {"Cast", "to 16 bits"},
    {"Ceil", "constant"},
    {"Constant", "no input"},
    {"ConstantOfShape", "shape"},
    {"Equal", "boolean"},
    {"EyeLike", "shape"},
    {"Floor", "constant"},
    {"Greater", "boolean"},
    {"GreaterOrEqual", "boolean"},
    {"Hardmax", "constant"},
    {"IsInf", "boolean"},
    {"IsNaN", "boolean"},
    {"Less", "boolean"},
    {"LessOrEqual", "boolean"},
    {"NonMaxSuppression", "integer"},
    {"NonZero", "integer"},
    {"Not", "boolean"},
    {"OneHot", "integer"},
    {"Or", "boolean"},
    {"Range", "no input"},
    {"Round", "constant"},
    {"Shape", "integer"},
    {"Sign", "constant"},
    {"Size", "integer"},
    {"Xor", "boolean"},
    {"DequantizeLinear", "integers in"},
};

// Where these are smooth: above zero.
const std::set<std::string> kPositive = {"Log", "Sqrt", "Pow", "ReduceLogSum", "Mod", "Div", "Reciprocal"};

void check_inputs(const Graph& graph, uint64_t seed, double low, double high) {
  const auto module = module_of(graph);
  ASSERT_NE(module, nullptr);
  ASSERT_TRUE(module->to(at::kDouble).is_ok());
  std::vector<at::Tensor> inputs = to_torch_all(inputs_of(graph, seed, low, high));
  for (at::Tensor& x : inputs)
    if (x.scalar_type() == at::kFloat) x = x.to(at::kDouble).set_requires_grad(true);
  const auto value = [&] {
    const auto outputs = module->forward(inputs);
    EXPECT_TRUE(outputs.is_ok()) << outputs.status().message();
    return weighted_sum(*outputs);
  };
  value().backward();
  for (const at::Tensor& x : inputs) {
    if (!x.requires_grad()) continue;
    EXPECT_TRUE(gradient_matches(x, x.grad(), [&] {
      const at::NoGradGuard guard;
      return value().item<double>();
    }));
  }
}

TEST(Gradients, EveryOperatorMatchesDifferences) {
  std::set<std::string> checked;
  for (const OpCase& c : every_op()) {
    const Graph graph = graph_of(c);
    const std::string op = graph.nodes.back().op_type;
    if (kUntrainable.count(op) != 0 || kNoGradient.count(op) != 0) continue;
    SCOPED_TRACE(c.body);
    checked.insert(op);
    check_inputs(graph, 11, 0.1, 1.0);
    if (kPositive.count(op) == 0) check_inputs(graph, 12, -2.0, 2.0);
  }
  for (const OpInfo& op : all_ops()) {
    const std::string name(op.op_type);
    EXPECT_EQ(checked.count(name) + kUntrainable.count(name) + kNoGradient.count(name), 1U) << name;
  }
}

// Through whole networks, to every parameter.
TEST(Gradients, ParametersOfRandomNetworksMatchDifferences) {
  for (uint64_t seed = 100; seed < 106; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    octet::test::RandomGraphOptions small;
    small.min_steps = 2;
    small.max_steps = 4;
    small.image = 5;
    const Graph graph = octet::test::random_cnn(seed, small);
    TrainableOptions options;
    options.batch_norm = seed % 2 == 0 ? BatchNormMode::kLive : BatchNormMode::kFrozen;
    const auto module = module_of(graph, options);
    ASSERT_NE(module, nullptr);
    ASSERT_TRUE(module->to(at::kDouble).is_ok());
    const std::vector<at::Tensor> inputs = to_torch_all(octet::test::random_inputs(graph, seed, 2));
    // Running statistics move with every live forward, but no output of a live run depends on them. Dropout would
    // change from run to run.
    module->train(octet::test::count_nodes(graph, "Dropout") == 0);
    const auto value = [&] {
      const auto outputs = module->forward(inputs);
      EXPECT_TRUE(outputs.is_ok()) << outputs.status().message();
      return weighted_sum(*outputs);
    };
    value().backward();
    for (const NamedTensor& p : module->parameters()) {
      SCOPED_TRACE(p.name);
      if (!p.tensor.grad().defined()) continue;  // on a branch that no output needs
      EXPECT_TRUE(gradient_matches(p.tensor, p.tensor.grad(), [&] {
        const at::NoGradGuard guard;
        return value().item<double>();
      }));
    }
  }
}

}  // namespace
}  // namespace octet::training::test
