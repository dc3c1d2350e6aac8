#include "graph/infer/elementwise.h"

#include <algorithm>

#include "graph/infer/follow.h"
#include "graph/onnx_dtype.h"

namespace octet {
namespace {

// ONNX Div on integers truncates towards zero; sizes are not negative, so for symbols that is the floor.
MaybeInt divide(const MaybeInt& a, const MaybeInt& b, DType dtype, SymbolTable& symbols) {
  if (!a || !b) return std::nullopt;
  if (MaybeInt exact = sym_div_exact(a, b)) return exact;
  if (dtype_is_float(dtype) || !b->is_constant() || b->constant() == 0) return std::nullopt;
  if (!a->is_constant()) return symbols.floor_div(a, b->constant());
  if (b->constant() == -1) return sym_sub(MaybeInt(SymInt(0)), a);
  return SymInt(a->constant() / b->constant());
}

MaybeInt modulo(const MaybeInt& a, const MaybeInt& b, bool like_c) {
  if (!a || !b || !a->is_constant() || !b->is_constant() || b->constant() == 0 || b->constant() == -1)
    return std::nullopt;
  const int64_t r = a->constant() % b->constant();
  return SymInt(!like_c && r != 0 && (r < 0) != (b->constant() < 0) ? r + b->constant() : r);
}

// max(a, b), or min(a, b) with want = -1.
MaybeInt extreme(const MaybeInt& a, const MaybeInt& b, int want) {
  if (a && b && *a == *b) return a;
  const auto sign = sign_of_difference(a, b);
  if (!sign) return std::nullopt;
  return *sign == want ? a : b;
}

MaybeInt fold(const std::vector<MaybeInt>& v, const std::function<MaybeInt(const MaybeInt&, const MaybeInt&)>& fn) {
  if (v.empty()) return std::nullopt;
  MaybeInt total = v[0];
  for (size_t i = 1; i < v.size(); ++i) total = fn(total, v[i]);
  return total;
}

MaybeInt truth(std::optional<bool> known) { return known ? MaybeInt(SymInt(*known ? 1 : 0)) : std::nullopt; }

std::optional<bool> compare(const std::string& op_type, const MaybeInt& a, const MaybeInt& b) {
  const auto sign = sign_of_difference(a, b);
  if (!sign) return std::nullopt;
  if (op_type == "Equal") return *sign == 0;
  if (op_type == "Greater") return *sign > 0;
  if (op_type == "GreaterOrEqual") return *sign >= 0;
  return op_type == "Less" ? *sign < 0 : *sign <= 0;
}

std::optional<bool> is_true(const MaybeInt& v) {
  if (!v || !v->is_constant()) return std::nullopt;
  return v->constant() != 0;
}

MaybeInt combine(const std::string& op_type, const std::vector<MaybeInt>& v) {
  const auto a = is_true(v[0]);
  if (op_type == "Not") return truth(a ? std::optional(!*a) : std::nullopt);
  const auto b = is_true(v[1]);
  if (op_type == "And" && ((a && !*a) || (b && !*b))) return SymInt(0);
  if (op_type == "Or" && ((a && *a) || (b && *b))) return SymInt(1);
  if (!a || !b) return std::nullopt;
  return truth(op_type == "And" ? *a && *b : op_type == "Or" ? *a || *b : *a != *b);
}

MaybeInt arithmetic(OpInference& op, DType dtype, const std::vector<MaybeInt>& v) {
  const std::string& type = op.node.op_type;
  if (type == "Sub") return sym_sub(v[0], v[1]);
  if (type == "Div") return divide(v[0], v[1], dtype, op.symbols);
  if (type == "Mod") return modulo(v[0], v[1], op.node.attr_int("fmod", 0) != 0);
  if (type == "Mul") return sym_mul(v[0], v[1]);
  if (type == "Max") return fold(v, [](const MaybeInt& a, const MaybeInt& b) { return extreme(a, b, 1); });
  if (type == "Min") return fold(v, [](const MaybeInt& a, const MaybeInt& b) { return extreme(a, b, -1); });
  if (type == "Add" || type == "Sum")
    return fold(v, [](const MaybeInt& a, const MaybeInt& b) { return sym_add(a, b); });
  return std::nullopt;
}

Status cast_to(OpInference& op, DType to) {
  op.set(0, to, shape_of(op, 0));
  auto values = op.values(0);
  if (!values) return Status::ok();
  if (to == DType::kBool)
    for (MaybeInt& e : values->elements) e = truth(is_true(e));
  op.set_values(0, std::move(values));
  return Status::ok();
}

}  // namespace

Status infer_same(OpInference& op) {
  op.set(0, op.dtype(0), shape_of(op, 0));
  return Status::ok();
}

Status infer_identity(OpInference& op) {
  op.set_values(0, op.values(0));
  return infer_same(op);
}

Status infer_negate(OpInference& op) {
  op.set_values(
      0, follow_elementwise(op, [](const std::vector<MaybeInt>& v) { return sym_sub(MaybeInt(SymInt(0)), v[0]); }));
  return infer_same(op);
}

Status infer_arithmetic(OpInference& op) {
  OCTET_ASSIGN(const DType dtype, common_dtype(op, 0, op.input_count()));
  OCTET_ASSIGN(MaybeShape shape, broadcast_inputs(op, 0, op.input_count()));
  op.set(0, dtype, std::move(shape));
  op.set_values(0, follow_elementwise(op, [&](const std::vector<MaybeInt>& v) { return arithmetic(op, dtype, v); }));
  return Status::ok();
}

Status infer_pow(OpInference& op) {
  OCTET_ASSIGN(MaybeShape shape, broadcast_inputs(op, 0, op.input_count()));
  op.set(0, op.dtype(0), std::move(shape));
  return Status::ok();
}

Status infer_compare(OpInference& op) {
  OCTET_RETURN_IF_ERROR(common_dtype(op, 0, op.input_count()).status());
  OCTET_ASSIGN(MaybeShape shape, broadcast_inputs(op, 0, op.input_count()));
  op.set(0, DType::kBool, std::move(shape));
  op.set_values(0, follow_elementwise(op, [&](const std::vector<MaybeInt>& v) {
                  return truth(compare(op.node.op_type, v[0], v[1]));
                }));
  return Status::ok();
}

Status infer_logic(OpInference& op) {
  OCTET_ASSIGN(const DType dtype, common_dtype(op, 0, op.input_count()));
  if (dtype != DType::kUndefined && dtype != DType::kBool)
    return invalid_argument(std::string("it works on bool, but the inputs are ") + dtype_name(dtype));
  OCTET_ASSIGN(MaybeShape shape, broadcast_inputs(op, 0, op.input_count()));
  op.set(0, DType::kBool, std::move(shape));
  op.set_values(0,
                follow_elementwise(op, [&](const std::vector<MaybeInt>& v) { return combine(op.node.op_type, v); }));
  return Status::ok();
}

Status infer_is_special(OpInference& op) {
  op.set(0, DType::kBool, shape_of(op, 0));
  return Status::ok();
}

Status infer_where(OpInference& op) {
  const DType condition = op.dtype(0);
  if (condition != DType::kUndefined && condition != DType::kBool)
    return invalid_argument(std::string("the condition must be bool, but it is ") + dtype_name(condition));
  OCTET_ASSIGN(const DType dtype, common_dtype(op, 1, op.input_count()));
  OCTET_ASSIGN(MaybeShape shape, broadcast_inputs(op, 0, op.input_count()));
  op.set(0, dtype, std::move(shape));
  op.set_values(0, follow_elementwise(op, [](const std::vector<MaybeInt>& v) -> MaybeInt {
                  const auto pick_first = is_true(v[0]);
                  if (pick_first) return *pick_first ? v[1] : v[2];
                  return v[1] && v[2] && *v[1] == *v[2] ? v[1] : std::nullopt;
                }));
  return Status::ok();
}

Status infer_prelu(OpInference& op) {
  OCTET_ASSIGN(const DType dtype, common_dtype(op, 0, op.input_count()));
  OCTET_ASSIGN(const MaybeShape both, broadcast_inputs(op, 0, op.input_count()));
  const Shape* x = op.shape(0);
  if (both && both->size() > x->size()) return invalid_argument("the slope has a higher rank than the input");
  for (size_t i = 0; both && i < both->size(); ++i)
    if ((*x)[i] == Dim::of(1) && (*both)[i].is_static() && (*both)[i] != (*x)[i])
      return invalid_argument("the slope does not broadcast to the shape of the input");
  op.set(0, dtype, shape_of(op, 0));
  return Status::ok();
}

Status infer_cast(OpInference& op) {
  const int64_t to = op.node.attr_int("to", 0);
  const DType dtype = dtype_from_onnx(to);
  if (dtype == DType::kUndefined)
    return unsupported("attribute 'to' asks for ONNX type " + std::to_string(to) + ", which Octet does not hold");
  return cast_to(op, dtype);
}

Status infer_cast_like(OpInference& op) { return cast_to(op, op.dtype(1)); }

Status infer_dropout(OpInference& op) {
  op.set(1, DType::kBool, shape_of(op, 0));
  return infer_same(op);
}

}  // namespace octet
