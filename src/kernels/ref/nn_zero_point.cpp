#include "kernels/ref/nn_zero_point.h"

namespace octet::nn {

Result<Dims> param_strides(const Dims& param, const Dims& dims, int axis, const std::string& what) {
  Dims strides(dims.size(), 0);
  OCTET_ASSIGN(const int64_t count, checked_numel(param));
  if (count == 1 && param.size() <= 1) return strides;
  if (param.size() == 1 && axis >= 0 && param[0] == dims[static_cast<size_t>(axis)]) {
    strides[static_cast<size_t>(axis)] = 1;
    return strides;
  }
  if (param.size() == dims.size() && param.size() > 1) return strides_within(param, dims);
  return invalid_argument(what + " of shape " + dims_to_string(param) + " does not fit a tensor of shape " +
                          dims_to_string(dims));
}

Result<Tensor> subtract_zero_point(const Tensor& t, const Tensor* zero_point, int axis, const std::string& what) {
  if (t.dtype() != DType::kInt8 && t.dtype() != DType::kUint8)
    return unsupported(std::string("the input is ") + dtype_name(t.dtype()) + ", expected int8 or uint8");
  OCTET_ASSIGN(Tensor out, to_float64(t));
  if (zero_point == nullptr) return out;
  if (zero_point->dtype() != t.dtype())
    return invalid_argument(what + " is " + dtype_name(zero_point->dtype()) + ", but its tensor is " +
                            dtype_name(t.dtype()));
  OCTET_ASSIGN(const Dims strides, param_strides(zero_point->dims(), t.dims(), axis, what));
  OCTET_ASSIGN(const Tensor zero, to_float64(*zero_point));
  for_each_offset(t.dims(), strides,
                  [&](int64_t i, int64_t offset) { out.data<double>()[i] -= zero.data<double>()[offset]; });
  return out;
}

OpResult wrap_to_int32(const Tensor& float64_sums) {
  OCTET_ASSIGN(Tensor out, Tensor::create(DType::kInt32, float64_sums.dims()));
  for (int64_t i = 0; i < out.numel(); ++i)
    out.data<int32_t>()[i] = static_cast<int32_t>(static_cast<int64_t>(float64_sums.data<double>()[i]));
  return std::vector<Tensor>{out};
}

}  // namespace octet::nn
