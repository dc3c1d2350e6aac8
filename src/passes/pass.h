// Graph to graph rewrites that keep what the network computes, and the runner that names, times and verifies them.
//
// To add a pass: write its function in its own file, declare it in rewrites.h, add its line to kPasses in pass.cpp at
// the place where it shall run, and give it a row in tests/passes (random graphs, a positive and a near-miss case).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octet/graph.h"

namespace octet {

struct PassOptions {
  std::vector<std::string> disabled;    // names of passes that do not run
  bool verify_each = true;              // check the graph's invariants after every pass
  int max_rounds = 10;                  // the list is repeated until nothing changes, at most this often
  bool fold_quantized_weights = false;  // also compute QuantizeLinear and DequantizeLinear of constants
  int64_t fold_limit_bytes = 1 << 20;   // a folded constant may be this large, or four times its inputs
};

struct PassReport {
  std::string name;
  int rewrites;         // over all rounds
  double milliseconds;  // over all rounds, verification excluded
};

// A pass needs a verified graph in topological order and leaves one; names of graph inputs and outputs stay. The
// function returns how many places it rewrote; 0 means that the graph is as it was.
struct Pass {
  std::string_view name;
  std::string_view description;  // one line for --help and reports
  Result<int> (*run)(Graph& graph, const PassOptions& options);
};

// The passes in the order in which they run.
std::span<const Pass> standard_passes();
// nullptr when there is none of that name.
const Pass* find_pass(std::string_view name);

// Runs all passes but the disabled ones until a whole round rewrites nothing, and infers shapes before each round and
// at the end. One report per pass that ran, in order. Errors: an unknown name in `disabled` (kInvalidArgument, with
// near misses), a malformed graph, a shape contradiction, or a pass that broke the graph (the sentence names the
// pass).
Result<std::vector<PassReport>> run_passes(Graph& graph, const PassOptions& options = {});

}  // namespace octet
