// Post-training quantization of a graph: which tensors get a quantizer, of which type and range, and the Q/DQ graph.
//
//   SelectiveQuantizer quantizer(options);
//   plan   = quantizer.prepare(graph);                   // decisions, before any data
//   stats  = ... one TensorStatistics for each plan.tensors_to_observe() ...
//   ranges = quantizer.calibrate(graph, plan, stats);    // ranges.json
//   plan   = quantizer.finish(graph, ranges);            // plan.json
//   int8   = quantizer.quantize_module(graph, plan);     // the graph with QuantizeLinear and DequantizeLinear
//
// Every step is a function of its arguments; ranges and plan can be saved, edited by hand and read back in between.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "octet/calibration.h"
#include "octet/graph.h"
#include "octet/quant_params.h"
#include "octet/repair_options.h"
#include "octet/status.h"

namespace octet {

// naive: every op the target can run in integers, one calibrator everywhere. hybrid: naive, except where a rule says
// otherwise. selective: the target's keep-in-float advice and the `auto` calibrator, and then the rules.
enum class Regime { kNaive, kHybrid, kSelective };

// Numbers a node computes with. Weights: kFloat32, kFloat16 (stored only), kInt4 ... kFloat8E5M2. Activations:
// kFloat32 or a quantized type. kUndefined leaves the choice to the target.
struct Precision {
  DType weights = DType::kUndefined;
  DType activations = DType::kUndefined;
  bool operator==(const Precision&) const = default;
};

// float32; float16 (weights stored so); int8 (the target's own 8-bit types); uint8 (unsigned activations); int16
// (int8 weights, int16 activations); int4 (weights only); wAaB for A in {4, 8}, B in {8, 16, 32}, as w4a8; fp8e4m3,
// fp8e5m2.
Result<Precision> parse_precision(const std::string& text);

// One line of a recipe. The conditions that are given must all hold; later rules win over earlier ones.
struct QuantizationRule {
  std::string name;       // a node's exact name, an output's name, or the module path its weight's name begins with
  std::string glob;       // the same with * ? [abc]
  std::string op;         // operator type, e.g. "Conv"
  std::string structure;  // "last 2 conv", "between A and B", "residual adds", ...: see recipes/README.md

  std::optional<bool> skip;
  std::optional<std::string> precision;  // as parse_precision() reads it
  std::optional<std::string> weights;    // a type's name, overrides that half of precision
  std::optional<std::string> activations;
  std::optional<std::string> calibrator_w;  // max, percentile, entropy, mse, auto, histogram
  std::optional<std::string> calibrator_i;  // the same
  std::optional<double> percentile;
  std::optional<bool> per_channel;     // of weights
  std::optional<bool> symmetric;       // of activations
  std::optional<int64_t> group_size;   // of weights, along the input channels; 0: none
  std::optional<std::string> mapping;  // as for QuantizationOptions::mappings, for the matched blocks only

  std::string place;  // "recipe.yaml:12", for messages
};

// The original project's QATRecipeModificationCallback, kept for the fine-tuning stage.
struct QatOptions {
  int batch_size_divisor = 2;
  int max_epochs_divisor = 10;
  double lr_decay_factor = 0.01;
  int warmup_epochs_divisor = 10;
  double cosine_final_lr_ratio = 0.01;
  bool disable_phase_callbacks = true;
  bool disable_augmentations = false;
  bool keep_optimizer = false;  // Octet's own key: do not change to SGD with momentum
  bool operator==(const QatOptions&) const = default;
};

struct QuantizationOptions {
  Regime regime = Regime::kSelective;
  std::string target = "octet";  // tensorrt, onnxruntime, openvino, octet, or the path of a target file

  std::optional<std::string> calibrator_w;            // default max
  std::optional<std::string> calibrator_i;            // default: auto when selective, else histogram
  std::string histogram_calib_method = "percentile";  // what histogram means as a calibrator
  double percentile = 99.99;
  bool per_channel = true;
  bool learn_amax = false;                // for fine-tuning
  std::vector<std::string> skip_modules;  // exact names or globs
  std::string skip_modules_place;

  int num_calib_batches = 16;
  int calib_batch_size = 0;  // 0: the caller's choice
  int64_t calib_images = 0;  // 0: num_calib_batches batches; else exactly so many images
  bool verbose = false;

  std::optional<std::string> bias;         // int32 or float32; default: the target's
  std::optional<std::string> weights;      // a type's name, for every weight; default: the target's
  std::optional<std::string> activations;  // the same for activations
  std::optional<bool> symmetric;           // of activations; default: the target's
  std::vector<QuantizationRule> rules;
  // Block or operator -> treatment. residual_add: quantize_skip | quantize_both | float; concat: shared_scale |
  // separate | float; silu, hard_swish: keep_fused_float | quantize_input | quantize_output | quantize_all; any
  // operator: float | quantize.
  std::map<std::string, std::string> mappings;

  RepairOptions repair;  // carried out by quantize_network(), not by SelectiveQuantizer

  bool ptq_only = false;
  std::optional<QatOptions> qat;
  std::vector<std::string> notes;  // what was read and has no effect here, one sentence each
};

// Something a person should look at, found without stopping.
struct QuantizationWarning {
  std::string node;
  std::string tensor;
  std::string message;  // one sentence: numbers, consequence, what to do
};

enum class TensorRole { kActivation, kWeight, kConstant };

struct TensorReader {
  std::string node;
  int input = 0;
  bool operator==(const TensorReader&) const = default;
};

// One quantizer: a tensor, how it is to be quantized, and who reads the quantized version.
struct TensorPlan {
  TensorRole role = TensorRole::kActivation;
  DType dtype = DType::kInt8;  // kFloat16 for weights that are only stored so
  bool symmetric = true;
  int axis = -1;
  int64_t block_size = 0;
  bool narrow_range = false;
  std::string calibrator;
  double percentile = 99.99;
  std::string same_as;              // not empty: the parameters are those of that tensor
  std::vector<std::string> covers;  // the tensors whose ranges, joined, make this one's; itself when it stands alone
  std::vector<TensorReader> readers;  // in graph order
  QuantParams params;                 // scale is empty until finish()
  std::string why;
};

// quantized: integer weights and activations. weight_only: weights alone. integer: runs between DequantizeLinear and
// QuantizeLinear. carries: moves codes without changing them. fused: part of the op in front of it.
enum class NodeDecision { kQuantized, kWeightOnly, kInteger, kCarries, kFused, kFloat };

struct NodePlan {
  std::string name;
  std::string op_type;
  NodeDecision decision = NodeDecision::kFloat;
  bool integer_bias = false;  // the bias becomes INT32 of scale s_input * s_weight
  std::string why;
};

struct QuantizationPlan {
  std::string fingerprint;  // of the graph it was made for
  std::string target;
  Regime regime = Regime::kSelective;
  std::map<std::string, TensorPlan> tensors;
  std::vector<NodePlan> nodes;  // in graph order
  std::vector<std::string> notes;
  std::vector<QuantizationWarning> warnings;

  // The values whose statistics calibrate() needs, sorted.
  std::vector<std::string> tensors_to_observe() const;
  // The parameters of a tensor, through same_as; nullptr when it is not quantized or not finished.
  const QuantParams* params_of(const std::string& tensor) const;
};

// The calibrated range of one tensor: a line of ranges.json.
struct TensorRangeEntry {
  TensorRole role = TensorRole::kActivation;
  std::vector<float> lo;  // 1, or one per channel or group
  std::vector<float> hi;
  int axis = -1;
  int64_t block_size = 0;
  std::string method;
  std::string why;
  int64_t count = 0;  // elements seen
  double min = 0;     // as seen
  double max = 0;
};

struct Ranges {
  std::string fingerprint;
  std::map<std::string, TensorRangeEntry> tensors;
  std::map<std::string, std::string> left_out;  // tensors that stay in float for want of a line, and why
  std::vector<QuantizationWarning> warnings;    // not saved
};

// Rewrites the block that ends in the named node; the graph must still verify afterwards.
using BlockRewrite = std::function<Status(Graph& graph, const std::string& node)>;

class SelectiveQuantizer {
 public:
  explicit SelectiveQuantizer(QuantizationOptions options = {}) : options_(std::move(options)) {}
  const QuantizationOptions& options() const { return options_; }

  // Keeps the nodes that match an exact name or a glob in float; prepare() refuses a pattern that matches nothing.
  Status register_skip_quantization(const std::string& pattern);
  // A treatment from QuantizationOptions::mappings for a block or an operator; unknown names are refused.
  Status register_quantization_mapping(const std::string& pattern, const std::string& treatment);
  // Own code for each node of an operator type or each block (residual_add, concat, silu, hard_swish, conv_bn_act).
  Status register_quantization_mapping(const std::string& pattern, BlockRewrite rewrite);
  // Runs the registered rewrites; the graph to use from here on. Without any it is a copy.
  Result<Graph> rewrite_blocks(const Graph& graph) const;

  // Which tensors get a quantizer and why, from graph and options alone. `excluded`: values that must stay in float,
  // each with the reason to record. Errors: a rule that matches nothing, an unknown target or calibrator, weights
  // that are not finite, a graph that is quantized already.
  Result<QuantizationPlan> prepare(const Graph& graph, const std::map<std::string, std::string>& excluded = {}) const;
  // Statistics -> ranges, weights included. A tensor without statistics is left out, with a warning; NaN and
  // infinities among others are left out with a warning; a tensor of nothing else is an error.
  Result<Ranges> calibrate(const Graph& graph, const QuantizationPlan& plan,
                           const std::map<std::string, TensorStatistics>& statistics) const;
  // Ranges -> scales and zero points. A tensor that `ranges` lacks stays in float, and the placement follows; the plan
  // has a note for each. Errors: a line that contradicts the network or the plan (role, axis, number of values).
  Result<QuantizationPlan> finish(const Graph& graph, const Ranges& ranges) const;
  // The Q/DQ graph. Uses the plan alone, so that an edited plan is honoured to the letter: tensor lines and the decision
  // "float" of a node, which drops it from their readers.
  Result<Graph> quantize_module(const Graph& graph, const QuantizationPlan& plan) const;

 private:
  QuantizationOptions options_;
  std::vector<std::pair<std::string, BlockRewrite>> rewrites_;
};

// What can be said of a network before any data: channel outliers, dead channels, accumulators that could overflow,
// unfolded batch norm. `target` (may be empty) adds what concerns that runtime alone.
std::vector<QuantizationWarning> check_before_calibration(const Graph& graph, const std::string& target = "");

// 16 hexadecimal digits over structure, names and constants: a plan belongs to one network.
std::string graph_fingerprint(const Graph& graph);

// Artifacts. One line per tensor; floats survive the round trip bit for bit. Errors of the readers name the file and
// the JSON path. A comma that a deleted line leaves behind is forgiven.
std::string ranges_to_json(const Ranges& ranges);
Result<Ranges> ranges_from_json(const std::string& text, const std::string& source);
Status save_ranges(const Ranges& ranges, const std::string& path);
Result<Ranges> load_ranges(const std::string& path);
std::string plan_to_json(const QuantizationPlan& plan);
Result<QuantizationPlan> plan_from_json(const std::string& text, const std::string& source);
Status save_plan(const QuantizationPlan& plan, const std::string& path);
Result<QuantizationPlan> load_plan(const std::string& path);

const char* regime_name(Regime regime);
const char* node_decision_name(NodeDecision decision);
const char* tensor_role_name(TensorRole role);

}  // namespace octet
