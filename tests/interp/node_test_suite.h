// Runs ONNX's backend node tests (onnx/backend/test/data/node of the onnx package) against anything that can execute
// a Graph: each folder there holds a small model, its inputs and the outputs that ONNX's reference gives.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "octet/graph.h"

namespace octet::node_tests {

using GraphRunner = std::function<Result<std::vector<Tensor>>(const Graph&, const std::vector<Tensor>&)>;

// A test that is not expected to pass, and why. `pattern` is a glob over the folder's name.
struct Exemption {
  std::string pattern;
  std::string reason;
};

enum class Verdict { kPassed, kFailed, kSkipped };

struct TestResult {
  std::string name;  // folder
  std::string op;    // operator under test; "(expanded) Op" where its function body is run instead
  Verdict verdict = Verdict::kSkipped;
  std::string reason;  // why it failed or was skipped
};

// A test is skipped when an operator or a type of its model is none of Octet's, or when it is exempt; all others must
// load, run and agree: shapes and types exactly, integers and bools exactly, floats within ONNX's own rtol 1e-3 and
// atol 1e-6 (wider by the format's precision for 16-bit floats), FP8 by code.
TestResult run_test(const std::string& folder, const GraphRunner& runner, const std::vector<Exemption>& exemptions);

// Command line: [--list-failures | --list-skipped] [--filter GLOB] [FOLDER]; the folder may also come from the
// environment variable OCTET_NODE_TESTS. Prints a table per operator, the failures with their reasons, and at last
// "N passed, N failed, N skipped". Returns 0, 1 when a test failed, 2 for a wrong command line, or 77 when there is
// no folder of tests.
int run_suite(int argc, char** argv, const GraphRunner& runner, const std::vector<Exemption>& exemptions);

}  // namespace octet::node_tests
