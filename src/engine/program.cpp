#include "engine/program.h"

#include <limits>

#include "engine/tensors.h"

namespace octet::engine {
namespace {

constexpr int64_t kOverflow = std::numeric_limits<int64_t>::max();

int64_t product(int64_t a, int64_t b) {
  int64_t p = 0;
  return a == kOverflow || b == kOverflow || __builtin_mul_overflow(a, b, &p) ? kOverflow : p;
}

}  // namespace

int64_t element_count(const TensorInfo& tensor) {
  int64_t n = 1;
  for (int64_t d : tensor.dims) n = product(n, d);
  return n;
}

bool is_dense(const TensorInfo& tensor) {
  return tensor.layout == Layout::kPlain || tensor.pixel_stride == tensor.dims[1];
}

int64_t tensor_bytes(const TensorInfo& tensor) {
  const auto size = static_cast<int64_t>(dtype_size(tensor.dtype));
  if (tensor.layout == Layout::kPlain || tensor.dims.size() != 4) return product(element_count(tensor), size);
  const int64_t pixels = product(product(tensor.dims[0], tensor.dims[2]), tensor.dims[3]);
  return product(product(pixels, tensor.pixel_stride), size);
}

Place place_of(const Program& program, TensorId id) {
  Place place{id, 0};
  for (int depth = 0; depth <= kMostViews; ++depth) {
    if (place.root < 0 || static_cast<size_t>(place.root) >= program.tensors.size()) return {};
    const TensorInfo& tensor = program.tensors[static_cast<size_t>(place.root)];
    if (tensor.parent == kNoTensor) return place;
    if (__builtin_add_overflow(place.offset, tensor.offset, &place.offset)) return {};
    place.root = tensor.parent;
  }
  return {};
}

const char* operation_name(const Operation& operation) {
  static constexpr const char* kNames[] = {"Conv",   "Quantize", "Dequantize", "FloatLayout", "Bytes",
                                           "Table",  "Binary",   "Pool",       "Resize",      "Fill",
                                           "Island", "Softmax",  "LayerNorm",  "Transpose",   "MatMul"};
  static_assert(std::size(kNames) == std::variant_size_v<Operation>);
  return kNames[operation.index()];
}

}  // namespace octet::engine
