// What a report says, from artifacts: numbers, sentences, and what becomes of absent and damaged files.
#include "report/folder.h"
#include "report/network_view.h"
#include "report/training_view.h"

namespace octet::testing {
namespace {

class ReportDocument : public ReportFolder {};

const json& named(const json& list, const char* key, const std::string& name) {
  static const json kNothing;
  for (const json& item : list)
    if (item[key] == name) return item;
  ADD_FAILURE() << "nothing is called " << name << " in " << list.dump().substr(0, 400);
  return kNothing;
}

TEST_F(ReportDocument, AFolderWithNothingInItIsRefusedInOneSentence) {
  const auto nothing = make_report({path(), "", false});
  ASSERT_FALSE(nothing.is_ok());
  EXPECT_EQ(nothing.status().code(), StatusCode::kNotFound);
  EXPECT_NE(nothing.status().message().find("nothing to report"), std::string::npos);
  EXPECT_EQ(make_report({path("absent"), "", false}).status().code(), StatusCode::kNotFound);
  write("run.json", run(90, 90));
  EXPECT_EQ(make_report({path(), path("absent"), false}).status().code(), StatusCode::kNotFound);
}

TEST_F(ReportDocument, TheVerdictKnowsTheBudget) {
  json r = run(93.0, 92.6);
  write("run.json", r);
  json verdict = made()["runs"][0]["verdict"];
  EXPECT_EQ(verdict["level"], "good");
  EXPECT_NE(verdict["text"].get<std::string>().find("92.60 % top-1, 0.40 points below float's 93.00"),
            std::string::npos)
      << verdict["text"];
  r["max_drop"] = 0.3;
  write("run.json", r);
  verdict = made()["runs"][0]["verdict"];
  EXPECT_EQ(verdict["level"], "bad");
  EXPECT_NE(verdict["text"].get<std::string>().find("budget of 0.30 points does not hold"), std::string::npos);
  r["max_drop"] = 0.41;
  write("run.json", r);
  verdict = made()["runs"][0]["verdict"];
  EXPECT_EQ(verdict["level"], "good");
  EXPECT_NE(verdict["text"].get<std::string>().find("4.00 times smaller"), std::string::npos);
}

TEST_F(ReportDocument, RunsInsideAFolderStandBesideEachOther) {
  write("naive/run.json", run(93.0, 80.0));
  write("selective/run.json", run(93.0, 92.9));
  const json doc = made(), &variants = doc["runs"][0]["variants"];
  ASSERT_EQ(variants.size(), 3u) << variants.dump();
  EXPECT_EQ(variants[0]["name"], "float");
  EXPECT_EQ(doc["runs"][0]["name"], "selective");
  EXPECT_EQ(named(variants, "name", "INT8 selective (naive)")["score"], 80.0);
  EXPECT_NE(doc["runs"][0]["verdict"]["text"].get<std::string>().find("92.90"), std::string::npos);
}

TEST_F(ReportDocument, FineTuningStandsBesideCalibration) {
  json r = run(93.0, 92.9);
  r["ptq"] = r["quantized"];
  r["ptq"]["top1"] = 91.0;
  r["epochs"] = json::array({{{"epoch", 1}, {"step", 10}, {"lr", 0.1}, {"train_loss", 1.5}, {"val_top1", 92.9}}});
  write("run.json", r);
  const json one = made()["runs"][0];
  EXPECT_EQ(named(one["variants"], "stage", "calibrated")["score"], 91.0);
  EXPECT_EQ(named(one["variants"], "stage", "fine-tuned")["score"], 92.9);
  EXPECT_EQ(one["training"]["epochs"][0]["train_loss"], 1.5);
}

TEST_F(ReportDocument, TensorsHaveTheirRangesBinsAndClips) {
  const Graph g = network();
  quantize(g);
  const json one = made()["runs"][0], &tensors = one["tensors"];
  const json& t = named(tensors, "name", "relu1_out");
  const json ranges = json::parse(std::ifstream(path("ranges.json")))["tensors"]["relu1_out"];
  const json seen = json::parse(std::ifstream(path("statistics.json")))["tensors"]["relu1_out"];
  EXPECT_NEAR(t["hi"].get<double>(), ranges["hi"].get<double>(), 1e-4);
  EXPECT_EQ(t["bins"], seen["bins"]);
  EXPECT_EQ(t["type"], "uint8");
  EXPECT_EQ(t["codes"], 256);
  EXPECT_NEAR(t["step"].get<double>(), ranges["hi"].get<double>() / 255, 1e-4);
  EXPECT_EQ(t["clips"].size(), 4u);
  const json& w = named(tensors, "name", "conv1.weight");
  EXPECT_EQ(w["channels"].size(), 8u);
  EXPECT_EQ(w["reader"], "conv1");
}

TEST_F(ReportDocument, ClippedIsTheShareOutsideTheRange) {
  write("ranges.json",
        json{{"network", "n"},
             {"tensors", {{"t", {{"lo", -1}, {"hi", 2.5}, {"role", "activation"}, {"method", "mse"}}}}}});
  write("statistics.json", json{{"network", "n"},
                                {"tensors",
                                 {{"t",
                                   {{"count", 100},
                                    {"zeros", 10},
                                    {"min", -2},
                                    {"max", 3.9},
                                    {"bin_lo", -2},
                                    {"bin_width", 1},
                                    {"bins", {5, 15, 30, 20, 16, 4}},
                                    {"clip_mse", {-1, 2.5, 0.1}}}}}}});
  const json t = made()["runs"][0]["tensors"][0];
  EXPECT_NEAR(t["clipped"].get<double>(), (5 + 0.5 * 16 + 4) / 100.0, 1e-9);
  write("statistics.json", json{{"network", "another"}, {"tensors", {{"t", {{"bins", {1}}}}}}});
  EXPECT_FALSE(made()["runs"][0]["tensors"][0].contains("bins")) << "statistics of another network count";
}

TEST_F(ReportDocument, NodesKnowTheirReasonLossAndTime) {
  quantize(network());
  write("compile.json", json{{"explain",
                              {{{"what", "Conv+Relu"},
                                {"nodes", "conv1 + relu1"},
                                {"precision", "int8"},
                                {"kernel", "amx"},
                                {"int8_ms", 1.0},
                                {"float_ms", 3.0},
                                {"reasons", {"vnni: slower"}}},
                               {{"what", "Conv+Add"},
                                {"nodes", "conv2 + add"},
                                {"precision", "float32"},
                                {"kernel", "node by node"},
                                {"float_ms", 1.0}}}}});
  write("bench.json", json{{"results",
                            {{{"model", "m.octet"},
                              {"threads", 1},
                              {"batch", 1},
                              {"ms", {{"median", 2.0}}},
                              {"groups",
                               {{{"what", "Conv+Relu"}, {"nodes", "conv1 + relu1"}, {"ms", 3.0}},
                                {{"what", "Conv+Add"}, {"nodes", "conv2 + add"}, {"ms", 1.0}}}}},
                             {{"model", "net.onnx"}, {"threads", 1}, {"batch", 1}, {"ms", {{"median", 5.0}}}}}}});
  write(
      "compare.json",
      json{{"tensors",
            {{{"tensor", "conv2_out"}, {"op", "Conv"}, {"sqnr_db", 21.5}}, {{"tensor", "x"}, {"sqnr_db", "inf"}}}}});
  const json one = made()["runs"][0], &net = one["network"];
  ASSERT_EQ(net["names"], json({"conv1", "relu1", "conv2", "add"}));
  const auto word = [&](const char* column, size_t i) {
    return net["words"][net[column][i].get<size_t>()].get<std::string>();
  };
  EXPECT_EQ(word("decisions", 0), "quantized");
  EXPECT_EQ(word("decisions", 1), "fused");
  EXPECT_NE(word("why", 0).find("int8 weights"), std::string::npos);
  EXPECT_EQ(net["layer_sqnr"][2], 17.5);
  EXPECT_EQ(net["sqnr"][2], 21.5);
  EXPECT_EQ(net["groups"], json({0, 0, 1, 1}));
  EXPECT_EQ(one["groups"][0]["ms"], 3.0);
  EXPECT_EQ(one["int8_share"], 0.75);
  EXPECT_NE(one["verdict"]["text"].get<std::string>().find("2.50 times as fast"), std::string::npos)
      << one["verdict"];
  EXPECT_NE(one["verdict"]["text"].get<std::string>().find("conv2 (17.5 dB)"), std::string::npos);
}

TEST_F(ReportDocument, EdgesKnowWhereQuantizersStand) {
  quantize(network());
  const auto graph = load_onnx(path("model_int8.onnx"));
  ASSERT_TRUE(graph.is_ok());
  const report::DrawnNetwork net = report::draw(*graph);
  ASSERT_EQ(net.nodes.size(), 4u);
  for (const report::DrawnNode& n : net.nodes) EXPECT_EQ(n.op.find("Quantize"), std::string::npos);
  bool conv1_relu1 = false, relu1_conv2 = false;
  for (const report::DrawnEdge& e : net.edges) {
    if (e.from == 0 && e.to == 1) conv1_relu1 = !e.coded;
    if (e.from == 1 && e.to == 2) relu1_conv2 = e.coded;
  }
  EXPECT_TRUE(conv1_relu1 && relu1_conv2);
}

TEST_F(ReportDocument, DamagedFilesAreToldAndTheRestIsShown) {
  write("run.json", run(90, 89.9));
  write("plan.json", "{ \"nodes\": [");
  write("ranges.json", "[1, 2]");
  write("model_int8.onnx", "no network");
  write("bench.json", json{{"results", "text"}});
  write("statistics.json", json{{"tensors", 7}, {"layer_sqnr_db", json::array({1})}});
  const auto report = make_report({path(), "", false});
  ASSERT_TRUE(report.is_ok()) << report.status().message();
  EXPECT_EQ(report->problems.size(), 3u);
  EXPECT_EQ(json::parse(report->data)["runs"][0]["problems"].size(), 3u);
}

TEST_F(ReportDocument, AnyValueMayBeOfAnyKind) {
  quantize(network());
  write("run.json", run(90, 89.9));
  write("metrics.jsonl", "{\"step\": 1, \"train/loss\": 2}\n");
  const json values[] = {nullptr,        true,      -1e308, "text", json::array(), json::array({nullptr, "x"}),
                         json::object(), {{"a", 1}}};
  for (const char* file : {"run.json", "plan.json", "ranges.json", "statistics.json"}) {
    const json whole = json::parse(std::ifstream(path(file)));
    const json flat = whole.flatten();
    for (const auto& [pointer, unused] : flat.items()) {
      json changed = whole;
      changed[json::json_pointer(pointer)] = values[std::hash<std::string>()(pointer) % 8];
      if (std::hash<std::string>()(pointer + file) % 5 != 0) continue;  // a fifth of some thousand
      write(file, changed);
      ASSERT_TRUE(make_report({path(), "", false}).is_ok()) << file << pointer;
    }
    write(file, whole);
  }
}

TEST_F(ReportDocument, CurvesSkipWhatIsNotFiniteAndAreThinned) {
  std::string lines;
  for (int step = 1; step <= 5000; ++step)
    lines += json{{"step", step}, {"time", 1.5}, {"train/loss", step == 7 ? json() : json(1.0 / step)}}.dump() + "\n";
  write("metrics.jsonl", lines + "{\"step\": 5001, \"train/lo");
  const json one = made()["runs"][0], &series = one["training"]["series"][0];
  EXPECT_EQ(series["tag"], "train/loss");
  EXPECT_LE(series["steps"].size(), report::kMostPoints + 1);
  EXPECT_EQ(series["steps"].back(), 5000);
  EXPECT_TRUE(one["training"]["running"].get<bool>());
  EXPECT_TRUE(one["problems"].empty());
}

TEST_F(ReportDocument, DifferencesOfTwoRuns) {
  quantize(network());
  write("run.json", run(90, 89.5));
  std::filesystem::create_directories(path("b"));
  for (const char* file : {"plan.json", "ranges.json", "statistics.json"})
    std::filesystem::copy(path(file), path("b/") + file);
  json other = run(90, 89.9);
  other["target"] = "openvino";
  write("b/run.json", other);
  json ranges = json::parse(std::ifstream(path("ranges.json")));
  const double hi = ranges["tensors"]["relu1_out"]["hi"];
  ranges["tensors"]["relu1_out"]["hi"] = 2 * hi;
  write("b/ranges.json", ranges);
  json plan = json::parse(std::ifstream(path("plan.json")));
  plan["nodes"][0]["decision"] = "float";
  write("b/plan.json", plan);
  const json d = made(path("b"))["differences"];
  ASSERT_EQ(d["ranges"].size(), 1u) << d["ranges"].dump();
  EXPECT_NEAR(d["ranges"][0]["after"].get<double>(), 2 * hi, 1e-3);
  ASSERT_EQ(d["decisions"].size(), 1u);
  EXPECT_EQ(d["decisions"][0]["node"], "conv1");
  EXPECT_EQ(named(d["settings"], "key", "target")["after"], "openvino");
  EXPECT_EQ(named(d["results"], "what", "quantized top-1 %")["after"], 89.9);
}

TEST_F(ReportDocument, SensitivityAndSearchAsTheirCommandsWriteThem) {
  write("sensitivity.json", json{{"format", "octet-sensitivity"},
                                 {"score", "top-1 %"},
                                 {"float_score", 91.0},
                                 {"quantized_score", 90.0},
                                 {"layers",
                                  {{{"node", "conv1"},
                                    {"op", "Conv"},
                                    {"output_sqnr_db", 25.5},
                                    {"kl", 0.01},
                                    {"alone", 90.5},
                                    {"without", 90.8}},
                                   {{"node", "conv2"}, {"op", "Conv"}, {"output_sqnr_db", nullptr}}}}});
  write("search.json",
        json{{"score", "top-1"},
             {"unit", "points"},
             {"float", {{"score", 91.0}, {"latency_ms", 4.0}}},
             {"holds", true},
             {"best", 1},
             {"trials",
              {{{"name", "naive"}, {"score", 80.0}, {"latency_ms", 1.0}, {"recipe", "regime: naive\n"}},
               {{"name", "mse"},
                {"score", 90.8},
                {"latency_ms", 1.2},
                {"holds", true},
                {"on_front", true},
                {"recipe", "regime: hybrid\n"}}}}});
  const json one = made()["runs"][0];
  EXPECT_EQ(one["sensitivity"]["layers"][0]["kl"], 0.01);
  EXPECT_TRUE(one["sensitivity"]["layers"][1]["sqnr"].is_null());
  EXPECT_EQ(one["search"]["trials"][1]["recipe"], "regime: hybrid\n");
  EXPECT_TRUE(one["search"]["holds"].get<bool>());
}

}  // namespace
}  // namespace octet::testing
