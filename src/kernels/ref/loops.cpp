#include "kernels/ref/loops.h"

#include <algorithm>

#include "kernels/ref/support.h"

namespace octet {

Result<Dims> broadcast_dims(const Dims& a, const Dims& b) {
  const size_t rank = std::max(a.size(), b.size());
  Dims out(rank);
  for (size_t i = 0; i < rank; ++i) {  // from the last dimension to the first
    const int64_t da = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t db = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (da != db && da != 1 && db != 1)
      return invalid_argument("shapes " + dims_to_string(a) + " and " + dims_to_string(b) + " do not broadcast");
    out[rank - 1 - i] = da == 1 ? db : da;
  }
  return out;
}

Dims broadcast_strides(const Dims& from, const Dims& to) {
  const Dims strides = row_major_strides(from);
  Dims out(to.size(), 0);
  const size_t lead = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) out[lead + i] = from[i] == 1 ? 0 : strides[i];
  return out;
}

StridedLoop make_loop(const Dims& dims, const std::vector<Dims>& strides) {
  StridedLoop loop;
  loop.strides.resize(strides.size());
  for (size_t d = 0; d < dims.size(); ++d) {
    if (dims[d] == 1) continue;
    bool merge = !loop.dims.empty();
    for (size_t k = 0; k < strides.size() && merge; ++k) {
      int64_t span = 0;
      merge = !__builtin_mul_overflow(strides[k][d], dims[d], &span) && loop.strides[k].back() == span;
    }
    int64_t merged = 0;
    merge = merge && !__builtin_mul_overflow(loop.dims.back(), dims[d], &merged);
    if (merge) loop.dims.back() = merged;
    else loop.dims.push_back(dims[d]);
    for (size_t k = 0; k < strides.size(); ++k) {
      if (merge) loop.strides[k].back() = strides[k][d];
      else loop.strides[k].push_back(strides[k][d]);
    }
  }
  if (loop.dims.empty()) {
    loop.dims = {1};
    for (Dims& s : loop.strides) s = {0};
  }
  return loop;
}

StridedLoop broadcast_loop(const Dims& dims, const std::vector<const Tensor*>& operands) {
  std::vector<Dims> strides;
  for (const Tensor* t : operands) strides.push_back(broadcast_strides(t->dims(), dims));
  return make_loop(dims, strides);
}

}  // namespace octet
