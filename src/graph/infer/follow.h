// Arithmetic on the followed elements of small tensors (SymTensor), element by element with broadcasting.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "graph/infer/op_inference.h"

namespace octet {

using ElementFn = std::function<MaybeInt(const std::vector<MaybeInt>& operands)>;

// Applies `fn` to all inputs of the node, broadcast together. Nothing when one of them is not followed or the result
// would have too many elements.
std::optional<SymTensor> follow_elementwise(const OpInference& op, const ElementFn& fn);

// The elements at data[index] where `index` walks `out_dims` and `source` maps an output index to a flat input index.
std::optional<SymTensor> follow_gather(const SymTensor& data, const Dims& out_dims,
                                       const std::function<size_t(const std::vector<int64_t>&)>& source);

// Row-major strides in elements.
Dims strides_of(const Dims& dims);

// Is a - b positive (+1), zero (0) or negative (-1) for all sizes >= 0 that the symbols may stand for? Nothing when
// it depends on them or is not known.
std::optional<int> sign_of_difference(const MaybeInt& a, const MaybeInt& b);

// Drops the elements that a tensor of this type would not hold exactly.
void keep_representable(SymTensor& values, DType dtype);

}  // namespace octet
