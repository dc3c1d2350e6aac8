#include "passes/net.h"

namespace octet::test {
namespace {

Net conv_bn_net() {
  Net net;
  const ValueId y = net.op("Conv", {net.input("x", {-1, 3, 4, 4}), net.floats({2, 3, 1, 1})});
  net.output(net.op("Relu", {net.op("Identity", {net.batch_norm(net.op("Dropout", {y}), 2)})}));
  return net;
}

TEST(Runner, ReportsEveryPassInOrder) {
  Net net = conv_bn_net();
  const auto reports = run_passes(net.graph);
  ASSERT_TRUE(reports.is_ok()) << reports.status().message();
  ASSERT_EQ(reports->size(), standard_passes().size());
  for (size_t i = 0; i < reports->size(); ++i) {
    EXPECT_EQ((*reports)[i].name, standard_passes()[i].name);
    EXPECT_GE((*reports)[i].milliseconds, 0.0);
    if ((*reports)[i].name == "remove_identity") {
      EXPECT_EQ((*reports)[i].rewrites, 2);
    }
    if ((*reports)[i].name == "fold_batch_norm") {
      EXPECT_EQ((*reports)[i].rewrites, 1);
    }
  }
  EXPECT_EQ(operators(net.graph), "Conv Relu");
}

TEST(Runner, DisabledPassesDoNotRun) {
  Net net = conv_bn_net();
  PassOptions options;
  options.disabled = {"fold_batch_norm"};
  const auto reports = run_passes(net.graph, options);
  ASSERT_TRUE(reports.is_ok());
  EXPECT_EQ(reports->size(), standard_passes().size() - 1);
  EXPECT_EQ(operators(net.graph), "Conv BatchNormalization Relu");
}

TEST(Runner, AnUnknownPassIsAnErrorWithNearMisses) {
  Net net = conv_bn_net();
  PassOptions options;
  options.disabled = {"fold_batchnorm"};
  const auto reports = run_passes(net.graph, options);
  ASSERT_FALSE(reports.is_ok());
  EXPECT_EQ(reports.status().code(), StatusCode::kInvalidArgument);
  EXPECT_NE(reports.status().message().find("Did you mean 'fold_batch_norm'"), std::string::npos)
      << reports.status().message();
  EXPECT_EQ(count_nodes(net.graph, "BatchNormalization"), 1);
}

TEST(Runner, SortsAnUnsortedGraphFirst) {
  Net net = conv_bn_net();
  std::swap(net.graph.nodes.front(), net.graph.nodes.back());
  const auto reports = run_passes(net.graph);
  ASSERT_TRUE(reports.is_ok()) << reports.status().message();
  EXPECT_EQ(operators(net.graph), "Conv Relu");
}

TEST(Runner, ReportsACycle) {
  Net net;
  const ValueId x = net.input("x", {-1, 3});
  const ValueId a = net.op("Add", {x, x});
  const ValueId b = net.op("Relu", {a});
  net.graph.nodes[0].inputs[1] = b;
  net.output(b);
  const auto reports = run_passes(net.graph);
  ASSERT_FALSE(reports.is_ok());
  EXPECT_NE(reports.status().message().find("cycle"), std::string::npos);
}

TEST(Runner, ReportsAMalformedGraphBeforeTheFirstPass) {
  Net net = conv_bn_net();
  net.graph.nodes[1].inputs[0] = 999;
  EXPECT_FALSE(run_passes(net.graph).is_ok());
  Net unknown;
  unknown.output(unknown.op("NoSuchOperator", {unknown.input("x", {1})}));
  const auto reports = run_passes(unknown.graph);
  ASSERT_FALSE(reports.is_ok());
  EXPECT_NE(reports.status().message().find("before the first pass"), std::string::npos)
      << reports.status().message();
}

TEST(Runner, RepeatsUntilNothingChangesButNotForever) {
  // The Mul folds only after the BatchNormalization behind another Identity is gone: it takes the order of the list
  // and a second round for constants that appear on the way.
  Net net = conv_bn_net();
  PassOptions once;
  once.max_rounds = 1;
  ASSERT_TRUE(run_passes(net.graph, once).is_ok());
  const auto rest = run_passes(net.graph);
  ASSERT_TRUE(rest.is_ok());
  for (const PassReport& report : *rest) EXPECT_EQ(report.rewrites, 0) << report.name;
}

TEST(Runner, EveryPassHasADescriptionOfItsOwn) {
  for (const Pass& pass : standard_passes()) {
    EXPECT_FALSE(pass.description.empty());
    EXPECT_EQ(pass.description.find('\n'), std::string_view::npos);
    EXPECT_EQ(find_pass(pass.name), &pass);
  }
}

}  // namespace
}  // namespace octet::test
