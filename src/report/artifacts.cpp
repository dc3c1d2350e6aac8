#include "report/artifacts.h"

#include <algorithm>
#include <filesystem>

#include "base/files.h"
#include "base/text.h"
#include "octet/onnx.h"
#include "quantization/json_text.h"

namespace octet::report {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMostBytes = int64_t{256} << 20;
constexpr const char* kDocuments[] = {"run",   "ranges",  "plan",        "statistics", "compile",
                                      "bench", "compare", "sensitivity", "search"};
constexpr const char* kNetworks[] = {"model_int8.onnx", "model.onnx"};

bool is_file(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

void read_documents(Artifacts* a) {
  for (const char* name : kDocuments) {
    const std::string file = std::string(name) + ".json", path = a->folder + "/" + file;
    if (!is_file(path)) continue;
    const Result<std::string> text = read_file(path, kMostBytes);
    Result<nlohmann::json> document = text.is_ok() ? parse_json(*text, path) : Result<nlohmann::json>(text.status());
    if (document.is_ok() && !document->is_object()) document = data_corrupt(path + ": expected an object { ... }");
    a->files.push_back(file);
    if (document.is_ok()) a->documents.emplace(name, std::move(*document));
    else a->problems.push_back(document.status().message());
  }
}

// A line that is not finished is being written; any other that cannot be read is told about.
void read_metrics(Artifacts* a) {
  const std::string path = a->folder + "/metrics.jsonl";
  if (!is_file(path)) return;
  a->files.emplace_back("metrics.jsonl");
  const Result<std::string> text = read_file(path, kMostBytes);
  if (!text.is_ok()) return a->problems.push_back(text.status().message());
  size_t damaged = 0;
  const std::string_view whole = std::string_view(*text).substr(0, text->rfind('\n') + 1);
  for (const std::string& line : split(whole, '\n')) {
    if (line.empty()) continue;
    Document j = Document::parse(line, nullptr, false);
    if (j.is_object()) a->metrics.push_back(std::move(j));
    else ++damaged;
  }
  if (damaged > 0) a->problems.push_back(path + ": " + std::to_string(damaged) + " lines are damaged and left out");
}

void read_network(Artifacts* a) {
  for (const char* name : kNetworks) {
    const std::string path = a->folder + "/" + name;
    if (!is_file(path)) continue;
    a->files.emplace_back(name);
    Result<Graph> graph = load_onnx(path);
    if (graph.is_ok()) a->graph = std::move(*graph);
    else a->problems.push_back(graph.status().message());
    return;
  }
}

Artifacts read_folder(const std::string& folder) {
  Artifacts a;
  a.folder = folder;
  const fs::path path = fs::path(folder).lexically_normal();
  a.name = path.has_filename() ? path.filename().string() : path.parent_path().filename().string();
  if (a.name.empty() || a.name == ".") a.name = folder;
  read_documents(&a);
  read_metrics(&a);
  return a;
}

}  // namespace

double rounded(double x, int digits) {
  if (x == 0 || !std::isfinite(x)) return 0;
  char text[48];
  std::snprintf(text, sizeof text, "%.*e", digits - 1, x);
  return std::strtod(text, nullptr);
}

const Document& Artifacts::operator[](const std::string& name) const {
  static const Document kNothing;
  const auto it = documents.find(name);
  return it == documents.end() ? kNothing : it->second;
}

Result<Artifacts> read_artifacts(const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) return not_found("there is no folder '" + folder + "'");
  Artifacts a = read_folder(folder);
  read_network(&a);
  std::vector<std::string> inside;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (is_file(entry.path().string() + "/run.json")) inside.push_back(entry.path().string());
  std::sort(inside.begin(), inside.end());
  for (const std::string& path : inside) a.parts.push_back(read_folder(path));
  if (a.empty() && a.parts.empty())
    return not_found("'" + folder +
                     "' has nothing to report: no run.json, plan.json, metrics.jsonl or another file that Octet's "
                     "commands write");
  if (a.documents.empty() && a.metrics.empty() && !a.parts.empty()) {
    // Only runs inside: the last one by name stands for the folder.
    std::vector<Artifacts> parts = std::move(a.parts);
    a = std::move(parts.back());
    read_network(&a);
    parts.pop_back();
    a.parts = std::move(parts);
  }
  return a;
}

}  // namespace octet::report
