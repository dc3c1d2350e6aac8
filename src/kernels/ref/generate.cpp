// Operators that make tensors: Constant, ConstantOfShape, EyeLike, Range, OneHot, NonZero, Trilu.
#include <algorithm>
#include <cmath>

#include "arith/float_formats.h"
#include "kernels/ref/op_lists.h"
#include "kernels/ref/support.h"

namespace octet {
namespace {

OpResult constant_op(const OpArgs& args) {
  const Node& node = args.node;
  if (const Tensor* t = node.attr_tensor("value")) return std::vector<Tensor>{*t};
  if (node.attributes.count("value_float") != 0)
    return std::vector<Tensor>{Tensor::scalar<float>(node.attr_float("value_float", 0))};
  if (node.attributes.count("value_int") != 0)
    return std::vector<Tensor>{Tensor::scalar<int64_t>(node.attr_int("value_int", 0))};
  if (node.attributes.count("value_floats") != 0) {
    const std::vector<float> values = node.attr_floats("value_floats");
    return std::vector<Tensor>{Tensor::from<float>({static_cast<int64_t>(values.size())}, values)};
  }
  if (node.attributes.count("value_ints") != 0) {
    const std::vector<int64_t> values = node.attr_ints("value_ints");
    return std::vector<Tensor>{Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values)};
  }
  return unsupported("the constant is neither a dense tensor nor numbers");
}

OpResult constant_of_shape_op(const OpArgs& args) {
  OCTET_ASSIGN(const Dims dims, int_list_input(args, 0));
  const Tensor* given = args.node.attr_tensor("value");
  const Tensor value = given != nullptr ? *given : Tensor::scalar<float>(0.0f);
  if (value.numel() != 1) return invalid_argument("the value must be one number");
  OCTET_ASSIGN(Tensor out, Tensor::create(value.dtype(), dims));
  return dispatch_size(value.dtype(), [&]<class T>() -> OpResult {
    std::fill_n(out.data<T>(), out.numel(), value.data<T>()[0]);
    return std::vector<Tensor>{out};
  });
}

OpResult eye_like_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  if (x.rank() != 2) return invalid_argument("the input must be a matrix but has shape " + dims_to_string(x.dims()));
  DType dtype = x.dtype();
  if (args.node.attributes.count("dtype") != 0) {
    OCTET_ASSIGN(dtype, element_type(args.node.attr_int("dtype", 0)));
  }
  const int64_t rows = x.dim(0), columns = x.dim(1);
  const int64_t k = std::clamp(args.node.attr_int("k", 0), -rows, columns);  // beyond: no diagonal at all
  OCTET_ASSIGN(const Tensor one_value, cast_tensor(Tensor::scalar<float>(1.0f), dtype));
  OCTET_ASSIGN(Tensor out, Tensor::create(dtype, x.dims()));
  return dispatch_size(dtype, [&]<class T>() -> OpResult {
    std::fill_n(out.data<T>(), out.numel(), T{0});
    if (out.numel() == 0) return std::vector<Tensor>{out};
    for (int64_t r = std::max<int64_t>(0, -k); r < rows && r + k < columns; ++r)
      out.data<T>()[r * columns + r + k] = one_value.data<T>()[0];
    return std::vector<Tensor>{out};
  });
}

// ceil((limit - start) / delta), at least 0; exact for integers.
template <class T>
Result<int64_t> range_length(T start, T limit, T delta) {
  if (delta == T{0}) return invalid_argument("the step of Range is 0");
  if constexpr (std::is_floating_point_v<T>) {
    const double n =
        std::ceil((static_cast<double>(limit) - static_cast<double>(start)) / static_cast<double>(delta));
    if (!(n < 9e18)) return invalid_argument("Range has no finite length");
    return std::max<int64_t>(0, static_cast<int64_t>(std::max(n, 0.0)));
  } else {
    const bool up = delta > 0;
    if (up ? start >= limit : start <= limit) return int64_t{0};
    const uint64_t span = up ? static_cast<uint64_t>(limit) - static_cast<uint64_t>(start)
                             : static_cast<uint64_t>(start) - static_cast<uint64_t>(limit);
    const uint64_t step = up ? static_cast<uint64_t>(delta) : uint64_t{0} - static_cast<uint64_t>(delta);
    const uint64_t n = (span - 1) / step + 1;
    if (n > static_cast<uint64_t>(INT64_MAX)) return resource_limit("Range is too long");
    return static_cast<int64_t>(n);
  }
}

OpResult range_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 3));
  OCTET_RETURN_IF_ERROR(need_same_dtype(args));
  for (size_t i = 0; i < 3; ++i)
    if (args.in(i).numel() != 1) return invalid_argument("start, limit and delta must be single numbers");
  return dispatch_numeric(args.in(0).dtype(), [&]<class T>() -> OpResult {
    const T start = args.in(0).data<T>()[0];
    const T delta = args.in(2).data<T>()[0];
    OCTET_ASSIGN(const int64_t n, range_length(start, args.in(1).data<T>()[0], delta));
    OCTET_ASSIGN(Tensor out, Tensor::create(args.in(0).dtype(), {n}));
    for (int64_t i = 0; i < n; ++i) out.data<T>()[i] = wrap_add(start, wrap_mul(static_cast<T>(i), delta));
    return std::vector<Tensor>{out};
  });
}

// The size that the axis of classes gets; any numeric type.
Result<int64_t> one_hot_depth(const Tensor& depth) {
  if (depth.numel() != 1) return invalid_argument("depth must be one number");
  OCTET_ASSIGN(const Tensor wide, cast_tensor(depth, DType::kInt64));
  const int64_t n = wide.data<int64_t>()[0];
  if (n < 1) return invalid_argument("depth " + std::to_string(n) + " must be positive");
  return n;
}

// Indices in [-depth, depth) name a class; all others give a row of "off".
OpResult one_hot_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 3));
  const Tensor& values = args.in(2);
  if (values.numel() != 2) return invalid_argument("values must be [off, on]");
  OCTET_ASSIGN(const int64_t depth, one_hot_depth(args.in(1)));
  OCTET_ASSIGN(const Tensor indices, cast_tensor(args.in(0), DType::kInt64));
  OCTET_ASSIGN(const int64_t axis, normalize_axis(args.node.attr_int("axis", -1), indices.rank() + 1));
  Dims dims = indices.dims();
  dims.insert(dims.begin() + axis, depth);
  OCTET_ASSIGN(Tensor out, Tensor::create(values.dtype(), dims));
  if (out.numel() == 0) return std::vector<Tensor>{out};
  const int64_t inner = product(indices.dims(), static_cast<size_t>(axis), indices.dims().size());
  return dispatch_size(values.dtype(), [&]<class T>() -> OpResult {
    std::fill_n(out.data<T>(), out.numel(), values.data<T>()[0]);
    for (int64_t i = 0; i < indices.numel(); ++i) {
      const int64_t index = indices.data<int64_t>()[i];
      if (index < -depth || index >= depth) continue;
      const int64_t cls = index < 0 ? index + depth : index;
      out.data<T>()[((i / inner) * depth + cls) * inner + i % inner] = values.data<T>()[1];
    }
    return std::vector<Tensor>{out};
  });
}

// [rank, count]: one column of coordinates for each element that is not zero, in row-major order.
OpResult non_zero_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  OCTET_ASSIGN(const Tensor mask, cast_tensor(args.in(0), DType::kBool));
  std::vector<int64_t> found;
  for (int64_t i = 0; i < mask.numel(); ++i)
    if (mask.data<uint8_t>()[i] != 0) found.push_back(i);
  const auto count = static_cast<int64_t>(found.size());
  const Dims strides = row_major_strides(mask.dims());
  OCTET_ASSIGN(Tensor out, Tensor::create(DType::kInt64, {mask.rank(), count}));
  int64_t* dst = out.data<int64_t>();
  for (int d = 0; d < mask.rank(); ++d)
    for (int64_t i : found) *dst++ = i / strides[static_cast<size_t>(d)] % mask.dim(d);
  return std::vector<Tensor>{out};
}

// Keeps column - row >= k (upper) or <= k (lower) of each matrix; the rest becomes 0.
OpResult trilu_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  if (x.rank() < 2) return invalid_argument("the input must hold matrices but has shape " + dims_to_string(x.dims()));
  int64_t k = 0;
  if (args.has(1)) {
    OCTET_ASSIGN(k, int_scalar_input(args, 1));
  }
  const bool upper = args.node.attr_int("upper", 1) != 0;
  OCTET_ASSIGN(Tensor out, Tensor::create(x.dtype(), x.dims()));
  if (out.numel() == 0) return std::vector<Tensor>{out};
  const int64_t rows = x.dim(-2), columns = x.dim(-1);
  return dispatch_size(x.dtype(), [&]<class T>() -> OpResult {
    for (int64_t i = 0; i < x.numel(); ++i) {
      const int64_t diagonal = i % columns - i / columns % rows;
      const bool keep = upper ? diagonal >= k : diagonal <= k;
      out.data<T>()[i] = keep ? x.data<T>()[i] : T{0};
    }
    return std::vector<Tensor>{out};
  });
}

// Range needs its numbers widened as a group.
OpResult range_any_width(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 3));
  return is_half(args.in(0).dtype()) ? via_float32(args, range_op, args.in(0).dtype()) : range_op(args);
}

constexpr RefOpEntry kOps[] = {
    {"Constant", constant_op}, {"ConstantOfShape", constant_of_shape_op},
    {"EyeLike", eye_like_op},  {"NonZero", non_zero_op},
    {"OneHot", one_hot_op},    {"Range", range_any_width},
    {"Trilu", trilu_op},
};

}  // namespace

std::span<const RefOpEntry> generate_ops() { return kOps; }

}  // namespace octet
