// octet_node_tests: the reference interpreter against ONNX's backend node tests.
#include "interp/interpreter.h"
#include "interp/node_test_exemptions.h"

int main(int argc, char** argv) {
  const auto runner = [](const octet::Graph& graph, const std::vector<octet::Tensor>& inputs) {
    return octet::interpret(graph, inputs);
  };
  return octet::node_tests::run_suite(argc, argv, runner, octet::node_tests::standard_exemptions());
}
