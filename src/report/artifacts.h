// The files that Octet's commands left in a folder, as far as they are there and can be read.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "octet/graph.h"
#include "octet/status.h"
#include "report/json_access.h"

namespace octet::report {

struct Artifacts {
  std::string folder;                         // as given
  std::string name;                           // its last part
  std::map<std::string, Document> documents;  // by file name without ".json": "run", "ranges", "plan", ...
  std::vector<Document> metrics;              // the lines of metrics.jsonl
  std::optional<Graph> graph;                 // model_int8.onnx, or model.onnx
  std::vector<std::string> files;             // what was read
  std::vector<std::string> problems;          // what could not be, one sentence each
  std::vector<Artifacts> parts;               // folders inside that hold a run.json, by name; without graphs

  const Document& operator[](const std::string& name) const;  // null when absent
  bool empty() const { return files.empty(); }
};

// kNotFound when the folder does not exist or holds nothing that Octet writes. A damaged file becomes a problem.
Result<Artifacts> read_artifacts(const std::string& folder);

}  // namespace octet::report
