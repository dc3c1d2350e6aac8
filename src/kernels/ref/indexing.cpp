#include "kernels/ref/indexing.h"

#include "kernels/ref/support.h"

namespace octet {
namespace {

Result<int64_t> checked_index(int64_t index, int64_t size) {
  if (index < -size || index >= size)
    return invalid_argument("index " + std::to_string(index) + " is outside an axis of size " + std::to_string(size));
  return index < 0 ? index + size : index;
}

}  // namespace

Result<std::vector<int64_t>> checked_indices(const Tensor& indices, int64_t size) {
  OCTET_ASSIGN(std::vector<int64_t> values, to_int64s(indices).at("the indices"));
  for (int64_t& v : values) {
    OCTET_ASSIGN(v, checked_index(v, size));
  }
  return values;
}

Result<std::vector<int64_t>> element_positions(const Dims& dims, const Tensor& indices, int64_t axis) {
  const auto along = static_cast<size_t>(axis);
  bool fits = indices.dims().size() == dims.size();
  for (size_t d = 0; fits && d < dims.size(); ++d) fits = d == along || indices.dims()[d] <= dims[d];
  if (!fits)
    return invalid_argument("indices of shape " + dims_to_string(indices.dims()) + " do not fit data of shape " +
                            dims_to_string(dims));
  if (indices.numel() == 0) return std::vector<int64_t>{};
  OCTET_ASSIGN(std::vector<int64_t> values, checked_indices(indices, dims[along]));
  const Dims strides = row_major_strides(dims);
  Dims at(dims.size(), 0);
  for (int64_t& v : values) {
    int64_t position = v * strides[along];
    for (size_t d = 0; d < dims.size(); ++d) position += d == along ? 0 : at[d] * strides[d];
    v = position;
    for (size_t d = dims.size(); d-- > 0;) {
      if (++at[d] < indices.dims()[d]) break;
      at[d] = 0;
    }
  }
  return values;
}

Result<std::vector<int64_t>> block_positions(const Dims& dims, const Tensor& indices, int64_t batch) {
  if (indices.numel() == 0) return std::vector<int64_t>{};
  OCTET_ASSIGN(const int64_t elements, checked_numel(dims));
  if (elements == 0) return invalid_argument("data of shape " + dims_to_string(dims) + " has nothing to index");
  OCTET_ASSIGN(const std::vector<int64_t> values, to_int64s(indices).at("the indices"));
  const auto shared = static_cast<size_t>(batch);
  const auto row = static_cast<size_t>(indices.dim(-1));
  const size_t rows = values.size() / row;
  const auto rows_per_batch = static_cast<size_t>(product(indices.dims(), shared, indices.dims().size() - 1));
  std::vector<int64_t> blocks(rows);
  for (size_t r = 0; r < rows; ++r) {
    auto block = static_cast<int64_t>(r / rows_per_batch);
    for (size_t k = 0; k < row; ++k) {
      const int64_t size = dims[shared + k];
      OCTET_ASSIGN(const int64_t index, checked_index(values[r * row + k], size));
      block = block * size + index;
    }
    blocks[r] = block;
  }
  return blocks;
}

}  // namespace octet
