// The constant weight of a Conv, ConvTranspose, Gemm or MatMul, seen by channels and as matrices.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "octet/graph.h"
#include "passes/graph_editor.h"

namespace octet::repair {

// y[out] = sum over in and position of w * x. Elements are addressed by their index in the row-major weight.
class WeightView {
 public:
  // The weight is input 1, constant and float32; nullopt for everything else. ConvTranspose has channels, no matrix.
  static std::optional<WeightView> of(const Graph& graph, size_t node);

  size_t node() const { return node_; }
  ValueId weight() const { return weight_; }
  int64_t numel() const { return numel_; }
  int64_t out_channels() const { return groups_ * rows_; }
  int64_t in_channels() const { return groups_ * in_per_group_; }
  int64_t out_of(int64_t element) const;
  int64_t in_of(int64_t element) const;

  // For each group a matrix [rows, cols]; a column is an input of one output element: (channel, position) in the
  // order of the weight.
  bool is_matrix() const { return kind_ != Kind::kTransposedConv; }
  int64_t groups() const { return groups_; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return in_per_group_ * positions_; }
  int64_t positions() const { return positions_; }  // of the kernel
  int64_t at(int64_t group, int64_t row, int64_t col) const {
    return group * group_stride_ + row * row_stride_ + col * col_stride_;
  }

 private:
  enum class Kind { kConv, kTransposedConv, kMatrix };
  Kind kind_ = Kind::kConv;
  size_t node_ = 0;
  ValueId weight_ = kNoValue;
  int64_t numel_ = 0, groups_ = 1, rows_ = 0, in_per_group_ = 0, positions_ = 1;
  int64_t group_stride_ = 0, row_stride_ = 0, col_stride_ = 0;
};

// The axis of the node's output that counts its channels: 1 for convolutions and Gemm, the last for MatMul.
int channel_axis(const Node& node, int output_rank);

// Where a weighted node's constant bias per channel is, or could be: its own input 2, or for MatMul the constant of
// the Add that alone reads it.
struct BiasPlace {
  size_t node = 0;
  size_t input = 2;
  bool exists = false;
};
// nullopt: a bias that is computed, has no value per channel, or is scaled by alpha or beta; a MatMul without Add.
std::optional<BiasPlace> bias_place(const GraphEditor& editor, const WeightView& view);
// The bias in double, zeros when there is none. One value per output channel.
std::vector<double> read_bias(const GraphEditor& editor, const WeightView& view, const BiasPlace& place);
// Writes it; false, and nothing changed, when a number is not finite in float32. A Gemm's or convolution's bias
// becomes [channels]; that of an Add keeps its shape.
bool write_bias(GraphEditor& editor, const WeightView& view, const BiasPlace& place, const std::vector<double>& bias);

std::string quoted_node(const Node& node);  // "node 'conv1'"

}  // namespace octet::repair
