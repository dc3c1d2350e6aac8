#include "interp/node_test_suite.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>

#include "base/text.h"
#include "interp/node_test_data.h"
#include "octet/onnx.h"

namespace octet::node_tests {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> subfolders(const std::string& folder, const std::string& pattern) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (entry.is_directory() && glob_match(pattern, entry.path().filename().string()))
      names.push_back(entry.path().string());
  std::sort(names.begin(), names.end());
  return names;
}

// The operator that a test is about.
std::string op_of(const std::string& name, const std::vector<std::string>& ops) {
  if (ops.size() == 1) return ops[0];
  const std::string word = name.substr(name.find('_') + 1);  // test_softmax_axis_0_expanded
  return (name.find("_expanded") != std::string::npos ? "(expanded) " : "(several) ") +
         word.substr(0, word.find('_'));
}

// ONNX's files hold bfloat16 as uint16 (NumPy has no such type): read it as the model declares it.
Tensor as_declared(const Tensor& tensor, const Value& declared) {
  if (declared.dtype != DType::kBFloat16 || tensor.dtype() != DType::kUint16) return tensor;
  const auto keep = std::make_shared<Tensor>(tensor);
  return Tensor(DType::kBFloat16, tensor.dims(), keep->raw(), keep);
}

void as_declared(const Graph& graph, const std::vector<ValueId>& ids, std::vector<Tensor>& tensors) {
  for (size_t i = 0; i < std::min(ids.size(), tensors.size()); ++i)
    tensors[i] = as_declared(tensors[i], graph.value(ids[i]));
}

// "" when the outputs of this data set agree.
std::string run_data_set(const Graph& graph, const std::string& folder, const GraphRunner& runner) {
  auto inputs = read_tensors(folder, "input");
  if (!inputs.is_ok()) return inputs.status().message();
  auto expected = read_tensors(folder, "output");
  if (!expected.is_ok()) return expected.status().message();
  as_declared(graph, graph.inputs, *inputs);
  as_declared(graph, graph.outputs, *expected);
  const auto outputs = runner(graph, *inputs);
  if (!outputs.is_ok()) return outputs.status().message();
  if (outputs->size() != expected->size() || expected->empty())
    return std::to_string(outputs->size()) + " outputs instead of " + std::to_string(expected->size());
  for (size_t i = 0; i < outputs->size(); ++i) {
    const std::string what = difference((*outputs)[i], (*expected)[i]);
    if (!what.empty()) return "output " + std::to_string(i) + ": " + what;
  }
  return "";
}

struct Options {
  std::string folder;
  std::string filter = "*";
  bool list_failures = false;
  bool list_skipped = false;
  bool valid = true;
};

Options parse_options(int argc, char** argv) {
  Options options;
  if (const char* folder = std::getenv("OCTET_NODE_TESTS")) options.folder = folder;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--list-failures") options.list_failures = true;
    else if (arg == "--list-skipped") options.list_skipped = true;
    else if (arg == "--filter" && i + 1 < argc) options.filter = argv[++i];
    else if (arg.rfind("--", 0) == 0) options.valid = false;
    else options.folder = arg;
  }
  return options;
}

void print_table(const std::vector<TestResult>& results) {
  std::map<std::string, std::map<Verdict, int>> counts;
  for (const TestResult& r : results) ++counts[r.op][r.verdict];
  std::printf("%-36s %8s %8s %8s\n", "operator", "passed", "failed", "skipped");
  for (auto& [op, count] : counts)
    std::printf("%-36s %8d %8d %8d\n", op.c_str(), count[Verdict::kPassed], count[Verdict::kFailed],
                count[Verdict::kSkipped]);
}

int print_all(const std::vector<TestResult>& results, Verdict verdict, const char* word) {
  int n = 0;
  for (const TestResult& r : results) {
    if (r.verdict != verdict) continue;
    if (word != nullptr) std::printf("%s %s [%s]: %s\n", word, r.name.c_str(), r.op.c_str(), r.reason.c_str());
    ++n;
  }
  return n;
}

}  // namespace

TestResult run_test(const std::string& folder, const GraphRunner& runner, const std::vector<Exemption>& exemptions) {
  TestResult result;
  result.name = fs::path(folder).filename().string();
  const std::string model = folder + "/model.onnx";
  const auto summary = summarize_model(model);
  if (!summary.is_ok()) {
    result.verdict = Verdict::kFailed;
    result.reason = summary.status().message();
    return result;
  }
  result.op = op_of(result.name, summary->ops);
  result.reason = summary->foreign.empty() ? "" : summary->foreign + " is not supported";
  for (const Exemption& e : exemptions)
    if (result.reason.empty() && glob_match(e.pattern, result.name)) result.reason = e.reason;
  if (!result.reason.empty()) return result;
  const auto graph = load_onnx(model);
  if (!graph.is_ok()) {
    result.reason = graph.status().message();
    if (result.reason.starts_with(model + ": ")) result.reason.erase(0, model.size() + 2);
  } else {
    const std::vector<std::string> sets = subfolders(folder, "test_data_set_*");
    if (sets.empty()) result.reason = "it has no data";
    for (const std::string& set : sets)
      if (result.reason.empty()) result.reason = run_data_set(*graph, set, runner);
  }
  result.verdict = result.reason.empty() ? Verdict::kPassed : Verdict::kFailed;
  return result;
}

int run_suite(int argc, char** argv, const GraphRunner& runner, const std::vector<Exemption>& exemptions) {
  const Options options = parse_options(argc, argv);
  if (!options.valid) {
    std::fprintf(stderr, "usage: %s [--list-failures | --list-skipped] [--filter GLOB] [FOLDER]\n", argv[0]);
    return 2;
  }
  const std::vector<std::string> folders = subfolders(options.folder.empty() ? "." : options.folder, options.filter);
  if (options.folder.empty() || folders.empty()) {
    std::printf(
        "skipped: no ONNX node tests in '%s'; set OCTET_NODE_TESTS to onnx/backend/test/data/node of the onnx "
        "package\n",
        options.folder.c_str());
    return 77;
  }
  std::vector<TestResult> results;
  for (const std::string& folder : folders) results.push_back(run_test(folder, runner, exemptions));
  if (!options.list_failures && !options.list_skipped) print_table(results);
  const int failed = print_all(results, Verdict::kFailed, options.list_skipped ? nullptr : "FAILED");
  const int skipped = print_all(results, Verdict::kSkipped, options.list_skipped ? "skipped" : nullptr);
  const int passed = print_all(results, Verdict::kPassed, nullptr);
  std::printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
  return failed == 0 ? 0 : 1;
}

}  // namespace octet::node_tests
