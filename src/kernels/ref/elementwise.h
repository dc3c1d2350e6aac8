// Shared by the operators that work on each element alone.
#pragma once

#include "kernels/ref/loops.h"
#include "kernels/ref/support.h"

namespace octet {

// Y = f(X) for floating types; f is generic over float and double. 16-bit floats are computed in float32.
template <class F>
OpResult map_floating(const OpArgs& args, F f) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  if (x.dtype() == DType::kFloat32) return one(map_unary<float, float>(x, f));
  if (x.dtype() == DType::kFloat64) return one(map_unary<double, double>(x, f));
  return unsupported_dtype(x.dtype());
}

// Y = f(X) for floating and integer types.
template <class F>
OpResult map_numeric(const OpArgs& args, F f) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  return dispatch_numeric(args.in(0).dtype(), [&]<class T>() { return one(map_unary<T, T>(args.in(0), f)); });
}

// Runs `op` in float32 when input 0 is a 16-bit float, else as it is.
inline OpResult widen_half(const OpArgs& args, RefOp op) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  return is_half(args.in(0).dtype()) ? via_float32(args, op, args.in(0).dtype()) : op(args);
}

// A RefOp that runs `op`, itself written without 16-bit floats, for all types.
template <RefOp op>
OpResult any_width(const OpArgs& args) {
  return widen_half(args, op);
}

}  // namespace octet
