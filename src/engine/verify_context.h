// What the checks of single operations need to know about the program around them.
#pragma once

#include <string>
#include <vector>

#include "engine/program.h"
#include "engine/tensors.h"

namespace octet::engine {

// Bounds far beyond every network that keep all later arithmetic inside 64 bits.
constexpr int64_t kMostSide = int64_t{1} << 20;      // pixels of a row or column, and channels
constexpr int64_t kMostBytes = int64_t{1} << 40;     // of a tensor, of the arena
constexpr int64_t kMostWindow = int64_t{1} << 15;    // kernel sides, strides, pads, dilations
constexpr int64_t kMostProducts = int64_t{1} << 16;  // of one convolution sum: 255 * 128 * 2^16 fits in int32

// Tensors that verify_tensors has passed; ids of operations are in range.
class VerifyContext {
 public:
  VerifyContext(const Program& program, std::vector<Place> places, std::vector<bool> outside, uint32_t features)
      : program_(program), places_(std::move(places)), outside_(std::move(outside)), features_(features) {}

  const Program& program() const { return program_; }
  uint32_t features() const { return features_; }  // of the CPU that is to run it
  const TensorInfo& tensor(TensorId id) const { return program_.tensors[static_cast<size_t>(id)]; }
  const Place& place(TensorId id) const { return places_[static_cast<size_t>(id)]; }
  bool is_root(TensorId id) const { return place(id).root == id; }
  bool is_outside(TensorId id) const { return outside_[static_cast<size_t>(place(id).root)]; }

  // Share a byte, for some batch.
  bool overlap(TensorId a, TensorId b) const;
  // Begin at the same byte and step alike: what an element-wise operation may overwrite.
  bool same_place(TensorId a, TensorId b) const;
  // Both at once: one sentence unless the two are apart or, with `in_place`, the same.
  Status check_overlap(TensorId read, TensorId written, bool in_place) const;

  std::string quoted(TensorId id) const { return "tensor '" + tensor(id).name + "'"; }

 private:
  const Program& program_;
  std::vector<Place> places_;
  std::vector<bool> outside_;  // of roots: inputs and outputs, in the caller's memory
  uint32_t features_;
};

Status verify_operation(const VerifyContext& context, const Operation& operation);
Status verify_conv(const VerifyContext& context, const ConvOp& op);
Status verify_island(const VerifyContext& context, const IslandOp& op);
Status verify_softmax(const VerifyContext& context, const SoftmaxOp& op);
Status verify_layer_norm(const VerifyContext& context, const LayerNormOp& op);
Status verify_transpose(const VerifyContext& context, const TransposeOp& op);
Status verify_matmul(const VerifyContext& context, const MatMulOp& op);
// One axis of a window: sizes within bounds, every output place computed, no more padding than kMostWindow.
Status verify_axis(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad);
Status verify_grid(const cpu::Grid& grid);

}  // namespace octet::engine
