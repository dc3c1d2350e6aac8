// Repair without training: methods that change weights and biases of a float network so that it loses less by being
// quantized. Everything works on the Graph; images are needed, labels are not.
//
//   repair_float_network(graph, options, host);                       // before calibration
//   ... ranges and plan for the new graph ...
//   repair_quantized_network(graph, quantizer, plan, options, host);  // before Q/DQ nodes go in
//
// quantize_network() does both when QuantizationOptions::repair asks for it. docs/repair.md has a page on each
// method.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "octet/graph.h"
#include "octet/quantization.h"
#include "octet/repair_options.h"

namespace octet {

// Lends the methods images and threads. All methods are const and safe to call from several threads.
class RepairHost {
 public:
  virtual ~RepairHost() = default;
  // Batches that a network runs at once: single images, or as many as the network fixes.
  virtual int64_t batches() const = 0;
  // One tensor per network input.
  virtual Result<std::vector<Tensor>> load(int64_t batch) const = 0;
  // body(item) for items 0..count-1, each once, on any threads; the error of the first item that fails.
  virtual Status parallel(int64_t count, const std::function<Status(int64_t item)>& body) const = 0;
  virtual void progress(const std::string& stage, int64_t done, int64_t total) const {
    (void)stage, (void)done, (void)total;
  }
};

// Mean and standard deviation of each channel of a tensor.
struct ChannelMoments {
  std::vector<double> mean;
  std::vector<double> deviation;
};
// What batch normalization says of its outputs, |gamma| and beta, by value name. Take it from the network before
// simplify_network() folds them: the convolution then makes the value of that name.
std::map<std::string, ChannelMoments> batch_norm_moments(const Graph& graph);

// What one method did.
struct RepairStep {
  std::string method;
  int64_t changed = 0;               // layers, pairs or nodes
  std::string summary;               // one sentence with numbers
  std::vector<std::string> skipped;  // "node 'x': reason"
};

// SmoothQuant, cross-layer equalization and bias absorption, as the options say. The network computes the same as
// before, up to float rounding; what a replaced Clip cut off and what absorption clips excepted. `graph` is as
// simplify_network() leaves it. On an error the graph may have been changed in part.
Result<std::vector<RepairStep>> repair_float_network(Graph& graph, const RepairOptions& options,
                                                     const RepairHost& host);

// AdaRound, GPTQ and bias correction. `plan` is finished and belongs to `graph`. A rounded weight becomes the real
// value of its code, so that any later quantization with the plan's scales finds that code again. The plan's
// fingerprint is that of the old graph: call SelectiveQuantizer::finish again with ranges for the new one. moments:
// of batch_norm_moments(), for analytic bias correction; may be empty.
Result<std::vector<RepairStep>> repair_quantized_network(Graph& graph, const SelectiveQuantizer& quantizer,
                                                         const QuantizationPlan& plan, const RepairOptions& options,
                                                         const RepairHost& host,
                                                         const std::map<std::string, ChannelMoments>& moments = {});

}  // namespace octet
