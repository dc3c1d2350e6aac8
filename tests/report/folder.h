// A folder with what a quantization leaves behind.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "octet/calibration_summary.h"
#include "octet/onnx.h"
#include "octet/report.h"
#include "quantization/small_networks.h"

namespace octet::testing {

using nlohmann::json;

class ReportFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("octet-report-" + std::to_string(::getpid()) + "-" +
                                                  ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name = "") const { return (folder_ / name).string(); }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  void write(const std::string& name, const json& document) const { write(name, document.dump()); }
  void write(const std::string& name, const char* text) const { write(name, std::string(text)); }

  // Two convolutions and an addition; `extra` goes into the names of nodes and tensors.
  static Graph network(const std::string& extra = "") {
    NetBuilder b;
    const ValueId x = b.input("x", {1, 8, 8, 8});
    const ValueId r = b.relu("relu1" + extra, b.conv("conv1" + extra, x, 8, 8));
    const ValueId c = b.conv("conv2" + extra, r, 8, 8);
    return b.finish({b.op("Add", "add" + extra, {c, r})});
  }

  // model_int8.onnx, plan.json, ranges.json, statistics.json of this network.
  void quantize(const Graph& g) const {
    SelectiveQuantizer quantizer(options_for("octet"));
    const QuantizationPlan decisions = prepared(g, quantizer.options());
    const auto statistics = observe(g, decisions);
    const auto ranges = quantizer.calibrate(g, decisions, statistics);
    ASSERT_TRUE(ranges.is_ok()) << ranges.status().message();
    const auto plan = quantizer.finish(g, *ranges);
    ASSERT_TRUE(plan.is_ok()) << plan.status().message();
    const auto int8 = quantizer.quantize_module(g, *plan);
    ASSERT_TRUE(int8.is_ok()) << int8.status().message();
    ASSERT_TRUE(save_onnx(*int8, path("model_int8.onnx")).is_ok());
    ASSERT_TRUE(save_ranges(*ranges, path("ranges.json")).is_ok());
    ASSERT_TRUE(save_plan(*plan, path("plan.json")).is_ok());
    CalibrationSummary summary = summarize_calibration(g, decisions, statistics);
    for (const Node& n : g.nodes)
      if (n.is("Conv")) summary.layer_sqnr_db[n.name] = n.name.starts_with("conv2") ? 17.5 : 33.0;
    write("statistics.json", summary_to_json(summary));
  }

  static json run(double float_top1, double int8_top1) {
    const auto eval = [](double top1) {
      return json{{"task", "classification"},
                  {"top1", top1},
                  {"top5", 99.0},
                  {"count", 1000},
                  {"top1_interval_95", {top1 - 1, top1 + 1}},
                  {"arithmetic", "integer"}};
    };
    return {{"model", "net.onnx"},       {"regime", "selective"},       {"target", "octet"},
            {"float_bytes", 4000},       {"quantized_bytes", 1000},     {"size_ratio", 4.0},
            {"float", eval(float_top1)}, {"quantized", eval(int8_top1)}};
  }

  json made(const std::string& other = "") const {
    const auto report = make_report({path(), other, false});
    EXPECT_TRUE(report.is_ok()) << report.status().message();
    return report.is_ok() ? json::parse(report->data) : json();
  }

  std::filesystem::path folder_;
};

}  // namespace octet::testing
