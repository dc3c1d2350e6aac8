#include "kernels/ref/support.h"

#include <algorithm>

#include "arith/float_formats.h"
#include "graph/onnx_dtype.h"

namespace octet {

OpResult one(Result<Tensor> tensor) {
  if (!tensor.is_ok()) return tensor.status();
  return std::vector<Tensor>{std::move(tensor).value()};
}

Status need_inputs(const OpArgs& args, size_t count) {
  for (size_t i = 0; i < count; ++i)
    if (!args.has(i))
      return invalid_argument("input " + std::to_string(i) + " is missing; at least " + std::to_string(count) +
                              " inputs are required");
  return Status::ok();
}

Status need_same_dtype(const OpArgs& args) {
  const Tensor* first = nullptr;
  for (const Tensor* t : args.inputs) {
    if (t == nullptr) continue;
    if (first == nullptr) first = t;
    if (t->dtype() != first->dtype())
      return invalid_argument(std::string("inputs must have one type but are ") + dtype_name(first->dtype()) +
                              " and " + dtype_name(t->dtype()));
  }
  return Status::ok();
}

Status unsupported_dtype(DType dtype) {
  return unsupported(std::string("the type ") + dtype_name(dtype) + " is not supported here");
}

Result<DType> element_type(int64_t onnx_number) {
  const DType dtype = dtype_from_onnx(onnx_number);
  if (dtype == DType::kUndefined)
    return unsupported("element type number " + std::to_string(onnx_number) + " is not supported");
  return dtype;
}

Result<int64_t> normalize_axis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return invalid_argument("axis " + std::to_string(axis) + " is outside a tensor of rank " + std::to_string(rank));
  return axis < 0 ? axis + rank : axis;
}

Result<std::vector<int64_t>> normalize_axes(const std::vector<int64_t>& axes, int64_t rank) {
  std::vector<int64_t> out;
  for (int64_t axis : axes) {
    OCTET_ASSIGN(const int64_t a, normalize_axis(axis, rank));
    out.push_back(a);
  }
  std::sort(out.begin(), out.end());
  const auto twice = std::adjacent_find(out.begin(), out.end());
  if (twice != out.end()) return invalid_argument("axis " + std::to_string(*twice) + " is given twice");
  return out;
}

Result<std::vector<int64_t>> int_list_input(const OpArgs& args, size_t i) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  if (!args.has(i)) return invalid_argument("input " + std::to_string(i) + " is missing");
  if (args.in(i).rank() > 1)
    return invalid_argument("input " + std::to_string(i) + " must be a list but has shape " +
                            dims_to_string(args.in(i).dims()));
  return to_int64s(args.in(i)).at("input " + std::to_string(i));
}

Result<int64_t> int_scalar_input(const OpArgs& args, size_t i) {
  if (!args.has(i)) return invalid_argument("input " + std::to_string(i) + " is missing");
  if (args.in(i).numel() != 1)
    return invalid_argument("input " + std::to_string(i) + " must be one number but has shape " +
                            dims_to_string(args.in(i).dims()));
  OCTET_ASSIGN(const std::vector<int64_t> values, to_int64s(args.in(i)).at("input " + std::to_string(i)));
  return values[0];
}

Result<std::vector<int64_t>> int_list_of(const OpArgs& args, size_t i, const char* attribute, bool& found) {
  found = true;
  if (args.has(i)) return int_list_input(args, i);
  found = args.node.attributes.count(attribute) != 0;
  return args.node.attr_ints(attribute);
}

Dims row_major_strides(const Dims& dims) {
  Dims strides(dims.size());
  uint64_t stride = 1;
  for (size_t i = dims.size(); i-- > 0;) {
    strides[i] = static_cast<int64_t>(stride);
    stride *= static_cast<uint64_t>(dims[i]);
  }
  return strides;
}

int64_t product(const Dims& dims, size_t begin, size_t end) {
  uint64_t n = 1;
  for (size_t i = begin; i < end; ++i) n *= static_cast<uint64_t>(dims[i]);
  return static_cast<int64_t>(n);
}

bool is_half(DType dtype) { return dtype == DType::kFloat16 || dtype == DType::kBFloat16; }

OpResult via_float32(const OpArgs& args, RefOp op, DType result) {
  std::vector<Tensor> widened(args.inputs.size());
  OpArgs wide{args.node, args.opset, args.inputs};
  for (size_t i = 0; i < args.inputs.size(); ++i) {
    if (!args.has(i) || !is_half(args.in(i).dtype())) continue;
    OCTET_ASSIGN(widened[i], cast_tensor(args.in(i), DType::kFloat32));
    wide.inputs[i] = &widened[i];
  }
  OCTET_ASSIGN(std::vector<Tensor> outputs, op(wide));
  for (Tensor& t : outputs) {
    if (t.dtype() != DType::kFloat32) continue;
    OCTET_ASSIGN(t, cast_tensor(t, result));
  }
  return outputs;
}

}  // namespace octet
