// What one operator sees while types and shapes are inferred, and the helpers the operators share.
//
// To add an operator: a row in graph/op_table.cpp, a function here in the file of its family, a row in registry.cpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "graph/symbolic.h"
#include "octet/graph.h"

namespace octet {

constexpr int kMaxRank = 64;               // of any tensor
constexpr int64_t kMaxSymElements = 1024;  // of a tensor whose elements are followed

// Elements of a small tensor that shapes may depend on: integers, booleans (0 and 1) or whole floats, each of which
// may be unknown. dims is static; elements.size() is its product.
struct SymTensor {
  Dims dims;
  std::vector<MaybeInt> elements;
};

using MaybeShape = std::optional<Shape>;

class OpInference {
 public:
  OpInference(const Graph& graph, const Node& node, const std::vector<std::optional<SymTensor>>& followed,
              SymbolTable& symbols);

  const Node& node;
  const int opset;
  SymbolTable& symbols;

  size_t input_count() const { return node.inputs.size(); }
  bool has(size_t i) const { return node.has_input(i); }
  DType dtype(size_t i) const;                      // kUndefined when absent or unknown
  const Shape* shape(size_t i) const;               // nullptr when absent or of unknown rank
  const Tensor* constant(size_t i) const;           // nullptr when not a constant
  std::optional<SymTensor> values(size_t i) const;  // when followed (rank 0 and 1 and small others)
  // All elements of input i, if every one is a known constant.
  std::optional<std::vector<int64_t>> ints(size_t i) const;
  // Axes or the like: from input i when it is there, else from the attribute. Unset: neither; empty inside: not
  // known.
  std::optional<std::optional<std::vector<int64_t>>> ints_from(size_t i, const std::string& attribute) const;

  void set(size_t output, DType dtype, MaybeShape shape);
  void set_values(size_t output, std::optional<SymTensor> values);

  struct Output {
    DType dtype = DType::kUndefined;
    MaybeShape shape;
    std::optional<SymTensor> values;
  };
  std::vector<Output>& outputs() { return outputs_; }

 private:
  const Graph& graph_;
  const std::vector<std::optional<SymTensor>>& followed_;
  std::vector<Output> outputs_;
};

// Fills the outputs; an error is one sentence about the contradiction, without node and shapes (the caller adds
// them).
using InferFn = Status (*)(OpInference& op);
// nullptr when the operator is unknown.
InferFn find_infer(std::string_view op_type);

// Copies of a known shape, or nothing.
MaybeShape shape_of(const OpInference& op, size_t input);
Shape unknown_shape(size_t rank);
// Number of elements, when it can be expressed.
MaybeInt numel_of(const SymbolTable& symbols, const Shape& shape);

// Counts negative axes from the end; an axis outside [-rank, rank) is an error.
Result<size_t> normalize_axis(int64_t axis, size_t rank);
// Same for a list, which must not repeat an axis.
Result<std::vector<size_t>> normalize_axes(const std::vector<int64_t>& axes, size_t rank);

// Two sizes that must be equal: the better known one. Error when both are static and differ.
Result<Dim> unify(const Dim& a, const Dim& b);
// NumPy's rule. A static size above one decides; two different symbols give an unknown size.
Result<Dim> broadcast_dim(const Dim& a, const Dim& b);
Result<Shape> broadcast(const Shape& a, const Shape& b);
// Broadcast of all given inputs; nothing when the rank of one is unknown.
Result<MaybeShape> broadcast_inputs(const OpInference& op, size_t from, size_t to);
// The common type of inputs [from, to); an error when two known ones differ.
Result<DType> common_dtype(const OpInference& op, size_t from, size_t to);
// Checks that a known rank is within [least, most].
Status expect_rank(const OpInference& op, size_t input, size_t least, size_t most = kMaxRank);

// Values of a tensor without elements to follow (too many, float fractions) are dropped here.
std::optional<SymTensor> follow_constant(const Tensor& tensor);
std::optional<SymTensor> scalar_values(MaybeInt value);
std::optional<SymTensor> vector_values(std::vector<MaybeInt> elements);
// The same elements in another static shape with as many elements; nothing otherwise.
std::optional<SymTensor> reshape_values(std::optional<SymTensor> values, const MaybeShape& shape);

}  // namespace octet
