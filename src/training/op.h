// One node of a graph on LibTorch: what an operator sees and the registry of operators by family.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "octet/graph.h"
#include "training/shared_batch.h"
#include "training/torch.h"

namespace octet::training {

// Carries a Status through code that LibTorch's own exceptions may leave at any time; caught where they are.
struct StatusError {
  Status status;
};
[[noreturn]] inline void fail(Status status) { throw StatusError{std::move(status)}; }
template <class T>
T need(Result<T> result) {
  if (!result.is_ok()) fail(result.status());
  return std::move(result).value();
}
inline void need(const Status& status) {
  if (!status.is_ok()) fail(status);
}

// What a batch normalization does with its statistics in this run.
enum class NormRun { kFrozen, kLive, kAverage };

// One run of one node. Inputs that are absent are undefined tensors. Integers and booleans live on the CPU.
struct Call {
  const Node& node;
  int opset;
  std::vector<at::Tensor> inputs;
  std::vector<const Tensor*> constants;  // per input: the graph's constant, else null
  bool training = false;
  NormRun norm = NormRun::kFrozen;
  double average_factor = 0;           // kAverage: 1 / number of batches so far
  const SharedBatch* batch = nullptr;  // null: this process has the whole batch
  bool owns_statistics = false;        // inputs 3 and 4 of a BatchNormalization are the module's own buffers
  std::vector<bool> wanted;            // per output: somebody reads it
  at::ScalarType dtype = at::kFloat;   // of the module's floats
  at::Device device = at::kCPU;        // where they live

  bool has(size_t i) const { return i < inputs.size() && inputs[i].defined(); }
  const at::Tensor& in(size_t i) const;
  bool wants(size_t i) const { return i < wanted.size() && wanted[i]; }

  // Input `i` as integers; empty when absent.
  std::vector<int64_t> ints(size_t i) const;
  // Integers that old opsets have as attribute and new ones as input `i`; `found` says whether there were any.
  std::vector<int64_t> ints(size_t i, const char* attribute, bool* found = nullptr) const;
  // The only element of input `i`, without waiting for a GPU where it is a constant.
  double number(size_t i) const;
  // An attribute `axis` of a tensor of that rank, made non-negative.
  int64_t axis(int64_t fallback, int64_t rank) const;
};

// One tensor per output, in order; outputs that nobody wants may be undefined.
using TorchOp = std::vector<at::Tensor> (*)(const Call& call);
struct TorchOpEntry {
  std::string_view op_type;
  TorchOp run;
};

// nullptr when the operator is not there.
TorchOp find_torch_op(std::string_view op_type);
std::vector<std::string_view> all_torch_ops();
// Operators whose result has no gradient: they run on the reference kernels.
bool is_reference_op(std::string_view op_type);

// The reference operator on copies in host memory; floats come back in the call's dtype and on its device.
std::vector<at::Tensor> run_reference(const Call& call);
// Where each element of the output of an operator that only moves elements comes from: the flat index into input 0.
at::Tensor source_indices(const Call& call);

// Dims of a tensor, and an axis of it made non-negative.
std::vector<int64_t> dims_of(const at::Tensor& t);
int64_t wrap_axis(int64_t axis, int64_t rank);

std::span<const TorchOpEntry> elementwise_ops();
std::span<const TorchOpEntry> activation_ops();
std::span<const TorchOpEntry> reduce_ops();
std::span<const TorchOpEntry> linear_ops();
std::span<const TorchOpEntry> window_ops();
std::span<const TorchOpEntry> norm_ops();
std::span<const TorchOpEntry> movement_ops();
std::span<const TorchOpEntry> index_ops();
std::span<const TorchOpEntry> resize_ops();

}  // namespace octet::training
