// Index tensors turned into checked positions; shared by the Gather and Scatter families.
#pragma once

#include <cstdint>
#include <vector>

#include "octet/tensor.h"

namespace octet {

// The elements of `indices`, each in [-size, size) and made non-negative.
Result<std::vector<int64_t>> checked_indices(const Tensor& indices, int64_t size);

// For each element of `indices`: the position in a row-major tensor of shape `dims` that has the element's own
// coordinates but for `axis`, where it has the index (GatherElements, ScatterElements).
Result<std::vector<int64_t>> element_positions(const Dims& dims, const Tensor& indices, int64_t axis);

// For each row (last axis) of `indices`: which block of dims[batch + row length ...] it names, counted in blocks.
// The first `batch` dimensions are shared with the data (GatherND, ScatterND). Requires a row that fits dims.
Result<std::vector<int64_t>> block_positions(const Dims& dims, const Tensor& indices, int64_t batch);

}  // namespace octet
