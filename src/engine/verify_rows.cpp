// Operations on row-major tensors: Softmax, LayerNormalization, Transpose, products of two activations.
#include <algorithm>
#include <cmath>

#include "engine/verify_context.h"
#include "kernels/cpu/matmul_ops.h"
#include "kernels/cpu/row_ops.h"

namespace octet::engine {
namespace {

Status expect(bool condition, const char* sentence) { return condition ? Status::ok() : data_corrupt(sentence); }

bool all_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

// The leading dimension may be that of the batch: a row must not be a part of it.
bool is_rows(const TensorInfo& t, DType dtype, size_t least_rank = 2) {
  return t.dtype == dtype && t.layout == Layout::kPlain && t.dims.size() >= least_rank;
}

// Rows of codes to rows of codes.
Status check_rows(const VerifyContext& c, TensorId src, TensorId dst, const std::vector<float>& real,
                  const cpu::Grid& grid) {
  const TensorInfo &from = c.tensor(src), &to = c.tensor(dst);
  OCTET_RETURN_IF_ERROR(
      expect(is_rows(from, DType::kUint8) && is_rows(to, DType::kUint8), "it does not turn rows of codes into such"));
  OCTET_RETURN_IF_ERROR(expect(from.dims == to.dims, "its shapes differ"));
  OCTET_RETURN_IF_ERROR(
      expect(real.size() == 256 && all_finite(real), "its codes do not stand for 256 finite numbers"));
  OCTET_RETURN_IF_ERROR(verify_grid(grid));
  return c.check_overlap(src, dst, true);
}

}  // namespace

Status verify_softmax(const VerifyContext& context, const SoftmaxOp& op) {
  OCTET_RETURN_IF_ERROR(check_rows(context, op.src, op.dst, op.real, op.grid));
  return expect(std::is_sorted(op.real.begin(), op.real.end()), "its greatest code does not stand for the most");
}

Status verify_layer_norm(const VerifyContext& context, const LayerNormOp& op) {
  OCTET_RETURN_IF_ERROR(check_rows(context, op.src, op.dst, op.real, op.grid));
  const auto length = static_cast<size_t>(context.tensor(op.src).dims.back());
  const bool fits = op.weight.size() == length && (op.bias.empty() || op.bias.size() == length);
  OCTET_RETURN_IF_ERROR(expect(fits, "its weights do not fit its rows"));
  return expect(all_finite(op.weight) && all_finite(op.bias) && std::isfinite(op.epsilon) && op.epsilon >= 0,
                "one of its weights is not a finite number");
}

Status verify_transpose(const VerifyContext& context, const TransposeOp& op) {
  const TensorInfo &src = context.tensor(op.src), &dst = context.tensor(op.dst);
  OCTET_RETURN_IF_ERROR(
      expect(is_rows(src, DType::kUint8) && is_rows(dst, DType::kUint8), "it does not turn rows of codes into such"));
  const size_t rank = src.dims.size();
  bool fits = rank <= cpu::kMostAxes && dst.dims.size() == rank && op.perm.size() == rank && op.perm[0] == 0;
  std::vector<bool> seen(rank, false);
  for (size_t d = 0; fits && d < rank; ++d) {
    const auto from = static_cast<size_t>(op.perm[d]);  // negative ones become too large
    fits = from < rank && !seen[from] && dst.dims[d] == src.dims[from];
    if (fits) seen[from] = true;
  }
  OCTET_RETURN_IF_ERROR(expect(fits, "its shapes do not follow from its permutation"));
  return context.check_overlap(op.src, op.dst, false);
}

Status verify_matmul(const VerifyContext& context, const MatMulOp& op) {
  const TensorInfo &a = context.tensor(op.a), &b = context.tensor(op.b), &dst = context.tensor(op.dst);
  const DType result = op.to_float ? DType::kFloat32 : DType::kUint8;
  OCTET_RETURN_IF_ERROR(
      expect(is_rows(a, DType::kUint8, 3) && is_rows(b, DType::kUint8, 3) && is_rows(dst, result, 3),
             "it does not multiply matrices of codes"));
  const size_t rank = a.dims.size();
  bool fits = b.dims.size() == rank && dst.dims.size() == rank;
  for (size_t d = 0; fits && d + 2 < rank; ++d) fits = a.dims[d] == b.dims[d] && a.dims[d] == dst.dims[d];
  fits = fits && a.dims[rank - 1] == b.dims[rank - 2] && a.dims[rank - 2] == dst.dims[rank - 2] &&
         b.dims[rank - 1] == dst.dims[rank - 1];
  OCTET_RETURN_IF_ERROR(expect(fits, "its shapes do not fit"));
  OCTET_RETURN_IF_ERROR(expect(a.dims.back() <= cpu::kMostTerms, "its sums do not fit in 32 bits"));
  OCTET_RETURN_IF_ERROR(verify_grid(op.grid));
  OCTET_RETURN_IF_ERROR(expect(std::isfinite(op.scale), "one of its scales is not a finite number"));
  OCTET_RETURN_IF_ERROR(context.check_overlap(op.a, op.dst, false));
  return context.check_overlap(op.b, op.dst, false);
}

}  // namespace octet::engine
