// State shared by the files that form units (form_*.cpp).
#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/compiler/activations.h"
#include "engine/compiler/units.h"

namespace octet::engine {

// Conv, Gemm or MatMul with what follows it up to some value.
struct WeightedMatch {
  size_t node = 0;
  Activation activation;
  ValueId residual = kNoValue;    // a coded value of the result's shape
  ValueId gate = kNoValue;        // x of x * sigmoid(x), read twice inside the group
  ValueId extra_bias = kNoValue;  // of an Add after a MatMul
  std::vector<size_t> nodes;
};

class Former {
 public:
  Former(const Graph& graph, const CompileOptions& options) : graph_(graph), index_(graph), options_(options) {}
  Units run();

 private:
  // A value of all 256 codes of a root: what a chain of elementwise nodes makes of it.
  struct Origin {
    CodeId root = kNoCode;
    Tensor values;              // float32 [256]
    size_t node = 0;            // that made it
    std::vector<ValueId> from;  // its inputs that have an origin, too
    int table_unit = -1;        // the table before it, when the code it is read from is one
  };

  void graph_inputs();
  void visit(size_t n);
  void visit_quantize(size_t n);
  void visit_dequantize(size_t n);
  void trace_elementwise(size_t n);

  // form_weighted.cpp
  std::optional<WeightedMatch> match_weighted(ValueId value);
  bool match_activation(const Node& node, WeightedMatch& match, ValueId& current);
  bool match_add(const Node& node, size_t n, WeightedMatch& match, ValueId& current);
  // Codes with `params`, or float32 without.
  std::optional<Unit> weighted_unit(const WeightedMatch& match, const std::optional<CodeParams>& params);
  bool conv_geometry(const Node& node, const WeightCodes& weights, Unit& unit, std::string* why);
  bool gemm_geometry(const Node& node, WeightCodes& weights, Unit& unit, std::string* why);
  void note_float_conv(ValueId out);
  void note_float_results();

  // form_elementwise.cpp
  std::vector<size_t> nodes_of(const Origin& origin) const;
  std::optional<Unit> table_unit(const Origin& origin, const CodeParams& params);
  std::optional<Unit> binary_unit(ValueId value, CodeParams& params);
  std::optional<Unit> row_unit(const Node& node, std::vector<size_t> nodes, const Activation& act,
                               CodeParams& params);
  std::optional<Unit> average_unit(ValueId value, const CodeParams& params);
  std::optional<Unit> concat_unit(ValueId value, const CodeParams& params);
  CodeId requantized(CodeId code, const CodeParams& params, size_t node);

  // form_rows.cpp: codes in ONNX's order.
  CodeId as_rows(CodeId code);   // the same codes row-major; images are rearranged
  CodeId as_image(CodeId code);  // of rank 4: the same codes as an image
  bool makes_rows(const Unit& unit) const;
  // What each code of a value's root stands for, and that root, row-major.
  std::optional<std::pair<CodeId, std::vector<float>>> real_numbers(ValueId value);
  std::optional<Unit> softmax_unit(ValueId value, const CodeParams& params);
  std::optional<Unit> layer_norm_unit(ValueId value, const CodeParams& params);
  // Codes with `params`, or float32 without.
  std::optional<Unit> product_unit(ValueId value, const std::optional<CodeParams>& params);
  void note_float_product(ValueId out);
  bool move_transpose(size_t n, CodeId src);

  // form_moves.cpp: operators that only move codes; they keep the parameters.
  void visit_move(size_t n);
  void move_image(size_t n, CodeId src);
  bool move_max_pool(size_t n, CodeId src);
  bool move_reshape(size_t n, CodeId src);
  bool move_resize(size_t n, CodeId src);
  bool move_slice(size_t n, CodeId src);
  bool move_split(size_t n, CodeId src);
  bool move_pad(size_t n, CodeId src);
  bool move_concat(size_t n);

  const Node& node(size_t n) const { return graph_.nodes[n]; }
  const Node* producer(ValueId id, size_t* n = nullptr) const;
  bool sole_reader(ValueId id) const { return index_.uses(id).size() == 1 && !graph_.is_output(id); }
  CodeId coded(ValueId id) const;
  std::optional<std::vector<int64_t>> constant_ints(const Node& node, size_t input) const;
  CodeId add_code(const std::string& name, const CodeParams& params, Dims dims);
  // Adds the unit; its output becomes the code of `value`.
  CodeId add_unit(Unit unit, const std::string& name, const CodeParams& params, Dims dims);
  bool pads_with_zero(const Node& node, const Code& code) const;
  CodeId moved(ValueId id) const;       // the code of a value, or of the codes themselves
  CodeId& move_result(ValueId output);  // where a move notes its code
  void add_move(Unit unit, size_t n, size_t output, CodeId like, Dims dims);
  void refuse(size_t n, std::string why) { units_.refusals.emplace(n, std::move(why)); }

  const Graph& graph_;
  GraphIndex index_;
  const CompileOptions& options_;
  Units units_;
  std::unordered_map<ValueId, Origin> origins_;  // float values
  std::map<CodeId, CodeId> rows_of_, image_of_;  // codes in the other order, where somebody asked for it
};

}  // namespace octet::engine
