// octet report and the --report of other commands.
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/cli_fixture.h"

namespace octet::test {
namespace {

class ReportCli : public Cli {
 protected:
  void quantize() const {
    const Outcome out =
        octet("quantize " + model_ + " --data " + data() + " --max-drop 100 --report -q -o " + path("out"));
    ASSERT_EQ(out.code, 0) << out.text;
  }
};

TEST_F(ReportCli, EveryCommandAddsItsPart) {
  quantize();
  const std::string out = path("out"), int8 = out + "/model_int8.onnx", engine = out + "/model.octet";
  for (const char* name : {"report.html", "statistics.json"}) EXPECT_TRUE(fs::exists(out + "/" + name)) << name;
  EXPECT_EQ(nlohmann::json::parse(read_text(out + "/run.json"))["max_drop"], 100);
  for (const std::string& command :
       {"compile " + int8 + " -o " + engine + " --no-timing -q", "bench " + engine + " " + model_ + " --runs 5 -q",
        "compare " + model_ + " " + int8 + " -q --data " + data_of(path("x.npy"))}) {
    const Outcome done = octet(command + " --report " + out);
    ASSERT_EQ(done.code, 0) << done.text;
  }
  const Outcome made = octet("report " + out + " --json");
  ASSERT_EQ(made.code, 0) << made.text;
  const auto run = nlohmann::json::parse(made.text)["runs"][0];
  EXPECT_FALSE(run["groups"].empty());
  EXPECT_TRUE(run["groups"][0]["ms"].is_number());
  EXPECT_EQ(run["latency"].size(), 2u);
  EXPECT_FALSE(run["losses"]["tensors"].empty());
  EXPECT_FALSE(run["network"]["names"].empty());
  EXPECT_TRUE(run["problems"].empty());
}

TEST_F(ReportCli, FiguresAreFilesWithTheirNumbers) {
  quantize();
  const Outcome out = octet("report " + path("out") + " --figures " + path("figures"));
  if (out.text.find("was not built") != std::string::npos) GTEST_SKIP() << "built without Debian's libmozjs-102-dev";
  ASSERT_EQ(out.code, 0) << out.text;
  const auto statistics = nlohmann::json::parse(read_text(path("out/statistics.json")))["tensors"];
  size_t histograms = 0;
  for (const auto& entry : fs::directory_iterator(path("figures"))) {
    const std::string text = read_text(entry.path()), name = entry.path().filename();
    EXPECT_TRUE(name.ends_with(".csv") || (text.starts_with("<?xml") && text.ends_with("</svg>\n"))) << name;
    if (name.starts_with("histogram-") && name.ends_with(".csv")) ++histograms;
  }
  EXPECT_EQ(histograms, statistics.size());
  const std::string accuracy = read_text(path("figures/accuracy.csv"));
  const auto run = nlohmann::json::parse(read_text(path("out/run.json")));
  // network, run, metric, score, ...
  const size_t row = accuracy.find("\r\nINT8 selective,");
  ASSERT_NE(row, std::string::npos) << accuracy;
  std::istringstream cells(accuracy.substr(row + 2));
  std::string cell;
  for (int i = 0; i < 4; ++i) std::getline(cells, cell, ',');
  EXPECT_NEAR(std::stod(cell), run["quantized"]["top1"].get<double>(), 1e-3);
  const Outcome again = octet("report " + path("out") + " --figures " + path("again"));
  ASSERT_EQ(again.code, 0);
  EXPECT_EQ(read_text(path("again/accuracy.svg")), read_text(path("figures/accuracy.svg")));
}

TEST_F(ReportCli, WrongUseIsRefusedInASentence) {
  expect_refusal(octet("report " + path("absent")), 3, {"there is no folder"});
  fs::create_directories(path("empty"));
  expect_refusal(octet("report " + path("empty")), 3, {"nothing to report", "run.json"});
  expect_refusal(octet("report " + path("empty") + " --serve -o x.html"), 2, {"--serve"});
  expect_refusal(octet("report " + path("empty") + " --port 8000"), 2, {"--serve"});
}

TEST_F(ReportCli, TablesHaveHistogramsAndNoColourOutsideATerminal) {
  const Outcome inspected = octet("inspect " + model_);
  EXPECT_NE(inspected.text.find("magnitudes of the weights: 2^-16 "), std::string::npos) << inspected.text;
  EXPECT_NE(inspected.text.find("█"), std::string::npos) << inspected.text;
  const Outcome quantized = octet("quantize " + model_ + " --data " + data() + " -q -o " + path("out"));
  EXPECT_NE(quantized.text.find("values (log)"), std::string::npos);
  EXPECT_NE(quantized.text.find("█"), std::string::npos);
  const Outcome benched = octet("bench " + model_ + " --runs 20 -q");
  EXPECT_NE(benched.text.find("█"), std::string::npos) << benched.text;
  for (const Outcome* o : {&inspected, &quantized, &benched}) EXPECT_EQ(o->text.find('\x1b'), std::string::npos);
}

TEST_F(ReportCli, ColourOnATerminalUnlessNoColor) {
  const std::string command =
      std::string(OCTET_BINARY) + " quantize " + model_ + " --data " + data() + " -q -o " + path("out");
  if (octet("--version", "command -v script &&").code != 0) GTEST_SKIP() << "the program 'script' is not installed";
  const auto on_terminal = [&](const std::string& environment) {
    FILE* pipe = popen((environment + " TERM=xterm script -qec \"" + command + "\" /dev/null").c_str(), "r");
    std::string text;
    for (int c = 0; pipe != nullptr && (c = fgetc(pipe)) != EOF;) text += static_cast<char>(c);
    if (pipe != nullptr) pclose(pipe);
    return text;
  };
  EXPECT_NE(on_terminal("env -u NO_COLOR").find("\x1b["), std::string::npos);
  EXPECT_EQ(on_terminal("NO_COLOR=1").find("\x1b["), std::string::npos);
}

}  // namespace
}  // namespace octet::test
