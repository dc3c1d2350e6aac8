// octet inspect: what is in a network, and what quantization will meet there.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/network_file.h"
#include "graph/cost.h"
#include "graph/text.h"
#include "octet/onnx.h"
#include "passes/pass.h"

namespace octet::cli {
namespace {

struct Options {
  std::string model;
  std::string target = "octet";
  bool text = false;
};

struct Facts {
  Graph graph;
  int64_t file_bytes = 0;
  int64_t parameters = 0;
  int64_t macs = 0;  // per image
  std::map<std::string, int> ops;
  bool quantized = false;
  std::vector<QuantizationWarning> warnings;
  std::vector<int64_t> magnitudes;  // of float constants, by powers of two from 2^kLeastPower
};

constexpr int kLeastPower = -16, kPowers = 24;

// Zeros count nowhere; what is smaller or larger counts at the ends.
void count_magnitudes(const Tensor& t, std::vector<int64_t>* counts) {
  counts->resize(kPowers, 0);
  for (int64_t i = 0; i < t.numel(); ++i)
    if (const float x = t.data<float>()[i]; x != 0 && std::isfinite(x))
      ++(*counts)[static_cast<size_t>(std::clamp(std::ilogb(x) - kLeastPower, 0, kPowers - 1))];
}

Result<Facts> collect(const Options& o) {
  Facts f;
  OCTET_ASSIGN(f.graph, load_network(o.model));
  if (std::filesystem::is_regular_file(o.model)) {  // a pipe cannot be read again
    OCTET_ASSIGN(f.file_bytes, onnx_bytes(o.model));
  }
  for (const Node& node : f.graph.nodes) {
    ++f.ops[node.op_type];
    f.macs += multiply_accumulates(f.graph, node);
    f.quantized = f.quantized || node.is("QuantizeLinear") || node.is("DequantizeLinear") ||
                  node.op_type.starts_with("QLinear");
  }
  for (size_t v = 0; v < f.graph.value_count(); ++v)
    if (f.graph.is_constant(static_cast<ValueId>(v))) {
      const Tensor& constant = *f.graph.value(static_cast<ValueId>(v)).constant;
      f.parameters += constant.numel();
      if (constant.dtype() == DType::kFloat32) count_magnitudes(constant, &f.magnitudes);
    }
  if (!f.quantized) {
    Graph prepared = f.graph;
    OCTET_RETURN_IF_ERROR(run_passes(prepared).status());
    f.warnings = check_before_calibration(prepared, o.target);
  }
  return f;
}

std::string describe_value(const Graph& graph, ValueId id) {
  const Value& v = graph.value(id);
  return v.name + ": " + dtype_name(v.dtype) + " " + (v.shape ? shape_to_string(*v.shape) : "?");
}

void print_facts(const Options& o, const Facts& f) {
  fmt::print("{}: opset {}, {}{}\n", o.model, f.graph.opset, human_bytes(f.file_bytes),
             f.quantized ? ", already quantized" : "");
  for (ValueId id : f.graph.inputs) fmt::print("  input   {}\n", describe_value(f.graph, id));
  for (ValueId id : f.graph.outputs) fmt::print("  output  {}\n", describe_value(f.graph, id));
  fmt::print("  {} nodes, {} parameters, {} multiply-accumulates per image\n\n", f.graph.nodes.size(),
             human_count(f.parameters), human_count(f.macs));
  Table table({"operator", "count"});
  for (const auto& [op, n] : f.ops) table.add({op, std::to_string(n)});
  fmt::print("{}", table.to_string());
  if (!f.magnitudes.empty())
    fmt::print("\nmagnitudes of the weights: 2^{} {} 2^{}\n", kLeastPower,
               sparkline(f.magnitudes, f.magnitudes.size()), kLeastPower + static_cast<int>(f.magnitudes.size()));
  if (!f.warnings.empty()) fmt::print("\nWorth knowing before quantization:\n");
  for (const QuantizationWarning& w : f.warnings) fmt::print("  {}\n", w.message);
}

void print_json(const Options& o, const Facts& f) {
  nlohmann::ordered_json j;
  j["model"] = o.model;
  j["opset"] = f.graph.opset;
  j["bytes"] = f.file_bytes;
  j["nodes"] = f.graph.nodes.size();
  j["parameters"] = f.parameters;
  j["macs"] = f.macs;
  j["quantized"] = f.quantized;
  j["ops"] = f.ops;
  for (ValueId id : f.graph.inputs) j["inputs"].push_back(describe_value(f.graph, id));
  for (ValueId id : f.graph.outputs) j["outputs"].push_back(describe_value(f.graph, id));
  j["warnings"] = nlohmann::ordered_json::array();
  for (const QuantizationWarning& w : f.warnings)
    j["warnings"].push_back({{"node", w.node}, {"tensor", w.tensor}, {"message", w.message}});
  fmt::print("{}\n", j.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace

void add_inspect(CLI::App& app, std::shared_ptr<Common> common) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand("inspect", "Show operators, shapes, size and quantization risks of a network");
  cmd->add_option("MODEL", o->model, "ONNX file")->required();
  cmd->add_option("--target", o->target, "runtime whose risks to check");
  cmd->add_flag("--text", o->text, "print every node with its types and shapes");
  cmd->footer("Example: octet inspect resnet20.onnx --target onnxruntime");
  add_common_options(*cmd, common);
  cmd->callback([o, common] {
    const Result<Facts> facts = collect(*o);
    if (!facts.is_ok()) {
      common->exit = fail(facts.status());
      return;
    }
    if (o->text) fmt::print("{}", to_text(facts->graph));
    else if (common->json) print_json(*o, *facts);
    else print_facts(*o, *facts);
  });
}

}  // namespace octet::cli
