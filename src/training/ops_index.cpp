// Operators that pick or place elements by an index tensor.
#include "interp/interpreter.h"
#include "training/op.h"

namespace octet::training {
namespace {

using Tensors = std::vector<at::Tensor>;

// Indices where the data is, counted from the front.
at::Tensor indices(const Call& c, size_t i, int64_t size) {
  const at::Tensor index = c.in(i).to(c.in(0).device(), at::kLong);
  return at::where(index < 0, index + size, index);
}

Tensors gather(const Call& c) {
  const at::Tensor& x = c.in(0);
  const int64_t axis = c.axis(0, x.dim());
  const at::Tensor index = indices(c, 1, x.size(axis));
  std::vector<int64_t> dims(x.sizes().begin(), x.sizes().begin() + axis);
  dims.insert(dims.end(), index.sizes().begin(), index.sizes().end());
  dims.insert(dims.end(), x.sizes().begin() + axis + 1, x.sizes().end());
  return {x.index_select(axis, index.reshape({-1})).reshape(dims)};
}

Tensors gather_elements(const Call& c) {
  const int64_t axis = c.axis(0, c.in(0).dim());
  return {at::gather(c.in(0), axis, indices(c, 1, c.in(0).size(axis)))};
}

Tensors gather_nd(const Call& c) {
  const at::Tensor from = source_indices(c);
  return {c.in(0).reshape({-1}).index_select(0, from.reshape({-1})).reshape(from.sizes())};
}

at::Tensor scattered(const Call& c, const at::Tensor& x, int64_t axis, const at::Tensor& index,
                     const at::Tensor& updates) {
  const std::string reduction = c.node.attr_string("reduction", "none");
  if (reduction == "none") return at::scatter(x, axis, index, updates);
  if (reduction == "add") return at::scatter_add(x, axis, index, updates);
  const char* name = reduction == "mul"   ? "prod"
                     : reduction == "max" ? "amax"
                     : reduction == "min" ? "amin"
                                          : nullptr;
  if (name == nullptr) fail(unsupported("reduction '" + reduction + "' is not known"));
  return at::scatter_reduce(x, axis, index, updates, name);
}

Tensors scatter_elements(const Call& c) {
  const int64_t axis = c.axis(0, c.in(0).dim());
  return {scattered(c, c.in(0), axis, indices(c, 1, c.in(0).size(axis)), c.in(2))};
}

// GatherND with the same indices tells where each update goes.
Tensors scatter_nd(const Call& c) {
  Node where = c.node;
  where.op_type = "GatherND";
  where.attributes.clear();
  where.inputs.resize(2);
  Call on_indices{where, c.opset, {c.inputs[0], c.inputs[1]}, {nullptr, nullptr}};
  on_indices.device = c.device;
  const at::Tensor to = source_indices(on_indices).reshape({-1});
  return {scattered(c, c.in(0).reshape({-1}), 0, to, c.in(2).reshape({-1})).reshape(c.in(0).sizes())};
}

// The reference chooses among equals; the values are read where it says.
Tensors top_k(const Call& c) {
  const at::Tensor index = run_reference(c)[1];
  const at::Tensor values = at::gather(c.in(0), c.axis(-1, c.in(0).dim()), index.to(c.in(0).device()));
  return {values, index};
}

constexpr TorchOpEntry kOps[] = {
    {"Gather", gather},        {"GatherElements", gather_elements},
    {"GatherND", gather_nd},   {"ScatterElements", scatter_elements},
    {"ScatterND", scatter_nd}, {"TopK", top_k},
};

}  // namespace

std::span<const TorchOpEntry> index_ops() { return kOps; }

}  // namespace octet::training
