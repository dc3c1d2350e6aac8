// The inside of TrainableModule, shared by the files that build, run and save it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "training/fake_quantize.h"
#include "training/module.h"
#include "training/op.h"
#include "training/quantized_sum.h"

namespace octet::training {

// The quantizer of one tensor (and of all that are the same_as it).
struct Quantizer {
  std::string name;  // of the tensor in the plan
  TensorPlan plan;   // params: those it started with
  RangeLearning learning = RangeLearning::kFixed;
  at::Tensor scale;       // float32 [n]: a parameter for kLsq, else a buffer
  at::Tensor zero_point;  // int32 [n], or undefined for zeros
  at::Tensor floor;       // float32 [n]: what a learned scale does not fall below
  at::Tensor lo, hi;      // kPact: parameters

  QuantizerSpec spec() const { return {plan.dtype, plan.axis, plan.block_size, plan.narrow_range}; }
  QuantizerSpec spec_in(const SharedBatch& batch) const;  // with the part of the batch that this process has
  // Whether a Relu or a sum in front can be computed in the same pass: apply_to_relu, quantized_sum.
  bool takes_relu() const {
    return dtype_is_integer(plan.dtype) && plan.params.scale.size() == 1 && learning != RangeLearning::kPact;
  }
  bool stores_half() const { return plan.dtype == DType::kFloat16; }
  // Scale and zero point as they stand; for kPact those that finish() would choose for [lo, hi].
  QuantParams params() const;
  // x as the exported network computes with it; in training PACT clips first.
  at::Tensor apply(const at::Tensor& x, bool training, const SharedBatch& batch) const;
  // apply(relu(x))
  at::Tensor apply_to_relu(const at::Tensor& x, const SharedBatch& batch) const;
  // Its part in a quantized_sum; only where takes_relu().
  SumQuantizer in_sum(const SharedBatch& batch, bool relu) const;
};

// An Add whose result, or whose Relu, everybody reads through one quantizer, and which becomes a quantized_sum.
struct SumStep {
  int quantizer = -1;  // -1: a usual step
  bool relu = false;
  ValueId output = kNoValue;     // of the Add, or of its Relu
  std::vector<bool> alone = {};  // per input: this step is the only one that reads it
};

struct Step {
  size_t node = 0;
  TorchOp run = nullptr;        // null: the reference operator
  std::vector<int> quantizers;  // per input: index into quantizers, or -1
  bool integer_bias = false;    // input 2 becomes int32 codes of scale s_input * s_weight
  int pair = -1;                // a DequantizeLinear that ends a Q/DQ pair of the graph: its quantizer
  bool owns_statistics = false;
  int relu_quantizer = -1;  // a Relu whose readers all take its output through this quantizer
  SumStep sum;
  int64_t norm = -1;  // a Conv: the BatchNormalization node that is folded into it in the exported network
  std::vector<bool> wanted;
  std::vector<ValueId> release;  // values that nobody reads after this step
};

// The parameters and running statistics of a batch normalization.
struct FoldedNorm {
  at::Tensor scale, bias, mean, variance;
};

struct TrainableModule::Impl {
  Graph graph;
  TrainableOptions options;
  std::vector<Step> steps;
  std::vector<Quantizer> quantizers;
  std::vector<at::Tensor> bound;  // by ValueId: parameters, buffers and constants
  std::vector<NamedTensor> parameters;
  std::vector<NamedTensor> buffers;
  std::vector<std::pair<ValueId, size_t>> trained;     // constants of the graph that are parameters[second]
  std::vector<std::pair<ValueId, size_t>> statistics;  // or buffers[second]
  std::set<std::string> range_parameters;
  std::set<ValueId> keep;
  std::map<ValueId, at::Tensor> kept;

  bool folds = false;  // the plan is for the graph with batch normalizations folded
  bool training = false;
  BatchNormMode norm_mode = BatchNormMode::kLive;
  bool reestimating = false;
  int64_t reestimated_batches = 0;
  SharedBatch batch;
  int64_t step_count = 0;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
  bool channels_last = false;

  // build.cpp
  // `folded`: the plan is for this graph with batch normalizations folded; null when it is for the graph itself.
  Status build(const QuantizationPlan* plan, const Graph* folded);
  // quantizers.cpp
  Status add_quantizers(const QuantizationPlan& plan, std::map<std::string, int>* index);
  void add_quantizer(Quantizer quantizer);
  bool is_wide_input(const std::string& name, DType dtype) const;
  at::Tensor integer_bias(const Step& step, const at::Tensor& bias) const;
  // folded_norm.cpp; the call's weight is the float one.
  at::Tensor run_folded(const Step& step, Call call, const FoldedNorm& norm) const;
  // run.cpp; `tap` sees every value that a step makes.
  using Tap = std::function<void(const Node& node, size_t output, const at::Tensor& value)>;
  std::vector<at::Tensor> run(const std::vector<at::Tensor>& inputs, const Tap& tap);
};

// Runs f and turns what LibTorch, the allocator or this room throws into a Status.
template <class F>
Status guarded(F f) {
  try {
    f();
    return Status::ok();
  } catch (const StatusError& error) {
    return error.status;
  } catch (const c10::Error& error) {
    return invalid_argument(error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    return resource_limit("not enough memory");
  } catch (const std::exception& error) {
    return internal_error(error.what());
  }
}

std::string describe(const Node& node);  // "node 'conv1' (Conv)"

}  // namespace octet::training
