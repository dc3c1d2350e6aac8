// octet compile: from an ONNX network to an engine for this CPU. octet explain: what an engine does, and why.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "cli/explain.h"
#include "cli/explain_plan.h"
#include "cli/report_files.h"
#include "engine/compiler/compile.h"
#include "kernels/cpu/features.h"
#include "pipeline/image_runner.h"

namespace octet::cli {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string model, output, timing_cache, cpu, report;
  std::vector<std::string> keep_float, disabled_kernels;
  int64_t batch = 0;
  double seconds = 3;
  bool no_timing = false, float_only = false, explain = false;
};

struct Outcome {
  engine::Program program;
  int64_t onnx_bytes = 0, engine_bytes = 0;
  double compile_seconds = 0;
  double load_ms = -1;  // -1: this CPU cannot load it
};

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

int64_t size_of(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(bytes);
}

const std::vector<std::string> kCpus = {"base", "avx2", "avx512", "avx512_vnni", "amx"};

uint32_t features_of(const std::string& cpu) {
  constexpr uint32_t kLevels[] = {cpu::kAvx2, cpu::kAvx512, cpu::kAvx512Vnni, cpu::kAmxInt8};
  const auto level = std::find(kCpus.begin(), kCpus.end(), cpu) - kCpus.begin();
  uint32_t features = 0;
  for (int64_t i = 0; i < level; ++i) features |= kLevels[i];
  return features;
}

// A CPU that this one includes is imitated, so that its kernels can be timed; a larger one is compiled for blindly.
void choose_cpu(const std::string& cpu, engine::CompileOptions* options) {
  if (cpu.empty()) return;
  const uint32_t wanted = features_of(cpu);
  if ((wanted & ~cpu::cpu_features()) == 0) cpu::limit_cpu_features_for_testing(wanted);
  else options->features = wanted;
}

Result<double> time_load(const std::string& path) {
  double best = -1;
  for (int i = 0; i < 3; ++i) {
    const auto begin = Clock::now();
    OCTET_RETURN_IF_ERROR(Engine::load(path).status());
    const double ms = 1000 * seconds_since(begin);
    best = best < 0 ? ms : std::min(best, ms);
  }
  return best;
}

// What is read is not overwritten.
Status check_files(const Options& o) {
  const auto same = [](const std::string& a, const std::string& b) {
    std::error_code error;
    return !a.empty() && (a == b || std::filesystem::equivalent(a, b, error));
  };
  if (same(o.output, o.model))
    return invalid_argument("'" + o.output + "' is the network itself; give -o another name");
  if (same(o.timing_cache, o.model) || same(o.timing_cache, o.output))
    return invalid_argument("'" + o.timing_cache + "' cannot be the timing cache and the network or engine at once");
  return Status::ok();
}

Result<Outcome> run(const Options& o, const Common& common) {
  Outcome out;
  OCTET_RETURN_IF_ERROR(check_files(o));
  OCTET_ASSIGN(const Graph graph, load_network(o.model));
  engine::CompileOptions options;
  options.threads = resolve_threads(common.threads);
  options.timing = !o.no_timing;
  options.seconds = o.seconds;
  options.batch = o.batch;
  options.integers = !o.float_only;
  options.disabled_kernels = o.disabled_kernels;
  options.keep_float.insert(o.keep_float.begin(), o.keep_float.end());
  if (!common.quiet && !common.json)
    options.progress = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
  choose_cpu(o.cpu, &options);
  engine::TimingCache cache;
  if (!o.timing_cache.empty()) {
    OCTET_ASSIGN(cache, engine::TimingCache::load(o.timing_cache));
  }
  const auto begin = Clock::now();
  Result<engine::Program> program = engine::compile(graph, options, cache);
  if (!program.is_ok()) return program.status().at(o.model);
  out.program = std::move(*program);
  out.compile_seconds = seconds_since(begin);
  OCTET_RETURN_IF_ERROR(engine::save_program(out.program, o.output));
  if (!o.timing_cache.empty() && cache.changed()) OCTET_RETURN_IF_ERROR(cache.save(o.timing_cache));
  out.onnx_bytes = size_of(o.model);
  out.engine_bytes = size_of(o.output);
  if ((out.program.features & ~cpu::cpu_features()) == 0) {
    OCTET_ASSIGN(out.load_ms, time_load(o.output));
  }
  return out;
}

void print_outcome(const Options& o, const Outcome& out) {
  if (o.explain) fmt::print("{}\n", explain_table(out.program));
  const GroupCounts counts = count_groups(out.program);
  fmt::print("{}: {} groups: {} INT8, {} float, {} layout; needs {}\n", o.output, out.program.operations.size(),
             counts.int8, counts.floats, counts.other, cpu::features_to_string(out.program.features));
  fmt::print(
      "compiled in {:.1f} s; {} (ONNX file {}), {}, arena of an image {}\n", out.compile_seconds,
      human_bytes(out.engine_bytes), human_bytes(out.onnx_bytes),
      out.load_ms >= 0 ? fmt::format("loads in {:.2f} ms", out.load_ms) : std::string("this CPU cannot load it"),
      human_bytes(out.program.arena_bytes));
  fmt::print("next: octet bench {} {}{}\n", o.output, o.model,
             o.explain ? "" : fmt::format("   or: octet explain {}", o.output));
}

std::string outcome_json(const Options& o, const Outcome& out) {
  const GroupCounts counts = count_groups(out.program);
  Json j;
  j["model"] = o.model;
  j["output"] = o.output;
  j["onnx_bytes"] = out.onnx_bytes;
  j["engine_bytes"] = out.engine_bytes;
  j["compile_seconds"] = out.compile_seconds;
  if (out.load_ms >= 0) j["load_ms"] = out.load_ms;
  j["arena_bytes"] = out.program.arena_bytes;
  j["features"] = cpu::features_to_string(out.program.features);
  j["groups"] = {{"int8", counts.int8}, {"float32", counts.floats}, {"layout", counts.other}};
  if (o.explain || !o.report.empty()) j["explain"] = explain_json(out.program);
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

// JSON, by its first character that counts.
bool is_json_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  char first = 0;
  return file >> first && first == '{';
}

Status explain_plan(const std::string& path, const Common& common, size_t rows) {
  OCTET_ASSIGN(const QuantizationPlan plan, load_plan(path));
  if (common.json) fmt::print("{}\n", explain_plan_json(plan));
  else fmt::print("{}", explain_plan_text(plan, rows));
  return Status::ok();
}

Status explain(const std::string& path, const Common& common, size_t rows) {
  if (!is_engine_file(path) && is_json_file(path)) return explain_plan(path, common, rows);
  if (!is_engine_file(path) && std::filesystem::exists(path))
    return invalid_argument("'" + path +
                            "' is neither a compiled engine nor a plan; 'octet compile' makes the one, " +
                            "'octet quantize' the other");
  OCTET_ASSIGN(const engine::Program program, engine::load_program(path));
  if (common.json) {
    Json j;
    j["engine"] = path;
    j["features"] = cpu::features_to_string(program.features);
    j["explain"] = explain_json(program);
    fmt::print("{}\n", j.dump(2, ' ', false, Json::error_handler_t::replace));
    return Status::ok();
  }
  const GroupCounts counts = count_groups(program);
  fmt::print("{}\n{}: {} groups: {} INT8, {} float, {} layout; needs {}\n", explain_table(program), path,
             program.operations.size(), counts.int8, counts.floats, counts.other,
             cpu::features_to_string(program.features));
  return Status::ok();
}

}  // namespace

void add_compile(CLI::App& app, std::shared_ptr<Common> common) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand("compile", "Compile an ONNX network, float or Q/DQ, to an engine for this CPU");
  cmd->add_option("MODEL", o->model, "ONNX file, usually model_int8.onnx of 'octet quantize'")->required();
  cmd->add_option("-o,--output", o->output, "the engine to write, by custom NAME.octet")->required();
  cmd->add_option("--batch", o->batch, "fix a free batch at this number; 0: it stays free")
      ->check(CLI::Range(0, 65536));
  cmd->add_flag("--no-timing", o->no_timing, "choose kernels by experience instead of timing them");
  cmd->add_option("--seconds", o->seconds, "upper bound for the timing")->check(CLI::Range(0.0, 3600.0));
  cmd->add_option("--timing-cache", o->timing_cache,
                  "file of timings to reuse and to extend: the next compile is instant");
  cmd->add_option("--cpu", o->cpu, "compile for: base, avx2, avx512, avx512_vnni or amx; default: this CPU")
      ->check(CLI::IsMember(kCpus));
  cmd->add_option("--keep-float", o->keep_float,
                  "Conv, Gemm or MatMul, or a glob of them, that stays in float (repeatable)")
      ->take_all();
  cmd->add_option("--disable-kernel", o->disabled_kernels, "kernel that is not to be used (repeatable)")->take_all();
  cmd->add_flag("--float", o->float_only, "everything in float, to compare");
  cmd->add_flag("--explain", o->explain, "show every fused group, its kernel and what was refused");
  add_report_option(*cmd, &o->report, "compile.json");
  cmd->footer("Example: octet compile out/model_int8.onnx -o model.octet --threads 2 --explain");
  add_common_options(*cmd, common);
  cmd->callback([o, common] {
    const Result<Outcome> out = run(*o, *common);
    if (!out.is_ok()) common->exit = fail(out.status());
    else if (common->json) fmt::print("{}\n", outcome_json(*o, *out));
    else print_outcome(*o, *out);
    if (!out.is_ok()) return;
    const Status saved = add_to_report(o->report, "compile", outcome_json(*o, *out));
    if (!saved.is_ok()) common->exit = fail(saved);
  });
}

void add_explain(CLI::App& app, std::shared_ptr<Common> common) {
  auto path = std::make_shared<std::string>();
  auto rows = std::make_shared<size_t>(0);
  CLI::App* cmd = app.add_subcommand("explain", "Show what an engine or a plan does, and why");
  cmd->add_option("FILE", *path, ".octet file of 'octet compile', or plan.json of 'octet quantize'")->required();
  cmd->add_option("--rows", *rows, "nodes of a plan; 0: all");
  cmd->add_flag("--json", common->json, "print one JSON document to stdout instead of tables");
  cmd->footer("Examples: octet explain model.octet\n          octet explain out/plan.json");
  cmd->callback([path, rows, common] {
    const Status status = explain(*path, *common, *rows);
    if (!status.is_ok()) common->exit = fail(status);
  });
}

}  // namespace octet::cli
