// compile, explain, run and bench, and engines given to the other commands.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/cli_fixture.h"

namespace octet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::expect_refusal;
using test::octet;
using test::Outcome;
using test::read_text;

// The float32 elements of an .npy file of format version 1.
std::vector<float> floats_of(const std::string& path) {
  const std::string file = read_text(path);
  if (file.size() < 10) return {};
  const size_t header = 10 + static_cast<uint8_t>(file[8]) + 256 * static_cast<size_t>(static_cast<uint8_t>(file[9]));
  EXPECT_EQ(header % 64, 0u);
  std::vector<float> values((file.size() - header) / sizeof(float));
  std::copy_n(file.data() + header, values.size() * sizeof(float), reinterpret_cast<char*>(values.data()));
  return values;
}

class EngineCli : public test::Cli {
 protected:
  void SetUp() override {
    test::Cli::SetUp();
    const Outcome out =
        octet("quantize " + model_ + " --data " + data() + " --regime naive --no-eval -q -o " + path("out"));
    ASSERT_EQ(out.code, 0) << out.text;
    int8_ = path("out/model_int8.onnx");
    engine_ = path("model.octet");
  }
  void compile(const std::string& more = "--no-timing") const {
    const Outcome out = octet("compile " + int8_ + " -q -o " + engine_ + " " + more);
    ASSERT_EQ(out.code, 0) << out.text;
  }
  // The bytes of scores.npy of a run.
  std::string scores(const std::string& model, const std::string& more = "", const std::string& prefix = "") const {
    const Outcome out =
        octet("run " + model + " " + path("x.npy") + " -q -o " + path("scores.npy") + " " + more, prefix);
    EXPECT_EQ(out.code, 0) << out.text;
    return read_text(path("scores.npy"));
  }

  std::string int8_, engine_;
};

TEST_F(EngineCli, CompileReportsAndLeadsOn) {
  const Outcome out = octet("compile " + int8_ + " -q --seconds 0.2 --explain -o " + engine_);
  ASSERT_EQ(out.code, 0) << out.text;
  for (const char* word : {"group", "kernel", "precision", "loads in", "next: octet bench", "INT8"})
    EXPECT_NE(out.text.find(word), std::string::npos) << word << " not in: " << out.text;
  const Outcome as_json = octet("compile " + int8_ + " --no-timing --json --explain -o " + engine_);
  ASSERT_EQ(as_json.code, 0) << as_json.text;
  const json j = json::parse(as_json.text);
  EXPECT_EQ(j["engine_bytes"], fs::file_size(engine_));
  EXPECT_GE(j["groups"]["int8"], 2);  // the convolution and the classifier
  const Outcome explained = octet("explain " + engine_ + " --json");
  ASSERT_EQ(explained.code, 0) << explained.text;
  EXPECT_EQ(json::parse(explained.text)["explain"], j["explain"]);
  double macs = 0;
  for (const json& group : j["explain"]) {
    EXPECT_FALSE(group["kernel"].get<std::string>().empty()) << group.dump();
    macs += group["macs"].get<double>();
  }
  EXPECT_GE(macs, 16 * 3 * 3 * 3 * 8 * 8 + 4 * 16);
  EXPECT_LE(macs, 16 * 4 * 3 * 3 * 8 * 8 + 4 * 16);  // a stem may be computed with a fourth channel
  EXPECT_EQ(octet("explain " + engine_).code, 0);
}

TEST_F(EngineCli, RunGivesTheSameBytesOnEveryCpuThreadAndBatch) {
  compile();
  const std::string expected = scores(engine_, "--threads 1");
  EXPECT_EQ(floats_of(path("scores.npy")).size(), 40u * 4);
  EXPECT_EQ(scores(engine_, "--threads 3 --batch 7"), expected);
  EXPECT_EQ(scores(engine_, "--threads 2 --batch 40"), expected);
  compile("--cpu base --no-timing");
  EXPECT_EQ(scores(engine_), expected);
  EXPECT_EQ(scores(engine_, "", "OCTET_MAX_ISA=base"), expected);
}

TEST_F(EngineCli, RunAgreesWithTheSimulation) {
  compile();
  scores(int8_);
  const std::vector<float> simulated = floats_of(path("scores.npy"));
  scores(engine_);
  const std::vector<float> computed = floats_of(path("scores.npy"));
  ASSERT_EQ(simulated.size(), 160u);
  ASSERT_EQ(computed.size(), simulated.size());
  double signal = 0, noise = 0;
  for (size_t i = 0; i < simulated.size(); ++i) {
    signal += std::pow(simulated[i], 2);
    noise += std::pow(simulated[i] - computed[i], 2);
  }
  EXPECT_GT(signal, 0);
  EXPECT_LT(noise, signal * 1e-3);  // codes on a border between two may fall to either side
  const Outcome compared = octet("compare " + int8_ + " " + engine_ + " --data " + data() + " -q --json");
  ASSERT_EQ(compared.code, 0) << compared.text;
  const json report = json::parse(compared.text);
  EXPECT_EQ(report["count"], 32);
  EXPECT_GE(report["agreement"], 90);
  EXPECT_GE(report["tensors"].size(), 2u) << report.dump();  // layers, not only the output
}

TEST_F(EngineCli, EvalTakesEngines) {
  compile();
  const std::string tail = " --data " + data() + " --json -q";
  const Outcome simulated = octet("eval " + int8_ + tail),
                computed = octet("eval " + engine_ + tail + " --threads 2");
  ASSERT_EQ(simulated.code, 0) << simulated.text;
  ASSERT_EQ(computed.code, 0) << computed.text;
  EXPECT_EQ(json::parse(computed.text)["count"], 40);
  EXPECT_NEAR(json::parse(computed.text)["top1"], json::parse(simulated.text)["top1"], 5);
}

TEST_F(EngineCli, BenchTimesAllModelsAtAllSettings) {
  compile();
  const Outcome out =
      octet("bench " + engine_ + " " + model_ + " --threads 1,2 --batch 1,3 --runs 4 --profile --json");
  ASSERT_EQ(out.code, 0) << out.text;
  const json rows = json::parse(out.text)["results"];
  ASSERT_EQ(rows.size(), 8u);
  for (size_t i = 0; i < rows.size(); ++i) {
    const json& row = rows[i];
    EXPECT_EQ(row["model"], i % 2 == 0 ? engine_ : model_);
    EXPECT_EQ(row["threads"], i < 4 ? 1 : 2);
    EXPECT_EQ(row["batch"], i / 2 % 2 == 0 ? 1 : 3);
    for (const char* key : {"ms", "copied_ms"}) {
      EXPECT_EQ(row[key]["count"], 4);
      EXPECT_GT(row[key]["min"], 0);
      EXPECT_LE(row[key]["min"], row[key]["median"]);
      EXPECT_LE(row[key]["median"], row[key]["p99"]);
      int64_t counted = 0;
      for (const auto& n : row[key]["bins"]) counted += n.get<int64_t>();
      EXPECT_EQ(counted, row[key]["count"]);
    }
    const double first = rows[i - i % 2]["ms"]["median"];
    EXPECT_DOUBLE_EQ(row["ratio"].get<double>(), row["ms"]["median"].get<double>() / first);
    EXPECT_GT(row["load_ms"], 0);
    double share = 0, lost = 1e9;
    for (const json& group : row["groups"]) {
      share += group["share"].get<double>();
      EXPECT_LE(group["lost_ms"].get<double>(), lost);
      lost = group["lost_ms"];
    }
    EXPECT_NEAR(share, 1, 1e-6);
  }
  const Outcome text = octet("bench " + engine_ + " " + int8_ + " --threads 1 --seconds 0.05 -q");
  ASSERT_EQ(text.code, 0) << text.text;
  for (const char* word : {"median", "ratio", "images/s", "with copies", "model.octet", "model_int8.onnx"})
    EXPECT_NE(text.text.find(word), std::string::npos) << word << " not in: " << text.text;
}

// The network of this repository, with weights that were trained.
TEST_F(EngineCli, TheFashionNetwork) {
  test::Random random(5);
  const Tensor x = test::random_tensor(random, {12, 1, 28, 28}, 0, 1);
  write_npy("fashion.npy", "<f4", "(12, 1, 28, 28)", {x.data<char>(), static_cast<size_t>(x.nbytes())});
  const std::string network = std::string(OCTET_SOURCE_DIR) + "/models/resnet20_fashion_mnist.onnx";
  Outcome out = octet("quantize " + network + " --data npy:" + path("fashion.npy") +
                      " --regime naive --no-eval -q -o " + path("f"));
  ASSERT_EQ(out.code, 0) << out.text;
  int8_ = path("f/model_int8.onnx");
  compile();
  out = octet("compare " + int8_ + " " + engine_ + " --data npy:" + path("fashion.npy") + " -q --json");
  ASSERT_EQ(out.code, 0) << out.text;
  EXPECT_GE(json::parse(out.text)["agreement"], 75) << out.text;
  out = octet("run " + engine_ + " " + path("fashion.npy"));
  ASSERT_EQ(out.code, 0) << out.text;
  EXPECT_NE(out.text.find("[12, 10]"), std::string::npos) << out.text;
  EXPECT_NE(out.text.find("top 5"), std::string::npos) << out.text;
  EXPECT_LT(fs::file_size(engine_), fs::file_size(network));
}

TEST_F(EngineCli, SeveralOutputsGoToAFolder) {
  compile();
  const Outcome out = octet("run " + engine_ + " " + path("x.npy") + " --images 3 --json -o " + path("results"));
  ASSERT_EQ(out.code, 0) << out.text;
  const json j = json::parse(out.text);
  EXPECT_EQ(j["count"], 3);
  EXPECT_EQ(j["outputs"][0]["dims"], json({3, 4}));
  EXPECT_EQ(j["outputs"][0]["file"], path("results") + "/y.npy");
  EXPECT_EQ(floats_of(path("results/y.npy")).size(), 12u);
  EXPECT_EQ(j["top5"].size(), 3u);
}

TEST_F(EngineCli, ATimingCacheMakesTheChoicesAgain) {
  const auto kernels = [this] {
    std::vector<std::string> names;
    const json explained = json::parse(octet("explain " + engine_ + " --json").text);
    for (const json& group : explained["explain"]) names.push_back(group["kernel"]);
    return names;
  };
  compile("--seconds 0.2 --timing-cache " + path("timings"));
  const std::string timings = read_text(path("timings"));
  const std::vector<std::string> first = kernels();
  ASSERT_FALSE(timings.empty());
  compile("--seconds 0.2 --timing-cache " + path("timings"));
  EXPECT_EQ(read_text(path("timings")), timings);
  EXPECT_EQ(kernels(), first);
}

TEST_F(EngineCli, CompileLeavesOtherFilesAlone) {
  const std::string network = read_text(int8_);
  fs::create_symlink(int8_, path("link.onnx"));
  for (const std::string& output : {int8_, path("link.onnx"), path("out/../out/model_int8.onnx")}) {
    SCOPED_TRACE(output);
    expect_refusal(octet("compile " + int8_ + " -q --no-timing -o " + output), 2, {"the network itself"});
  }
  expect_refusal(octet("compile " + int8_ + " -q -o " + engine_ + " --timing-cache " + int8_), 2, {"timing cache"});
  EXPECT_EQ(read_text(int8_), network);
  write("letter", "Dear friend,\n");
  const Outcome out = octet("compile " + int8_ + " -q -o " + engine_ + " --timing-cache " + path("letter"));
  expect_refusal(out, 5, {path("letter") + ": this is not a timing cache"});
  EXPECT_EQ(out.text.find("model_int8"), std::string::npos) << out.text;
  EXPECT_EQ(read_text(path("letter")), "Dear friend,\n");
  expect_refusal(octet("compile " + int8_ + " -q --no-timing -o " + engine_ + " --keep-float stem/conf"), 3,
                 {"model_int8.onnx", "'stem/conf'", "'stem/conv'"});
}

TEST_F(EngineCli, ForALargerCpu) {
  const Outcome out = octet("compile " + int8_ + " -q -o " + engine_ + " --cpu amx", "OCTET_MAX_ISA=base");
  ASSERT_EQ(out.code, 0) << out.text;
  if (out.text.find("needs base") != std::string::npos) GTEST_SKIP() << "this build has no kernels beyond the base";
  EXPECT_NE(out.text.find("this CPU cannot load it"), std::string::npos) << out.text;
  expect_refusal(octet("run " + engine_ + " " + path("x.npy"), "OCTET_MAX_ISA=base"), 4, {"AVX"});
}

TEST_F(EngineCli, EnginesWhereNetworksBelong) {
  compile();
  for (const std::string& command : {"quantize " + engine_ + " --data " + data() + " -o " + path("o"),
                                     "inspect " + engine_, "compile " + engine_ + " -o " + path("again.octet"),
                                     "compare " + engine_ + " " + engine_ + " --data " + data()}) {
    SCOPED_TRACE(command);
    expect_refusal(octet(command), 2, {"model.octet", "compiled engine", "ONNX"});
  }
  expect_refusal(octet("explain " + int8_), 2, {"model_int8.onnx", "octet compile"});
}

TEST_F(EngineCli, MissingFiles) {
  for (const char* command : {"compile nowhere.onnx -o x.octet", "run nowhere.octet x.npy", "run nowhere.onnx x.npy",
                              "bench nowhere.octet", "bench nowhere.onnx", "explain nowhere.octet"}) {
    SCOPED_TRACE(command);
    expect_refusal(octet(command), 3, {"nowhere"});
  }
  compile();
  expect_refusal(octet("run " + engine_ + " " + path("nothing.npy")), 3, {"nothing.npy"});
  expect_refusal(octet("run " + engine_ + " " + path("nothing.png")), 3, {"nothing.png"});
}

TEST_F(EngineCli, DamagedEngines) {
  compile();
  fs::resize_file(engine_, fs::file_size(engine_) / 2);
  for (const char* command : {"run ", "explain ", "bench "}) {
    SCOPED_TRACE(command);
    expect_refusal(octet(command + engine_ + (std::string(command) == "run " ? " " + path("x.npy") : "")), 5,
                   {"model.octet"});
  }
  write("text.octet",
        "not an engine at all, but long enough to have a header of its own, with many more words than needed here");
  expect_refusal(octet("run " + path("text.octet") + " " + path("x.npy")), 5, {"text.octet"});
}

TEST_F(EngineCli, AnotherCpu) {
  compile("--cpu avx2 --no-timing");
  const Outcome out = octet("run " + engine_ + " " + path("x.npy"), "OCTET_MAX_ISA=base");
  if (out.code == 0) GTEST_SKIP() << "the network needs nothing of AVX2";
  expect_refusal(out, 4, {"AVX2"});
}

TEST_F(EngineCli, WrongInputs) {
  compile();
  test::Random random(1);
  const Tensor x = test::random_tensor(random, {4, 3, 5, 5});
  write_npy("small.npy", "<f4", "(4, 3, 5, 5)", {x.data<char>(), static_cast<size_t>(x.nbytes())});
  for (const std::string& model : {engine_, int8_}) {
    expect_refusal(octet("run " + model + " " + path("small.npy")), 2, {"[3, 5, 5]", "[3, 8, 8]"});
    expect_refusal(octet("run " + model), 2, {".npy", "--data"});
    expect_refusal(octet("run " + model + " " + path("x.npy") + " " + path("y.npy")), 2, {"x.npy", "images"});
    expect_refusal(octet("run " + model + " " + path("x.npy") + " --data " + data()), 2, {"x.npy", "--data"});
  }
  write("photo.jpg", "this is no photograph");
  expect_refusal(octet("run " + engine_ + " " + path("photo.jpg")), 5, {"photo.jpg"});
  expect_refusal(octet("run " + engine_ + " " + path("x.npy") + " -o " + path("no/such/folder/y.npy")), 6, {"y.npy"});
}

TEST_F(EngineCli, WrongOptions) {
  compile("--no-timing --batch 2");
  expect_refusal(octet("bench " + engine_ + " --batch 3 --runs 1"), 2, {"model.octet", "3", "--batch"});
  EXPECT_EQ(octet("bench " + engine_ + " --batch 2 --runs 1 -q").code, 0);
  for (const std::string& wrong :
       {"compile " + int8_ + " -o x.octet --cpu z80", "compile " + int8_ + " -o x.octet --batch -1",
        "compile " + int8_, std::string("bench"), "bench " + engine_ + " --batch 0",
        "bench " + engine_ + " --threads many", "bench " + engine_ + " --runs 0", "run " + engine_ + " --threads -1",
        "compile " + int8_ + " -o x.octet --explayn"}) {
    SCOPED_TRACE(wrong);
    EXPECT_EQ(octet(wrong).code, 2);
  }
  expect_refusal(octet("compile " + int8_ + " -q -o " + path("x.octet") + " --disable-kernel turbo"), 2, {"turbo"});
  expect_refusal(octet("compile " + int8_ + " -q --no-timing -o " + path("no/folder/x.octet")), 6, {"x.octet"});
}

TEST_F(EngineCli, BothSignalsEndALongRunInOrder) {
  compile();
  for (const int signal : {SIGINT, SIGTERM}) {
    const pid_t child = start({"bench", engine_, int8_, "--seconds", "600", "-q"});
    // A signal before the command listens would kill it.
    const std::string caught = "SigCgt:";
    for (int i = 0; i < 1000; ++i) {
      const std::string text = read_text("/proc/" + std::to_string(child) + "/status");
      const size_t at = text.find(caught);
      const uint64_t mask = at == std::string::npos ? 0 : std::stoull(text.substr(at + caught.size()), nullptr, 16);
      if ((mask >> (signal - 1) & 1) != 0) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ::kill(child, signal);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status)) << "signal " << signal;
    EXPECT_EQ(WEXITSTATUS(status), 130) << "signal " << signal;
  }
}

}  // namespace
}  // namespace octet
