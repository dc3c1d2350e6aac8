#include "graph/infer/conv.h"
#include "graph/infer/window.h"

namespace octet {
namespace {

Result<MaybeShape> pool_shape(OpInference& op) {
  OCTET_RETURN_IF_ERROR(expect_rank(op, 0, 3));
  if (op.node.attr_ints("kernel_shape").empty()) return invalid_argument("attribute 'kernel_shape' is missing");
  const Shape* x = op.shape(0);
  if (x == nullptr) return MaybeShape();
  OCTET_ASSIGN(const Window window, read_window(op.node, x->size() - 2, {}));
  Shape out{(*x)[0], (*x)[1]};
  for (size_t i = 0; i < window.axes(); ++i) {
    OCTET_ASSIGN(Dim size, window_output(window, i, (*x)[i + 2], op.symbols));
    out.push_back(std::move(size));
  }
  return MaybeShape(out);
}

}  // namespace

Status infer_max_pool(OpInference& op) {
  OCTET_ASSIGN(MaybeShape shape, pool_shape(op));
  op.set(1, DType::kInt64, shape);
  op.set(0, op.dtype(0), std::move(shape));
  return Status::ok();
}

Status infer_average_pool(OpInference& op) {
  OCTET_ASSIGN(MaybeShape shape, pool_shape(op));
  op.set(0, op.dtype(0), std::move(shape));
  return Status::ok();
}

Status infer_global_pool(OpInference& op) {
  OCTET_RETURN_IF_ERROR(expect_rank(op, 0, 2));
  MaybeShape shape = shape_of(op, 0);
  for (size_t i = 2; shape && i < shape->size(); ++i) (*shape)[i] = Dim::of(1);
  op.set(0, op.dtype(0), std::move(shape));
  return Status::ok();
}

}  // namespace octet
