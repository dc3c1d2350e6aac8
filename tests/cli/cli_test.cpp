// The commands as a new user meets them: what works, and every way to get it wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "cli/cli_fixture.h"
#include "octet/quantization.h"
#include "onnx/save.h"
#include "support/random_graph.h"

namespace octet {
namespace {

namespace fs = std::filesystem;
using test::expect_refusal;
using test::octet;
using test::Outcome;
using test::read_text;
using Cli = test::Cli;

TEST_F(Cli, QuantizeWritesAllArtifactsAndReportsThem) {
  const Outcome out = octet("quantize " + model_ + " --data " + data() + " --json -q -o " + path("out"));
  ASSERT_EQ(out.code, 0) << out.text;
  const auto j = nlohmann::json::parse(out.text);
  EXPECT_EQ(j["float"]["count"], 40);
  EXPECT_GE(j["quantized"]["top5"], j["quantized"]["top1"]);
  for (const char* name : {"model_int8.onnx", "ranges.json", "plan.json", "run.json"})
    EXPECT_TRUE(fs::exists(path("out") + "/" + name)) << name;
  EXPECT_TRUE(load_onnx(path("out/model_int8.onnx")).is_ok());
  const Outcome eval = octet("eval " + path("out/model_int8.onnx") + " --data " + data() + " --json -q");
  ASSERT_EQ(eval.code, 0) << eval.text;
  EXPECT_EQ(nlohmann::json::parse(eval.text)["top1"], j["quantized"]["top1"]);
  const Outcome compared =
      octet("compare " + model_ + " " + path("out/model_int8.onnx") + " --data " + data() + " -q");
  EXPECT_EQ(compared.code, 0) << compared.text;
  EXPECT_NE(compared.text.find("equal predictions"), std::string::npos);
  EXPECT_EQ(octet("inspect " + model_).code, 0);
  const Outcome exported = octet("export-ranges " + path("out/ranges.json") + " --format tensorrt");
  EXPECT_EQ(exported.text.rfind("TRT-", 0), 0u) << exported.text;
}

TEST_F(Cli, TheSameBytesForAnyThreadsAndBatchSize) {
  std::vector<std::string> ranges;
  for (const char* flags :
       {"--threads 1 --batch-size 1", "--threads 2 --batch-size 8", "--threads 2 --batch-size 32"}) {
    ASSERT_EQ(octet("quantize " + model_ + " --data " + data() + " --images 32 --no-eval -q " + flags + " -o " +
                    path("out"))
                  .code,
              0);
    ranges.push_back(read_text(path("out/ranges.json")));
  }
  EXPECT_EQ(ranges[0], ranges[1]);
  EXPECT_EQ(ranges[0], ranges[2]);
}

TEST_F(Cli, ADeletedRangeLeavesItsTensorInFloat) {
  ASSERT_EQ(octet("quantize " + model_ + " --data " + data() + " --regime naive --no-eval -q -o " + path("out")).code,
            0);
  auto ranges = load_ranges(path("out/ranges.json"));
  ASSERT_TRUE(ranges.is_ok()) << ranges.status().message();
  ASSERT_EQ(ranges->tensors.erase("x"), 1u);
  ASSERT_TRUE(save_ranges(*ranges, path("edited.json")).is_ok());
  ASSERT_EQ(
      octet("quantize " + model_ + " --ranges " + path("edited.json") + " --regime naive -q -o " + path("out2")).code,
      0);
  const auto plan = load_plan(path("out2/plan.json"));
  ASSERT_TRUE(plan.is_ok()) << plan.status().message();
  EXPECT_EQ(plan->tensors.count("x"), 0u);
}

std::vector<std::string> notes_of(const std::string& run_json) {
  std::ifstream file(run_json);
  return nlohmann::json::parse(file)["notes"].get<std::vector<std::string>>();
}

bool any_has(const std::vector<std::string>& texts, const std::string& words) {
  return std::any_of(texts.begin(), texts.end(),
                     [&](const std::string& t) { return t.find(words) != std::string::npos; });
}

TEST_F(Cli, AFailedEvaluationKeepsTheQuantization) {
  write_npz_pair(40, 9);  // labels that the network has no class for
  const Outcome out = octet("quantize " + model_ + " -q --data " + data() + " -o " + path("out"));
  EXPECT_EQ(out.code, 2) << out.text;
  EXPECT_TRUE(load_onnx(path("out/model_int8.onnx")).is_ok());
  EXPECT_TRUE(load_ranges(path("out/ranges.json")).is_ok());
  EXPECT_TRUE(load_plan(path("out/plan.json")).is_ok());
  EXPECT_TRUE(any_has(notes_of(path("out/run.json")), "before the accuracy was measured"));
}

TEST_F(Cli, LostOutputIsAnError) {
  ASSERT_EQ(octet("quantize " + model_ + " -q --no-eval --data " + data() + " -o " + path("out")).code, 0);
  for (const std::string& command :
       {"eval " + model_ + " -q --json --data " + data(), "inspect " + model_,
        "export-ranges " + path("out/ranges.json"), std::string("--help"),
        "quantize " + model_ + " -q --no-eval --data " + data() + " -o " + path("out")}) {
    const Outcome out = octet(command + " > /dev/full");
    EXPECT_EQ(out.code, 6) << command << ": " << out.text;
    EXPECT_NE(out.text.find("could not be written"), std::string::npos) << out.text;
  }
}

TEST_F(Cli, NotesAreInEveryReport) {
  const std::string images =
      "quantize " + model_ + " -q --images 1000 --data " + data_of("x.npy") + " -o " + path("out");
  const Outcome text = octet(images), json = octet(images + " --json");
  ASSERT_EQ(json.code, 0) << json.text;
  const auto notes = nlohmann::json::parse(json.text)["notes"].get<std::vector<std::string>>();
  EXPECT_EQ(notes, notes_of(path("out/run.json")));
  for (const char* words : {"has no labels", "was to see 1000 images, and the data has 40"}) {
    EXPECT_TRUE(any_has(notes, words)) << json.text;
    EXPECT_NE(text.text.find(words), std::string::npos) << text.text;
  }
}

TEST_F(Cli, APlanLeavesNothingToDecide) {
  ASSERT_EQ(octet("quantize " + model_ + " -q --no-eval --data " + data() + " -o " + path("out")).code, 0);
  const std::string plan =
      "quantize " + model_ + " -q --no-eval --plan " + path("out/plan.json") + " -o " + path("out2");
  for (const char* flag : {"--skip '/nothing'", "--regime naive", "--calibrator mse", "--target octet", "--images 4"})
    expect_refusal(octet(plan + " " + flag), 2, {"--plan", std::string(flag).substr(0, std::string(flag).find(' '))});
  expect_refusal(
      octet("quantize " + model_ + " --ranges " + path("out/ranges.json") + " --images 3 -o " + path("out2")), 2,
      {"--ranges", "--images"});
  ASSERT_EQ(octet(plan).code, 0);

  std::string text = read_text(path("out/plan.json"));
  for (size_t at = 0; (at = text.find("\"quantized\"", at)) != std::string::npos;) text.replace(at, 11, "\"float\"");
  text.replace(text.find("\"target\": \"octet\""), 17, "\"target\": \"octt\"");
  write("float.json", text);
  const Outcome edited =
      octet("quantize " + model_ + " -q --no-eval --plan " + path("float.json") + " -o " + path("out3"));
  ASSERT_EQ(edited.code, 0) << edited.text;
  EXPECT_NE(edited.text.find("Did you mean 'octet'"), std::string::npos) << edited.text;
  const auto model = load_onnx(path("out3/model_int8.onnx"));
  ASSERT_TRUE(model.is_ok());
  for (const Node& n : model->nodes) {
    if (n.is("Conv") || n.is("Gemm")) {
      EXPECT_TRUE(model->is_constant(n.inputs[1])) << n.name << " still reads quantized weights";
    }
  }
}

TEST_F(Cli, ExternalWeightsCount) {
  const auto inside = nlohmann::json::parse(octet("inspect --json " + model_).text)["bytes"].get<int64_t>();
  ASSERT_TRUE(save_onnx_with_limit(network(), path("beside.onnx"), 16).is_ok());
  ASSERT_TRUE(fs::exists(path("beside.onnx.data")));
  const auto both =
      nlohmann::json::parse(octet("inspect --json " + path("beside.onnx")).text)["bytes"].get<int64_t>();
  EXPECT_EQ(both, static_cast<int64_t>(fs::file_size(path("beside.onnx")) + fs::file_size(path("beside.onnx.data"))));
  EXPECT_GT(both, inside / 2);
  const Outcome out =
      octet("quantize " + path("beside.onnx") + " -q --json --no-eval --data " + data() + " -o " + path("out"));
  ASSERT_EQ(out.code, 0) << out.text;
  EXPECT_EQ(nlohmann::json::parse(out.text)["float_bytes"], both);
}

TEST_F(Cli, ValuesThatAreNotFiniteAreSaid) {
  Tensor x(DType::kFloat32, {40, 3, 8, 8});
  x.data<float>()[7] = std::numeric_limits<float>::infinity();
  write_npy("x.npy", "<f4", "(40, 3, 8, 8)", {x.data<char>(), static_cast<size_t>(x.nbytes())});
  const Outcome text = octet("eval " + model_ + " -q --data " + data());
  ASSERT_EQ(text.code, 0) << text.text;
  EXPECT_NE(text.text.find("1 of 40 images hold NaN"), std::string::npos) << text.text;
  const auto json = nlohmann::json::parse(octet("eval " + model_ + " -q --json --data " + data()).text);
  EXPECT_EQ(json["nonfinite_inputs"], 1);
  EXPECT_EQ(json["nonfinite_outputs"], 1);
  const auto compared =
      nlohmann::json::parse(octet("compare " + model_ + " " + model_ + " -q --json --data " + data()).text);
  EXPECT_GT(compared["tensors"][0]["nonfinite"], 0);
}

TEST_F(Cli, ARecipeFromAPipe) {
  const Outcome out = octet(
      "quantize " + model_ + " -q --no-eval --recipe " + path("pipe") + " --data " + data() + " -o " + path("out"),
      "mkfifo " + path("pipe") + "; (echo 'regime: naive' > " + path("pipe") + ") & ");
  ASSERT_EQ(out.code, 0) << out.text;
  EXPECT_EQ(load_plan(path("out/plan.json"))->regime, Regime::kNaive);
}

TEST_F(Cli, RepairIsReportedAndItsNetworkIsKept) {
  const std::string repair = " --repair 'cross_layer_equalization, bias_correction'";
  const Outcome out =
      octet("quantize " + model_ + " --data " + data() + " --images 24" + repair + " -o " + path("a"));
  ASSERT_EQ(out.code, 0) << out.text;
  for (const char* words :
       {"repair: cross_layer_equalization: ", "repair: bias_correction: ", "a/model_repaired.onnx"})
    EXPECT_NE(out.text.find(words), std::string::npos) << out.text;
  EXPECT_NE(read_text(path("a/run.json")).find("\"repairs\""), std::string::npos);
  const Outcome again = octet("quantize " + path("a/model_repaired.onnx") + " --ranges " + path("a/ranges.json") +
                              " --eval-data " + data() + " -o " + path("b"));
  ASSERT_EQ(again.code, 0) << again.text;
  EXPECT_EQ(read_text(path("a/plan.json")), read_text(path("b/plan.json")));
  expect_refusal(octet("quantize " + model_ + " --data " + data() + " --repair adaruond -o " + path("c")), 2,
                 {"--repair", "adaround"});
  expect_refusal(octet("quantize " + model_ + " --data " + data() + " --repair gptq,adaround -o " + path("c")), 2,
                 {"--repair", "name one"});
  expect_refusal(
      octet("quantize " + model_ + " --ranges " + path("a/ranges.json") + " --repair gptq -o " + path("c")), 2,
      {"--ranges", "--repair"});
}

TEST_F(Cli, MissingFile) { expect_refusal(octet("eval nowhere.onnx --data " + data()), 3, {"nowhere.onnx"}); }

TEST_F(Cli, NotAnOnnxFile) {
  write("picture.onnx", std::string("\x89PNG\r\n\x1a\n0000IHDR", 16));
  expect_refusal(octet("inspect " + path("picture.onnx")), 5, {"picture.onnx", "not an ONNX model"});
}

TEST_F(Cli, TruncatedFile) {
  fs::resize_file(model_, fs::file_size(model_) / 2);
  expect_refusal(octet("inspect " + model_), 5, {"net.onnx"});
}

TEST_F(Cli, WrongInputShape) {
  test::Random random(1);
  const Tensor x = test::random_tensor(random, {4, 3, 5, 5});
  write_npy("small.npy", "<f4", "(4, 3, 5, 5)", {x.data<char>(), static_cast<size_t>(x.nbytes())});
  expect_refusal(octet("quantize " + model_ + " --data " + data_of("small.npy") + " -o " + path("out")), 2,
                 {"[3, 5, 5]", "[3, 8, 8]"});
}

TEST_F(Cli, EmptyDataFolder) {
  fs::create_directories(path("empty"));
  expect_refusal(octet("quantize " + model_ + " --data folder:" + path("empty") + " -o " + path("out")), 2,
                 {"empty"});
}

TEST_F(Cli, LabelsOutOfRange) {
  write_npz_pair(40, 9);
  expect_refusal(octet("eval " + model_ + " -q --data " + data()), 2, {"label", "4"});
}

TEST_F(Cli, RuleWithATypo) {
  write("r.yaml", "regime: selective\nrules:\n  - name: stem/konv\n    skip: true\n");
  expect_refusal(
      octet("quantize " + model_ + " -q --recipe " + path("r.yaml") + " --data " + data() + " -o " + path("out")), 3,
      {"r.yaml:3", "stem/konv", "stem/conv"});
}

TEST_F(Cli, UnknownRecipeKey) {
  write("r.yaml", "calib_params:\n  percentil: 99.9\n");
  expect_refusal(
      octet("quantize " + model_ + " -q --recipe " + path("r.yaml") + " --data " + data() + " -o " + path("out")), 2,
      {"r.yaml:2", "percentil", "percentile"});
}

// A limit on the size of written files stands in for a full disk: the write fails half way, nothing is left behind.
TEST_F(Cli, DiskFull) {
  fs::create_directories(path("out"));
  const Outcome out = octet("quantize " + model_ + " -q --no-eval --data " + data() + " -o " + path("out"),
                            "trap '' XFSZ; ulimit -f 1;");
  EXPECT_EQ(out.code, 6) << out.text;
  EXPECT_NE(out.text.find("cannot write"), std::string::npos) << out.text;
  for (const auto& entry : fs::directory_iterator(path("out"))) ADD_FAILURE() << "left behind: " << entry.path();
}

TEST_F(Cli, NanWeights) {
  ASSERT_TRUE(save_onnx(network(std::numeric_limits<float>::quiet_NaN()), model_).is_ok());
  expect_refusal(octet("quantize " + model_ + " -q --data " + data() + " -o " + path("out")), 2, {"stem/conv", "w"});
}

TEST_F(Cli, AZeroTensorIsSaidAndSurvives) {
  write_npz_pair(40, 4, 0.0);
  const Outcome out = octet("quantize " + model_ + " -q --regime naive --data " + data() + " -o " + path("out"));
  ASSERT_EQ(out.code, 0) << out.text;
  EXPECT_NE(out.text.find("'x'"), std::string::npos) << out.text;
  EXPECT_TRUE(load_onnx(path("out/model_int8.onnx")).is_ok());
}

// The labels are what the float network predicts, so that any change of a prediction costs accuracy; images of nearly
// equal colour and 4-bit weights with one scale change some.
TEST_F(Cli, MissedBudgetHasItsOwnExitCode) {
  const Outcome kept = octet("quantize " + model_ + " -q --max-drop 100 --data " + data() + " -o " + path("out"));
  EXPECT_EQ(kept.code, 0) << kept.text;
  write_npz_pair(400, 4);
  const std::string predictions = path("float.txt");
  ASSERT_EQ(octet("eval " + model_ + " -q --data " + data() + " --predictions " + predictions).code, 0);
  std::string labels;
  std::ifstream lines(predictions);
  for (int64_t v = 0; lines >> v;) labels.append(reinterpret_cast<const char*>(&v), 8);
  write_npy("y.npy", "<i8", "(400,)", labels);
  write("w4.yaml",
        "regime: hybrid\nrules:\n  - glob: '*'\n    op: Conv\n    precision: w4a8\n    per_channel: false\n");
  const Outcome missed = octet("quantize " + model_ + " -q --max-drop 0 --recipe " + path("w4.yaml") + " --data " +
                               data() + " -o " + path("out"));
  EXPECT_EQ(missed.code, 10) << missed.text;
  EXPECT_NE(missed.text.find("--max-drop"), std::string::npos) << missed.text;
}

TEST_F(Cli, ABudgetWithoutLabelsIsRefusedBeforeTheWork) {
  expect_refusal(octet("quantize " + model_ + " -q --max-drop 1 --data " + data_of("x.npy") + " -o " + path("out")),
                 2, {"--max-drop", "label"});
  EXPECT_FALSE(fs::exists(path("out/model_int8.onnx")));
}

TEST_F(Cli, WrongUsageShowsHelp) {
  EXPECT_EQ(octet("").code, 2);
  EXPECT_EQ(octet("quantise").code, 2);
  EXPECT_EQ(octet("quantize --help").code, 0);
}

}  // namespace
}  // namespace octet
