// octet sensitivity, search, calib-check and explain plan.json as a user meets them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/cli_fixture.h"
#include "octet/quantization.h"
#include "octet/recipe.h"

namespace octet {
namespace {

namespace fs = std::filesystem;
using test::expect_refusal;
using test::octet;
using test::Outcome;

class SearchCli : public test::Cli {
 protected:
  std::string read(const std::string& name) const { return test::read_text(path(name)); }
};

TEST_F(SearchCli, SensitivityWritesTableJsonAndARecipeThatWorks) {
  const std::string command =
      "sensitivity " + model_ + " -q --data " + data() + " --exact all --seconds 0.1 -o " + path("out");
  const Outcome text = octet(command);
  ASSERT_EQ(text.code, 0) << text.text;
  for (const char* words : {"stem/conv", "head/fc", "KL", "alone", "INT8 ms", "for a recipe"})
    EXPECT_NE(text.text.find(words), std::string::npos) << words << " not in " << text.text;
  const Outcome json = octet(command + " --json");
  ASSERT_EQ(json.code, 0) << json.text;
  const auto j = nlohmann::json::parse(json.text);
  EXPECT_EQ(j, nlohmann::json::parse(read("out/sensitivity.json")));
  ASSERT_EQ(j["layers"].size(), 2u);
  EXPECT_TRUE(j["layers"][0].contains("alone") && j["layers"][0].contains("int8_ms"));
  EXPECT_NE(octet(command + " --report").text.find("from an earlier run"), std::string::npos);
  EXPECT_NE(read("out/report.html").find("</html>"), std::string::npos);
  const Outcome quantized = octet("quantize " + model_ + " -q --no-eval --data " + data() + " --recipe " +
                                  path("out/recipe.yaml") + " -o " + path("out2"));
  EXPECT_EQ(quantized.code, 0) << quantized.text;
}

TEST_F(SearchCli, SensitivityRefusesWhatItCannotDo) {
  const std::string begin = "sensitivity " + model_ + " -q --data " + data() + " -o " + path("out");
  expect_refusal(octet(begin + " --exact many"), 2, {"--exact", "many"});
  expect_refusal(octet("sensitivity " + model_ + " -q --data npz:nowhere.npz -o " + path("out")), 3, {"nowhere"});
  EXPECT_EQ(octet("sensitivity " + model_ + " --data " + data()).code, 2) << "no output folder";
}

TEST_F(SearchCli, SearchWritesTheChosenNetworkAndGivesTheSameAnswerAgain) {
  const std::string command =
      "search " + model_ + " -q --data " + data() + " --target size --max-drop 50 --trials 24 -o " + path("out");
  const Outcome text = octet(command);
  ASSERT_EQ(text.code, 0) << text.text;
  for (const char* words : {"naive", "selective", "the budget holds", "float layers"})
    EXPECT_NE(text.text.find(words), std::string::npos) << words << " not in " << text.text;
  const std::string first = read("out/search.json"), network = read("out/model_int8.onnx");
  ASSERT_EQ(octet(command + " --report").code, 0);
  EXPECT_NE(read("out/report.html").find("</html>"), std::string::npos);
  EXPECT_EQ(read("out/search.json"), first);
  // A folder of its own comes to the same, because size asks for no time.
  ASSERT_EQ(octet("search " + model_ + " -q --data " + data() + " --target size --max-drop 50 --trials 24 -o " +
                  path("other"))
                .code,
            0);
  EXPECT_EQ(read("other/model_int8.onnx"), network);
  ASSERT_EQ(octet("quantize " + model_ + " -q --no-eval --data " + data() + " --recipe " + path("out/recipe.yaml") +
                  " -o " + path("out2"))
                .code,
            0);
  EXPECT_EQ(read("out2/model_int8.onnx"), network) << "the recipe gives the same file";
  EXPECT_EQ(read("out2/plan.json"), read("out/plan.json"));
}

TEST_F(SearchCli, AnImpossibleBudgetIsExitCode10WithTheBestNetwork) {
  const Outcome out = octet("search " + model_ + " -q --data " + data() +
                            " --max-latency 0.000001 --seconds 0.01 --trials 4 -o " + path("out"));
  EXPECT_EQ(out.code, 10) << out.text;
  EXPECT_NE(out.text.find("try: "), std::string::npos) << out.text;
  EXPECT_TRUE(fs::exists(path("out/model_int8.onnx")));
  EXPECT_TRUE(fs::exists(path("out/run.json")));
  EXPECT_FALSE(nlohmann::json::parse(read("out/search.json"))["holds"].get<bool>());
}

TEST_F(SearchCli, SearchWithoutLabelsSaysWhatItGoesBy) {
  const Outcome out = octet("search " + model_ + " -q --data " + data_of("x.npy") +
                            " --target size --trials 6 --max-drop 50 -o " + path("out"));
  EXPECT_EQ(out.code, 0) << out.text;
  EXPECT_NE(out.text.find("agreement with float"), std::string::npos) << out.text;
}

TEST_F(SearchCli, SearchNamesAnUnknownTarget) {
  expect_refusal(octet("search " + model_ + " -q --data " + data() + " --target speed -o " + path("out")), 3,
                 {"speed"});
}

TEST_F(SearchCli, CalibCheckNamesTheOddImage) {
  test::Random random(9);
  Tensor x = test::random_tensor(random, {40, 3, 8, 8});
  for (int64_t i = 0; i < 192; ++i) x.data<float>()[17 * 192 + i] *= 50;
  write_npy("odd.npy", "<f4", "(40, 3, 8, 8)", {x.data<char>(), static_cast<size_t>(x.nbytes())});
  const std::string command =
      "calib-check " + model_ + " -q --data " + data_of("odd.npy") + " --eval-data " + data_of("x.npy");
  const Outcome text = octet(command), json = octet(command + " --json");
  ASSERT_EQ(text.code, 0) << text.text;
  const auto j = nlohmann::json::parse(json.text);
  ASSERT_EQ(j["outliers"].size(), 1u) << json.text;
  EXPECT_EQ(j["outliers"][0]["image"], 17);
  EXPECT_FALSE(j["drift"]["drifted"].get<bool>()) << "one image is no drift";
  EXPECT_NE(text.text.find("images that stand out: 1"), std::string::npos) << text.text;
}

TEST_F(SearchCli, ExplainTellsAPlanInWords) {
  ASSERT_EQ(octet("quantize " + model_ + " -q --no-eval --data " + data() + " -o " + path("out")).code, 0);
  const Outcome text = octet("explain " + path("out/plan.json"));
  ASSERT_EQ(text.code, 0) << text.text;
  const auto plan = load_plan(path("out/plan.json"));
  ASSERT_TRUE(plan.is_ok());
  for (const NodePlan& n : plan->nodes) {
    EXPECT_NE(text.text.find("'" + n.name + "' (" + n.op_type + ")"), std::string::npos) << n.name;
    EXPECT_NE(text.text.find(n.why), std::string::npos) << n.name;
  }
  for (const auto& [name, t] : plan->tensors) EXPECT_NE(text.text.find("'" + name + "'"), std::string::npos) << name;
  const auto j = nlohmann::json::parse(octet("explain --json " + path("out/plan.json")).text);
  EXPECT_EQ(j["nodes"].size(), plan->nodes.size());
  expect_refusal(octet("explain " + path("out/ranges.json")), 2, {"ranges.json"});
  expect_refusal(octet("explain " + path("x.npy")), 2, {"neither a compiled engine nor a plan"});
}

}  // namespace
}  // namespace octet
