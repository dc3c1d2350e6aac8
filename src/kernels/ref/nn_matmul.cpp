// MatMul, MatMulInteger, Gemm.
#include <cmath>

#include "arith/float_formats.h"
#include "kernels/ref/nn_matmul_core.h"
#include "kernels/ref/nn_zero_point.h"
#include "kernels/ref/op_lists.h"

namespace octet {
namespace nn {
namespace {

struct MatMulShape {
  Dims a, b;  // of rank >= 2
  Dims batch;
  int64_t m = 0, k = 0, n = 0;
  Dims dst;  // as numpy has it, without the axes added to vectors
};

Result<MatMulShape> matmul_shape(const Dims& a, const Dims& b) {
  if (a.empty() || b.empty()) return invalid_argument("MatMul does not take scalars");
  MatMulShape s{a, b};
  if (a.size() == 1) s.a.insert(s.a.begin(), 1);
  if (b.size() == 1) s.b.push_back(1);
  s.m = s.a[s.a.size() - 2];
  s.k = s.a.back();
  s.n = s.b.back();
  if (s.b[s.b.size() - 2] != s.k)
    return invalid_argument("shapes " + dims_to_string(a) + " and " + dims_to_string(b) +
                            " cannot be multiplied: the inner sizes differ");
  OCTET_ASSIGN(s.batch, broadcast_dims({s.a.begin(), s.a.end() - 2}, {s.b.begin(), s.b.end() - 2}));
  s.dst = s.batch;
  if (a.size() > 1) s.dst.push_back(s.m);
  if (b.size() > 1) s.dst.push_back(s.n);
  return s;
}

// dst {m, n} += a {m, k} * b {k, n}
template <class T>
void multiply(int64_t m, int64_t k, int64_t n, const T* a, const T* b, T* dst) {
  for (int64_t i = 0; i < m; ++i)
    for (int64_t p = 0; p < k; ++p) {
      const T factor = a[i * k + p];
      for (int64_t j = 0; j < n; ++j) dst[i * n + j] += factor * b[p * n + j];
    }
}

// Which matrix of an operand belongs to each matrix of the result.
Result<Dims> matrix_of_batch(const Dims& operand, const Dims& batch) {
  OCTET_ASSIGN(const Dims strides, strides_within({operand.begin(), operand.end() - 2}, batch));
  Dims matrices;
  for_each_offset(batch, strides, [&](int64_t, int64_t offset) { matrices.push_back(offset); });
  return matrices;
}

template <class T>
Result<Tensor> multiply_batches(const MatMulShape& s, const Tensor& a, const Tensor& b) {
  OCTET_ASSIGN(Tensor dst, Tensor::create(a.dtype(), s.dst));
  if (dst.numel() == 0) return dst;
  std::fill_n(dst.data<T>(), dst.numel(), T{0});
  OCTET_RETURN_IF_ERROR(check_work({dst.numel(), s.k}));
  OCTET_ASSIGN(const Dims a_matrix, matrix_of_batch(s.a, s.batch));
  OCTET_ASSIGN(const Dims b_matrix, matrix_of_batch(s.b, s.batch));
  for (size_t i = 0; i < a_matrix.size(); ++i)
    multiply<T>(s.m, s.k, s.n, a.data<T>() + a_matrix[i] * s.m * s.k, b.data<T>() + b_matrix[i] * s.k * s.n,
                dst.data<T>() + static_cast<int64_t>(i) * s.m * s.n);
  return dst;
}

Status require_same_type(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  const DType dtype = args.in(0).dtype();
  if (args.in(1).dtype() != dtype)
    return invalid_argument(std::string("the inputs are ") + dtype_name(dtype) + " and " +
                            dtype_name(args.in(1).dtype()) + ", expected one type");
  if (is_real(dtype) || (dtype_is_integer(dtype) && dtype_size(dtype) >= 4)) return Status::ok();
  return unsupported(std::string("type ") + dtype_name(dtype) + ", expected floats or 32 or 64 bit integers");
}

// The type that products are summed in: exact modulo 2^64 for integers.
DType sum_type(DType dtype) { return dtype_is_integer(dtype) ? DType::kInt64 : DType::kFloat64; }

OpResult matmul(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_same_type(args));
  const DType dtype = args.in(0).dtype();
  OCTET_ASSIGN(const Tensor a, cast_tensor(args.in(0), sum_type(dtype)));
  OCTET_ASSIGN(const Tensor b, cast_tensor(args.in(1), sum_type(dtype)));
  OCTET_ASSIGN(const Tensor sums, matmul_tensors(a, b));
  OCTET_ASSIGN(Tensor dst, cast_tensor(sums, dtype));
  return std::vector<Tensor>{dst};
}

// ONNX: zero points are scalars, one per row of A, one per column of B, or tensors that broadcast.
OpResult matmul_integer(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 2));
  const int a_axis = args.in(0).rank() - 2;
  const int b_axis = args.in(1).rank() - 1;
  OCTET_ASSIGN(const Tensor a,
               subtract_zero_point(args.in(0), args.has(2) ? &args.in(2) : nullptr, a_axis, "a_zero_point"));
  OCTET_ASSIGN(const Tensor b,
               subtract_zero_point(args.in(1), args.has(3) ? &args.in(3) : nullptr, b_axis, "b_zero_point"));
  OCTET_ASSIGN(const Tensor sums, matmul_tensors(a, b));
  return wrap_to_int32(sums);
}

// A matrix of 8-byte elements, transposed when asked.
Result<Tensor> oriented(const Tensor& t, bool transpose) {
  if (!transpose) return t;
  OCTET_ASSIGN(Tensor out, Tensor::create(t.dtype(), {t.dim(1), t.dim(0)}));
  const int64_t columns = t.dim(1);
  for (int64_t i = 0; i < t.numel(); ++i)
    out.data<uint64_t>()[i % columns * t.dim(0) + i / columns] = t.data<uint64_t>()[i];
  return out;
}

// y = alpha * y + beta * c with c broadcast to y; T is double or uint64_t.
template <class T>
Status scale_and_add(T alpha, T beta, const Tensor* c, Tensor& y) {
  for (int64_t i = 0; i < y.numel(); ++i) y.data<T>()[i] *= alpha;
  if (c == nullptr) return Status::ok();
  OCTET_ASSIGN(const Dims strides, strides_within(c->dims(), y.dims()));
  for_each_offset(y.dims(), strides, [&](int64_t i, int64_t at) { y.data<T>()[i] += beta * c->data<T>()[at]; });
  return Status::ok();
}

Status finish_gemm(const Node& node, const Tensor* c, Tensor& y) {
  const float alpha = node.attr_float("alpha", 1.0F);
  const float beta = node.attr_float("beta", 1.0F);
  if (y.dtype() == DType::kFloat64)
    return scale_and_add<double>(static_cast<double>(alpha), static_cast<double>(beta), c, y);
  constexpr float kLargest = 16777216.0F;  // integers up to here are exact in float32
  for (float factor : {alpha, beta})
    if (factor != std::nearbyint(factor) || std::fabs(factor) > kLargest)
      return unsupported("alpha and beta must be whole numbers for integer matrices");
  return scale_and_add<uint64_t>(static_cast<uint64_t>(static_cast<int64_t>(alpha)),
                                 static_cast<uint64_t>(static_cast<int64_t>(beta)), c, y);
}

OpResult gemm(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(require_same_type(args));
  const DType dtype = args.in(0).dtype();
  if (args.in(0).rank() != 2 || args.in(1).rank() != 2)
    return invalid_argument("A of shape " + dims_to_string(args.in(0).dims()) + " and B of shape " +
                            dims_to_string(args.in(1).dims()) + " must be matrices");
  OCTET_ASSIGN(const Tensor a, cast_tensor(args.in(0), sum_type(dtype)));
  OCTET_ASSIGN(const Tensor b, cast_tensor(args.in(1), sum_type(dtype)));
  OCTET_ASSIGN(const Tensor left, oriented(a, args.node.attr_int("transA", 0) != 0));
  OCTET_ASSIGN(const Tensor right, oriented(b, args.node.attr_int("transB", 0) != 0));
  OCTET_ASSIGN(Tensor y, matmul_tensors(left, right));
  Tensor c;
  if (args.has(2)) {
    if (args.in(2).dtype() != dtype) return invalid_argument("C has another type than A and B");
    OCTET_ASSIGN(c, cast_tensor(args.in(2), sum_type(dtype)));
  }
  OCTET_RETURN_IF_ERROR(finish_gemm(args.node, c.defined() ? &c : nullptr, y));
  OCTET_ASSIGN(Tensor dst, cast_tensor(y, dtype));
  return std::vector<Tensor>{dst};
}

constexpr RefOpEntry kOps[] = {{"Gemm", gemm}, {"MatMul", matmul}, {"MatMulInteger", matmul_integer}};

}  // namespace

Result<Tensor> matmul_tensors(const Tensor& a, const Tensor& b) {
  OCTET_ASSIGN(const MatMulShape shape, matmul_shape(a.dims(), b.dims()));
  if (a.dtype() == DType::kInt64) return multiply_batches<uint64_t>(shape, a, b);  // unsigned: overflow is defined
  return multiply_batches<double>(shape, a, b);
}

}  // namespace nn

std::span<const RefOpEntry> nn_matmul_ops() { return nn::kOps; }

}  // namespace octet
