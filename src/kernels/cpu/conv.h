// INT8 convolution kernels (and Gemm/MatMul with constant weights, as 1x1): u8 codes in NHWC times INT8 weights.
//
// One ordered list, fastest first, reference last. The compiler asks each kernel in turn, packs, times and chooses;
// the runtime finds the chosen one by name and calls run() for every task, from any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "kernels/cpu/features.h"
#include "kernels/cpu/store.h"

namespace octet::cpu {

// One image. ONNX Conv with NHWC activations; ic and oc count all groups together.
struct ConvGeometry {
  int64_t ih = 1, iw = 1, ic = 1;
  int64_t oh = 1, ow = 1, oc = 1;
  int64_t kh = 1, kw = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t pad_top = 0, pad_left = 0;  // bottom and right follow from oh and ow
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t groups = 1;
  bool operator==(const ConvGeometry&) const = default;
};

struct ConvProblem {
  ConvGeometry geometry;
  int32_t src_zero = 0;              // padding counts as this code
  int32_t src_lo = 0, src_hi = 255;  // codes that can occur, for proofs that 16-bit sums do not saturate
};

// One call for a whole batch. Pixel strides are in elements: at least ic (oc); more when the tensor is a slice of the
// channels of a wider one. Pixels of a row, rows of an image and images lie one after the other without further gaps.
// Buffers may be read up to kReadSlack bytes past their end (never written).
struct ConvCall {
  const ConvProblem* problem = nullptr;
  const uint8_t* packed = nullptr;  // 64-byte aligned
  Store store;
  int64_t batch = 1;
  const uint8_t* src = nullptr;
  int64_t src_pixel_stride = 0;
  void* dst = nullptr;  // uint8_t or, with store.to_float, float
  int64_t dst_pixel_stride = 0;
  const uint8_t* residual = nullptr;  // same pixels and channels as dst; may be dst itself
  int64_t residual_pixel_stride = 0;
};

constexpr int64_t kReadSlack = 128;

class ConvKernel {
 public:
  virtual ~ConvKernel() = default;
  virtual std::string_view name() const = 0;  // "amx", "vnni", "avx2-pairs", ..., "reference"; stable: files name it
  virtual uint32_t features() const = 0;      // what it needs of the CPU
  // Why it cannot run the problem exactly, in a few words; empty when it can. weights: INT8 [oc, ic/groups, kh, kw], or
  // null when only the geometry and the codes' range are to be judged: a file that is loaded has packed weights only.
  virtual std::string reject(const ConvProblem& problem, const int8_t* weights) const = 0;
  // The packed form holds weights and, per output channel, bias - src_zero * sum(weights): numbers only, never offsets or
  // counts, because it comes from files.
  virtual size_t packed_bytes(const ConvProblem& problem) const = 0;
  // bias: INT32 [oc] or null. packed: 64-byte aligned, packed_bytes() long, zeroed.
  virtual void pack(const ConvProblem& problem, const int8_t* weights, const int32_t* bias, uint8_t* packed) const = 0;
  virtual size_t scratch_bytes(const ConvProblem& problem) const = 0;  // per thread, 64-byte aligned
  // Independent parts that the work splits into, enough to keep `threads` threads evenly busy.
  virtual int64_t tasks(const ConvProblem& problem, int64_t batch, int threads) const = 0;
  // Part `task` of `tasks`, the value that tasks() gave. No allocation. scratch: this thread's own.
  virtual void run(const ConvCall& call, int64_t task, int64_t tasks, uint8_t* scratch) const = 0;
};

// Fastest first; the reference is last and takes everything. The objects live as long as the program.
std::span<const ConvKernel* const> conv_kernels();
const ConvKernel* find_conv_kernel(std::string_view name);  // nullptr when there is none

}  // namespace octet::cpu
