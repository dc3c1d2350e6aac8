#include "training/op.h"

#include <algorithm>
#include <map>
#include <set>

#include "arith/float_formats.h"
#include "interp/interpreter.h"
#include "training/module.h"

namespace octet::training {

const at::Tensor& Call::in(size_t i) const {
  if (!has(i)) fail(invalid_argument("its input " + std::to_string(i) + " is missing"));
  return inputs[i];
}

std::vector<int64_t> Call::ints(size_t i) const {
  if (!has(i)) return {};
  const at::Tensor host = inputs[i].detach().to(at::kCPU, at::kLong).contiguous().reshape({-1});
  const auto* data = host.data_ptr<int64_t>();
  return {data, data + host.numel()};
}

std::vector<int64_t> Call::ints(size_t i, const char* attribute, bool* found) const {
  if (found != nullptr) *found = has(i) || node.attributes.count(attribute) != 0;
  return has(i) ? ints(i) : node.attr_ints(attribute);
}

double Call::number(size_t i) const {
  if (i < constants.size() && constants[i] != nullptr && constants[i]->dtype() == DType::kFloat32 &&
      constants[i]->numel() == 1)
    return static_cast<double>(*constants[i]->data<float>());
  const at::Tensor& t = in(i);
  if (t.numel() != 1) fail(invalid_argument("its input " + std::to_string(i) + " must be a single number"));
  return t.detach().to(at::kCPU, at::kDouble).item<double>();
}

int64_t wrap_axis(int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= std::max<int64_t>(rank, 1))
    fail(invalid_argument("axis " + std::to_string(axis) + " is outside a tensor of " + std::to_string(rank) +
                          " dimensions"));
  return axis < 0 ? axis + rank : axis;
}

int64_t Call::axis(int64_t fallback, int64_t rank) const { return wrap_axis(node.attr_int("axis", fallback), rank); }

std::vector<int64_t> dims_of(const at::Tensor& t) { return t.sizes().vec(); }

namespace {

// Constants and comparisons whose inputs or results are integers, booleans or piecewise constant.
const std::set<std::string_view> kReferenceOps = {"And",
                                                  "ArgMax",
                                                  "ArgMin",
                                                  "Constant",
                                                  "ConstantOfShape",
                                                  "DequantizeLinear",
                                                  "EyeLike",
                                                  "IsInf",
                                                  "Hardmax",
                                                  "NonMaxSuppression",
                                                  "NonZero",
                                                  "Not",
                                                  "OneHot",
                                                  "Or",
                                                  "Range",
                                                  "Xor"};

std::map<std::string_view, TorchOp> registry() {
  std::map<std::string_view, TorchOp> ops;
  for (const auto& family : {elementwise_ops(), activation_ops(), reduce_ops(), linear_ops(), window_ops(),
                             norm_ops(), movement_ops(), index_ops(), resize_ops()})
    for (const TorchOpEntry& entry : family) ops.emplace(entry.op_type, entry.run);
  return ops;
}

const std::map<std::string_view, TorchOp>& ops() {
  static const std::map<std::string_view, TorchOp> kOps = registry();
  return kOps;
}

Tensor host_copy(const at::Tensor& t) {
  at::Tensor host = t.detach().to(at::kCPU);
  if (host.scalar_type() == at::kDouble) host = host.to(at::kFloat);
  return need(from_torch(host.contiguous()));
}

}  // namespace

TorchOp find_torch_op(std::string_view op_type) {
  const auto it = ops().find(op_type);
  return it == ops().end() ? nullptr : it->second;
}

std::vector<std::string_view> all_torch_ops() {
  std::vector<std::string_view> names;
  for (const auto& [name, run] : ops()) names.push_back(name);
  return names;
}

bool is_reference_op(std::string_view op_type) { return kReferenceOps.count(op_type) != 0; }

std::vector<at::Tensor> run_reference(const Call& call) {
  std::vector<Tensor> copies(call.inputs.size());
  std::vector<const Tensor*> pointers(call.inputs.size(), nullptr);
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    if (!call.has(i)) continue;
    copies[i] = host_copy(call.inputs[i]);
    pointers[i] = &copies[i];
  }
  std::vector<at::Tensor> outputs;
  for (const Tensor& t : need(run_node(call.node, call.opset, pointers))) {
    if (!t.defined()) {
      outputs.emplace_back();
      continue;
    }
    at::Tensor result = need(to_torch(t));
    if (t.dtype() == DType::kFloat32) result = result.to(call.device, call.dtype);
    outputs.push_back(result);
  }
  return outputs;
}

at::Tensor source_indices(const Call& call) {
  Call on_indices = call;
  const at::Tensor& x = call.in(0);
  on_indices.inputs[0] = at::arange(x.numel(), at::kLong).reshape(x.sizes());
  on_indices.wanted = {true};
  return run_reference(on_indices)[0].to(x.device());
}

namespace {

struct TypePair {
  DType ours;
  at::ScalarType theirs;
};
constexpr TypePair kTypes[] = {
    {DType::kFloat32, at::kFloat}, {DType::kFloat64, at::kDouble},    {DType::kFloat16, at::kHalf},
    {DType::kInt8, at::kChar},     {DType::kBFloat16, at::kBFloat16}, {DType::kUint8, at::kByte},
    {DType::kInt16, at::kShort},   {DType::kInt32, at::kInt},         {DType::kInt64, at::kLong},
    {DType::kBool, at::kBool},
};

}  // namespace

Result<at::Tensor> to_torch(const Tensor& tensor) {
  for (const TypePair& pair : kTypes)
    if (pair.ours == tensor.dtype()) {
      at::Tensor out = at::empty(tensor.dims(), at::TensorOptions(pair.theirs));
      if (tensor.nbytes() > 0) std::memcpy(out.data_ptr(), tensor.raw(), static_cast<size_t>(tensor.nbytes()));
      return out;
    }
  return unsupported(std::string("LibTorch has no tensors of type ") + dtype_name(tensor.dtype()));
}

Result<Tensor> from_torch(const at::Tensor& tensor) {
  for (const TypePair& pair : kTypes)
    if (pair.theirs == tensor.scalar_type()) {
      const at::Tensor host = tensor.detach().to(at::kCPU).contiguous();
      OCTET_ASSIGN(Tensor out, Tensor::create(pair.ours, host.sizes().vec()));
      if (out.nbytes() > 0) std::memcpy(out.raw(), host.data_ptr(), static_cast<size_t>(out.nbytes()));
      return out;
    }
  return unsupported(std::string("Octet has no tensors of LibTorch's type ") + c10::toString(tensor.scalar_type()));
}

}  // namespace octet::training
