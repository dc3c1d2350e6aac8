// A compiled network: a flat list of operations over numbered tensors, ready to run. The compiler makes it, a .octet
// file stores it, the runtime runs it. Nothing here knows ONNX.
//
// All activation codes are UINT8 (store.h says why). Rank-4 codes lie in N,H,W,C; all else is row-major as in ONNX.
// Sizes are those of one image when the program is batched; a run of n images multiplies every leading dimension,
// every byte size and every arena offset by n.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "kernels/cpu/conv.h"
#include "kernels/cpu/pixel_ops.h"
#include "octet/graph.h"

namespace octet::engine {

using TensorId = int32_t;
constexpr TensorId kNoTensor = -1;

enum class Layout : uint8_t { kPlain, kNhwc };

struct TensorInfo {
  std::string name;  // of the ONNX value
  DType dtype = DType::kUint8;
  Dims dims;                       // as in ONNX: N,C,H,W; dims[0] is for one image
  Layout layout = Layout::kPlain;  // kNhwc: uint8 or float32 of rank 4
  int64_t pixel_stride = 0;        // kNhwc: elements from pixel to pixel, >= C
  float scale = 1;                 // uint8 only: real = (code - zero) * scale
  int32_t zero = 0;
  // A view: bytes at `offset` of tensor `parent` (a channel offset, for concatenations in place and splits; or a
  // reshape of equal bytes). Otherwise `offset` is the place in the arena, a multiple of 64.
  TensorId parent = kNoTensor;
  int64_t offset = 0;
};

// Bytes of one image, the last pixel's gap included.
int64_t tensor_bytes(const TensorInfo& tensor);

// A part of Program::constants, at a multiple of 64.
struct Blob {
  uint64_t offset = 0;
  uint64_t size = 0;
};

// The curve, grids, scales and residual of cpu::Store; pointers are blobs here.
struct StoreInfo {
  cpu::Store store;  // its pointers are null
  Blob multiplier;   // float [oc rounded up to 16]
  Blob addend;       // the same, or empty
  Blob table;        // 256 bytes, or empty
};

// Rank 4: NHWC. Other ranks: plain tensors whose last dimension is the channel, as a 1x1 convolution over rows
// (geometry: ih = oh = 1, iw = ow = rows of one image). dst is codes or, with store.to_float, float32 (NHWC if rank
// 4). geometry.ic may be more than the source's channels, up to its pixel_stride: the weights there are zero.
struct ConvOp {
  TensorId src = kNoTensor, dst = kNoTensor, residual = kNoTensor;
  cpu::ConvProblem problem;
  StoreInfo store;
  std::string kernel;  // cpu::find_conv_kernel
  Blob packed;
};
// float32 NCHW -> codes NHWC (or plain codes of other ranks, as one row of pixels).
struct QuantizeOp {
  TensorId src = kNoTensor, dst = kNoTensor;
  cpu::Grid grid;
};
struct DequantizeOp {
  TensorId src = kNoTensor, dst = kNoTensor;
};
// float32 NHWC -> float32 NCHW: what a convolution with a float result leaves.
struct FloatLayoutOp {
  TensorId src = kNoTensor, dst = kNoTensor;
};
// Codes at the border of the graph or of an island: INT8/UINT8 row-major <-> UINT8 NHWC.
struct BytesOp {
  TensorId src = kNoTensor, dst = kNoTensor;
  uint8_t flip = 0;
};
struct TableOp {
  TensorId src = kNoTensor, dst = kNoTensor;
  bool copy = false;  // no table: a copy into another place
  std::array<uint8_t, 256> table{};
};
struct BinaryOp {
  TensorId a = kNoTensor, b = kNoTensor, dst = kNoTensor;
  bool multiply = false;
  bool b_per_image = false;  // b is [N, C, 1, 1]
  float a_scale = 1, b_scale = 1;
  cpu::Grid grid;
  bool has_table = false;
  std::array<uint8_t, 256> table{};
  // In place of b, which is kNoTensor then: constant codes for the channels of every pixel, or the last dimension.
  std::vector<uint8_t> row;
  int32_t row_zero = 0;
};
struct PoolOp {
  TensorId src = kNoTensor, dst = kNoTensor;
  bool average = false, count_pad = false;
  int64_t kh = 1, kw = 1, stride_h = 1, stride_w = 1, pad_top = 0, pad_left = 0, dilation_h = 1, dilation_w = 1;
  float scale = 1;
  cpu::Grid grid;
};
struct ResizeOp {
  TensorId src = kNoTensor, dst = kNoTensor;
  std::vector<int32_t> row_of, column_of;
};
// Every code of dst (usually a view) becomes `value`: the zeros of a channel padding.
struct FillOp {
  TensorId dst = kNoTensor;
  uint8_t value = 0;
};
// A part of the network that runs node by node in float (or integers that no kernel here takes).
struct IslandOp {
  std::vector<TensorId> inputs, outputs;  // row-major, in the order of graph.inputs and graph.outputs
  Graph graph;
};

// The next four work on row-major tensors of two dimensions or more.
// Softmax along the last dimension. real[256]: what each code of src stands for, never less than the one before.
struct SoftmaxOp {
  TensorId src = kNoTensor, dst = kNoTensor;
  std::vector<float> real;
  cpu::Grid grid;
};
// ONNX LayerNormalization along the last dimension. bias may be empty.
struct LayerNormOp {
  TensorId src = kNoTensor, dst = kNoTensor;
  std::vector<float> real, weight, bias;
  float epsilon = 1e-5f;
  cpu::Grid grid;
};
// Dimension i of dst is dimension perm[i] of src; perm[0] is 0.
struct TransposeOp {
  TensorId src = kNoTensor, dst = kNoTensor;
  std::vector<int32_t> perm;
};
// [..., m, k] times [..., k, n], three dimensions or more, all but the last two alike. dst is codes or, with
// to_float, float32; scale as MatMulCall has it.
struct MatMulOp {
  TensorId a = kNoTensor, b = kNoTensor, dst = kNoTensor;
  float scale = 1;
  bool to_float = false;
  cpu::Grid grid;
};

using Operation = std::variant<ConvOp, QuantizeOp, DequantizeOp, FloatLayoutOp, BytesOp, TableOp, BinaryOp, PoolOp,
                               ResizeOp, FillOp, IslandOp, SoftmaxOp, LayerNormOp, TransposeOp, MatMulOp>;

// What a person wants to know about an operation; the runtime does not need it.
struct OpNote {
  std::string nodes;                 // "conv1 + relu1"
  std::string what;                  // "Conv+Relu"
  std::string precision;             // "int8", "float32", "layout"
  std::vector<std::string> reasons;  // refused kernels and fusions, in words
  double macs = 0;                   // multiply-adds for one image
  double int8_us = 0;                // measured while compiling; 0: not measured
  double float_us = 0;
};

struct Program {
  std::string name;
  uint32_t features = 0;  // cpu::Feature bits that the chosen kernels need
  bool batched = false;   // the leading dimension of inputs and outputs is free
  std::vector<TensorInfo> tensors;
  std::vector<TensorId> inputs, outputs;  // row-major, the types of the ONNX graph
  std::vector<Operation> operations;      // in order of execution
  std::vector<OpNote> notes;              // one for each operation
  int64_t arena_bytes = 0;                // of one image, views and outside tensors excluded, read slack excluded
  // Packed weights and scales: a mapped file, or memory that `keep_alive` owns. 64-byte aligned.
  std::span<const uint8_t> constants;
  std::shared_ptr<const void> keep_alive;
};

// Everything the runtime relies on: ids in range, shapes that fit each other and the geometry, views inside their
// parents, arena offsets inside the arena, blobs inside the constants and of the right size for their kernel, grids
// of at most 8 bits, finite scales. One sentence naming the operation otherwise.
Status verify_program(const Program& program);
// For a CPU with these cpu::Feature bits instead of this one.
Status verify_program(const Program& program, uint32_t features);

// The .octet file. Layout in docs/engine_file.md: magic, version, features, sizes, checksums, program, constants.
// serialize() needs nothing but the program; load maps the file and checks it whole, verify_program() included.
std::string serialize_program(const Program& program);
Status save_program(const Program& program, const std::string& path);
Result<Program> load_program(const std::string& path);
Result<Program> parse_program(std::span<const uint8_t> bytes, std::shared_ptr<const void> keep_alive);

}  // namespace octet::engine
