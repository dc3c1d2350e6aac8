// Random but reproducible networks and inputs for tests of passes, executor, quantization and file formats.
#pragma once

#include <cstdint>
#include <vector>

#include "octet/graph.h"

namespace octet::test {

// splitmix64: the same numbers on every machine and standard library.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ULL + 0x1234567ULL) {}

  uint64_t bits() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  int64_t integer(int64_t low, int64_t high) {  // both ends included
    return low + static_cast<int64_t>(bits() % static_cast<uint64_t>(high - low + 1));
  }
  double real(double low, double high) {
    return low + (high - low) * (static_cast<double>(bits() >> 11) * 0x1.0p-53);
  }
  bool chance(double probability) { return real(0.0, 1.0) < probability; }
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[static_cast<size_t>(integer(0, static_cast<int64_t>(from.size()) - 1))];
  }

 private:
  uint64_t state_;
};

Tensor random_tensor(Random& random, const Dims& dims, double low = -1.0, double high = 1.0);

struct RandomGraphOptions {
  int min_steps = 6;
  int max_steps = 16;
  int opset = 0;                // 0: one of 13, 14, 17 by seed
  int64_t image = 10;           // height and width of the input
  bool with_dequantize = true;  // some weights come as int8 with DequantizeLinear
  bool with_shape_ops = true;   // Shape, Gather and Concat that compute a Reshape's target
};

// A valid network like a small CNN: input "x" [N, c, image, image] with symbolic batch, then a random sequence of
// Conv (plain, grouped, depthwise, strided), ConvTranspose, BatchNormalization with and without a Conv before it,
// activations (SiLU and hard swish in several spellings), residual Adds, Concat, pooling, Slice, Pad, Resize,
// per-channel constants, Identity, Dropout, constant chains, shared weights; a head of pooling and Gemm or MatMul;
// one to three outputs, some dead nodes. The same seed gives the same graph. Shapes are inferred.
Graph random_cnn(uint64_t seed, const RandomGraphOptions& options = {});

// One tensor per graph input, elements in [-1, 1]; symbolic dimensions become `batch`.
std::vector<Tensor> random_inputs(const Graph& graph, uint64_t seed, int64_t batch = 2);

}  // namespace octet::test
