// What the layer-wise methods know of a layer's inputs: second moments, collected over images in bounded memory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "executor/executor.h"
#include "octet/repair.h"
#include "repair/patches.h"

namespace octet::repair {

// Means over patches, x^ the input as the quantized network has it and x that of the float network, row-major
// [cols, cols]: second = E[x^ x^T], cross = E[x x^T] with x of the float network on the left. `cross` is empty where
// nobody asked for it.
struct InputProducts {
  int64_t cols = 0;
  std::vector<double> second;
  std::vector<double> cross;
};

// The part of a network that leads to one value.
class Prefix {
 public:
  static Result<Prefix> create(const Graph& graph, const std::string& value);
  Result<Tensor> run(const std::vector<Tensor>& inputs) const;

 private:
  std::unique_ptr<Executor> executor_;  // null: the value is input_ of the network
  size_t input_ = 0;
};

// One entry per group of the layer. `quantized` and `exact` give its input in either network; without `exact` there
// is no `cross`. The same bits for any number of threads.
Result<std::vector<InputProducts>> collect_products(const Node& node, const WeightView& view, const Dims& weight_dims,
                                                    const Prefix& quantized, const Prefix* exact,
                                                    const RepairHost& host);

}  // namespace octet::repair
