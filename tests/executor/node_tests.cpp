// ONNX's backend node tests on the executor: its fast kernels must hold what the reference operators hold.
#include "executor/executor.h"
#include "interp/node_test_exemptions.h"

int main(int argc, char** argv) {
  const octet::node_tests::GraphRunner runner =
      [](const octet::Graph& graph,
         const std::vector<octet::Tensor>& inputs) -> octet::Result<std::vector<octet::Tensor>> {
    OCTET_ASSIGN(const auto executor, octet::Executor::create(graph));
    return executor->run(inputs);
  };
  return octet::node_tests::run_suite(argc, argv, runner, octet::node_tests::standard_exemptions());
}
