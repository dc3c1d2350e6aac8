// A Graph as a network that LibTorch trains: every operator with a gradient runs forward and backward straight from
// the graph, constants that are learnable are parameters under their ONNX names, and with a plan every quantizer that
// SelectiveQuantizer::quantize_module would insert is a fake quantizer whose range may be learned.
//
//   OCTET_ASSIGN(auto module, TrainableModule::create(graph, plan, options));
//   OCTET_RETURN_IF_ERROR(module->to(device));
//   module->train();
//   loop: OCTET_ASSIGN(auto outputs, module->forward({images}));
//         loss.backward(); optimizer.step(); module->after_step();
//   module->eval();
//   OCTET_RETURN_IF_ERROR(module->write_back(graph, &plan, &ranges));   // then quantize_module(graph, plan)
//
// In eval mode forward equals the interpreter on the same graph (on the Q/DQ graph with a plan) but for the rounding
// of float sums. No exception leaves these functions but from the optimizer's and autograd's own calls. It is no
// torch::nn::Module, because that forbids the dots in the names of ONNX initializers.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "octet/graph.h"
#include "octet/quantization.h"
#include "octet/training.h"
#include "training/shared_batch.h"
#include "training/torch.h"

namespace octet::training {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;
};

// All parameters that require gradients, by how an optimizer should treat them; each in graph order.
struct ParameterGroups {
  std::vector<NamedTensor> decay;     // weights: two or more dimensions
  std::vector<NamedTensor> no_decay;  // biases, slopes and the affine parts of normalizations
  std::vector<NamedTensor> ranges;    // scales and clips of quantizers: no decay, and a learning rate of their own
};

class TrainableModule {
 public:
  // Parameters start as the graph's constants. Errors name the node and operator that cannot be trained, or the
  // pattern of the options that matches nothing.
  static Result<std::unique_ptr<TrainableModule>> create(const Graph& graph, const TrainableOptions& options = {});
  // The same with the plan's fake quantizers; `plan` is finished (SelectiveQuantizer::finish) and of this graph, or
  // of what run_passes() makes of it. In the second case batch normalizations behind convolutions stay, live or
  // frozen, and the quantizers meet the folded weights; `graph` has seen all passes but fold_batch_norm.
  static Result<std::unique_ptr<TrainableModule>> create(const Graph& graph, const QuantizationPlan& plan,
                                                         const TrainableOptions& options = {});
  ~TrainableModule();
  TrainableModule(const TrainableModule&) = delete;
  TrainableModule& operator=(const TrainableModule&) = delete;

  // One tensor per graph input, batch first, on the module's device; one tensor per graph output. Uses gradients
  // unless the caller holds a no-grad guard. Errors name the node.
  Result<std::vector<at::Tensor>> forward(const std::vector<at::Tensor>& inputs);
  // Values (by ONNX name) that forward keeps for the caller, e.g. features to distill; kNotFound for unknown names.
  Status keep(const std::vector<std::string>& names);
  // A kept value of the last forward, part of its autograd graph; undefined before.
  at::Tensor kept(const std::string& name) const;

  void train(bool on = true);
  void eval() { train(false); }
  bool is_training() const;
  // Moves parameters and buffers. Parameters keep their identity (an optimizer may hold them already). float64 is for
  // checking gradients; quantizers compute in float32 always.
  Status to(at::Device device);
  Status to(at::ScalarType dtype);
  at::Device device() const;
  // Weights and activations of 2-D networks in N,H,W,C order: what tensor cores and oneDNN like best.
  Status channels_last();

  const std::vector<NamedTensor>& parameters() const;  // graph order, then ranges; all require gradients
  const std::vector<NamedTensor>& buffers() const;     // running statistics, fixed scales
  ParameterGroups parameter_groups() const;
  void zero_grad();
  // After every optimizer step: keeps learned ranges valid and counts towards freeze_batch_norm_after.
  void after_step();
  int64_t steps() const;

  // Before forward: which part of a batch its inputs are. Live batch normalization and the gradients of learned
  // scales are then those of the whole.
  void set_batch(SharedBatch batch);

  BatchNormMode batch_norm_mode() const;
  void set_batch_norm_mode(BatchNormMode mode);
  // Between the two, running statistics are the plain averages over the batches that forward sees (no gradients,
  // other layers as in eval mode); the mode of before returns afterwards. end is an error when no batch was seen.
  void begin_reestimate();
  Status end_reestimate();

  // Runs `inputs` and names the first node with a NaN or an infinity in its output: "node 'conv3' (Conv): its output
  // 'x' has 12 NaN and 0 infinite of 4096 values". Parameters and inputs are looked at first. "" when all is finite.
  Result<std::string> first_non_finite(const std::vector<at::Tensor>& inputs);

  // Parameters, buffers and the step count as bytes: the same state gives the same bytes. load checks everything
  // before it changes anything, and says what differs when the state is of another network.
  Result<std::string> save_state() const;
  Status load_state(std::string_view bytes);

  // Trained values into the graph that the module was made from (or a copy): float32, bit for bit.
  Status write_back(Graph& graph) const;
  // The same, and the quantizers: `plan` becomes what SelectiveQuantizer::finish() would make of the trained graph
  // and `ranges` (which may be null), so that quantize_module, plan.json and ranges.json are those of the trained
  // network. Scales are rounded to ones that a range can express; call it before the last evaluation.
  Status write_back(Graph& graph, QuantizationPlan* plan, Ranges* ranges);

  struct Impl;

 private:
  explicit TrainableModule(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Tensors across the border. The result owns its memory; dtype, shape and elements stay the same.
Result<at::Tensor> to_torch(const Tensor& tensor);
Result<Tensor> from_torch(const at::Tensor& tensor);

}  // namespace octet::training
