// Which constants are trained.
#include "training/learnable.h"

#include <gtest/gtest.h>

#include "graph/text.h"

namespace octet::training {
namespace {

std::set<std::string> names(const std::string& body, const TrainableOptions& options = {}) {
  const auto graph = parse_text("graph \"t\" opset 17\n" + body);
  EXPECT_TRUE(graph.is_ok()) << graph.status().message();
  const auto ids = learnable_constants(*graph, options);
  EXPECT_TRUE(ids.is_ok()) << ids.status().message();
  std::set<std::string> found;
  for (ValueId id : *ids) found.insert(graph->value(id).name);
  return found;
}

const std::string kX = "input %x: float32[N, 2]\n";

TEST(Learnable, WeightsAndBiasesOfMatrixProducts) {
  EXPECT_EQ(names(kX + "const %w: float32[2, 2] = [1.0, 2.0, 3.0, 4.0]\nconst %b: float32[2] = [1.0, 2.0]\n"
                       "%m = MatMul(%x, %w)\n%y = Add(%m, %b)\n"),
            (std::set<std::string>{"w", "b"}));
  EXPECT_EQ(names(kX + "const %w: float32[2, 2] = [1.0, 2.0, 3.0, 4.0]\n%t = Transpose(%w)\n%y = MatMul(%x, %t)\n"),
            (std::set<std::string>{"w"}));
}

// Grids, strides, means and the constants of activations belong to the function.
TEST(Learnable, OtherConstantsStay) {
  EXPECT_TRUE(
      names(kX +
            "const %g: float32[1, 2] = [1.0, 2.0]\nconst %v: float32[2] = [3.0, 4.0]\nconst %s: float32[] = [6.0]\n"
            "%a = Add(%x, %g)\n%b = Mul(%a, %v)\n%c = Sub(%b, %v)\n%y = Div(%c, %s)\n")
          .empty());
}

TEST(Learnable, LayerNormalizationSpelledOut) {
  EXPECT_EQ(
      names(kX + "const %g: float32[2] = [1.0, 2.0]\nconst %b: float32[2] = [3.0, 4.0]\ninput %d: float32[N, 1]\n"
                 "%n = Div(%x, %d)\n%s = Mul(%n, %g)\n%y = Add(%s, %b)\n"),
      (std::set<std::string>{"g", "b"}));
}

TEST(Learnable, StatisticsAndIntegersNever) {
  EXPECT_EQ(names("input %x: float32[N, 2]\nconst %g: float32[2] = [1.0, 2.0]\nconst %v: float32[2] = [1.0, 1.0]\n"
                  "%y = BatchNormalization(%x, %g, %v, %v, %v)\n"),
            (std::set<std::string>{"g"}));
  EXPECT_TRUE(names("input %i: int64[N]\nconst %t: int64[2, 1] = [1, 2]\n%y = Gather(%t, %i)\n").empty());
}

TEST(Learnable, PatternsAddAndTakeOut) {
  const std::string body =
      kX +
      "const %head.w: float32[2, 2] = [1.0, 2.0, 3.0, 4.0]\nconst %pos: float32[1, 2] = [1.0, 2.0]\n"
      "%m = MatMul(%x, %head.w)\n%y = Add(%m, %pos)\n";
  TrainableOptions options;
  options.train = {"pos"};
  EXPECT_EQ(names(body, options), (std::set<std::string>{"head.w", "pos"}));
  options.freeze = {"head.*"};
  EXPECT_EQ(names(body, options), (std::set<std::string>{"pos"}));
  options.freeze = {"haed.w"};
  const auto graph = parse_text("graph \"t\" opset 17\n" + body);
  const auto refused = learnable_constants(*graph, options);
  ASSERT_FALSE(refused.is_ok());
  EXPECT_EQ(refused.status().code(), StatusCode::kNotFound);
  EXPECT_NE(refused.status().message().find("'haed.w'"), std::string::npos);
}

}  // namespace
}  // namespace octet::training
