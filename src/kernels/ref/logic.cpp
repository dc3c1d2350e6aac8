// Comparison, boolean algebra and selection, from the ONNX operators of the same names.
#include <functional>

#include "arith/float_formats.h"
#include "kernels/ref/elementwise.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace {

template <class F>
OpResult compare(const OpArgs& args, F f) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  OCTET_RETURN_IF_ERROR(need_same_dtype(args));
  if (args.in(0).dtype() == DType::kBool)  // any byte that is not 0 is true
    return one(
        map_binary<uint8_t, bool>(args.in(0), args.in(1), [=](uint8_t a, uint8_t b) { return f(a != 0, b != 0); }));
  return dispatch_numeric(args.in(0).dtype(),
                          [&]<class T>() { return one(map_binary<T, bool>(args.in(0), args.in(1), f)); });
}

OpResult equal_op(const OpArgs& args) { return compare(args, std::equal_to<>()); }
OpResult greater_op(const OpArgs& args) { return compare(args, std::greater<>()); }
OpResult greater_or_equal_op(const OpArgs& args) { return compare(args, std::greater_equal<>()); }
OpResult less_op(const OpArgs& args) { return compare(args, std::less<>()); }
OpResult less_or_equal_op(const OpArgs& args) { return compare(args, std::less_equal<>()); }

Status need_bools(const OpArgs& args, size_t count) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, count));
  for (size_t i = 0; i < count; ++i)
    if (args.in(i).dtype() != DType::kBool)
      return invalid_argument("input " + std::to_string(i) + " must be bool but is " +
                              dtype_name(args.in(i).dtype()));
  return Status::ok();
}

template <class F>
OpResult boolean(const OpArgs& args, F f) {
  OCTET_RETURN_IF_ERROR(need_bools(args, 2));
  return one(
      map_binary<uint8_t, bool>(args.in(0), args.in(1), [=](uint8_t a, uint8_t b) { return f(a != 0, b != 0); }));
}

OpResult and_op(const OpArgs& args) { return boolean(args, std::logical_and<>()); }
OpResult or_op(const OpArgs& args) { return boolean(args, std::logical_or<>()); }
OpResult xor_op(const OpArgs& args) { return boolean(args, std::not_equal_to<>()); }

OpResult not_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_bools(args, 1));
  return one(map_unary<uint8_t, bool>(args.in(0), [](uint8_t x) { return x == 0; }));
}

OpResult where_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_bools(args, 1));
  OCTET_RETURN_IF_ERROR(need_inputs(args, 3));
  const Tensor& condition = args.in(0);
  const Tensor& x = args.in(1);
  const Tensor& y = args.in(2);
  if (x.dtype() != y.dtype())
    return invalid_argument(std::string("the two choices have types ") + dtype_name(x.dtype()) + " and " +
                            dtype_name(y.dtype()));
  OCTET_ASSIGN(const Dims choices, broadcast_dims(x.dims(), y.dims()));
  OCTET_ASSIGN(const Dims dims, broadcast_dims(condition.dims(), choices));
  return dispatch_size(x.dtype(), [&]<class T>() -> OpResult {
    OCTET_ASSIGN(Tensor out, Tensor::create(x.dtype(), dims));
    if (out.numel() == 0) return std::vector<Tensor>{out};
    const StridedLoop loop = broadcast_loop(dims, {&condition, &x, &y});
    for_each_row(loop, [&](int64_t done, const int64_t* offsets) {
      const uint8_t* c = condition.data<uint8_t>() + offsets[0];
      const T* a = x.data<T>() + offsets[1];
      const T* b = y.data<T>() + offsets[2];
      for (int64_t i = 0; i < loop.dims.back(); ++i)
        out.data<T>()[done + i] =
            c[i * loop.strides[0].back()] != 0 ? a[i * loop.strides[1].back()] : b[i * loop.strides[2].back()];
    });
    return std::vector<Tensor>{out};
  });
}

constexpr RefOpEntry kOps[] = {
    {"And", and_op},
    {"Equal", any_width<equal_op>},
    {"Greater", any_width<greater_op>},
    {"GreaterOrEqual", any_width<greater_or_equal_op>},
    {"Less", any_width<less_op>},
    {"LessOrEqual", any_width<less_or_equal_op>},
    {"Not", not_op},
    {"Or", or_op},
    {"Where", where_op},
    {"Xor", xor_op},
};

}  // namespace

std::span<const RefOpEntry> logic_ops() { return kOps; }

}  // namespace octet
