// The inputs that single output elements of a layer sum over, as rows of matrices.
#pragma once

#include <vector>

#include "octet/graph.h"
#include "repair/weight_view.h"

namespace octet::repair {

// Rows of patches: [rows, groups, width], each group's columns in the order of WeightView and then zeros up to
// `width`, a multiple of kLanes.
struct Patches {
  int64_t rows = 0;
  int64_t width = 0;
  std::vector<float> values;
};

// At most `most` output positions of a batch, spread evenly over all of them; `batch` shifts which ones, so that
// different batches show different places. x is the layer's input, float32. kUnsupported when x does not fit the
// layer.
Result<Patches> sample_patches(const Node& node, const WeightView& view, const Tensor& x, const Dims& weight_dims,
                               int64_t most, int64_t batch);

}  // namespace octet::repair
