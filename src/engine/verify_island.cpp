#include "engine/verify_context.h"
#include "graph/shape_inference.h"
#include "graph/verify.h"

namespace octet::engine {
namespace {

Status check_side(const VerifyContext& context, const std::vector<TensorId>& tensors,
                  const std::vector<ValueId>& values, const Graph& graph) {
  if (tensors.size() != values.size()) return data_corrupt("its tensors are not those of its graph");
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i] == kNoTensor) return data_corrupt("one of its tensors is missing");
    const TensorInfo& t = context.tensor(tensors[i]);
    const Value& v = graph.value(values[i]);
    if (t.layout != Layout::kPlain) return data_corrupt(context.quoted(tensors[i]) + " is not row-major");
    if (v.dtype != DType::kUndefined && v.dtype != t.dtype)
      return data_corrupt(context.quoted(tensors[i]) + " is " + dtype_name(t.dtype) + ", but its graph has " +
                          dtype_name(v.dtype));
    if (v.shape && is_static(*v.shape) && to_dims(*v.shape) != t.dims)
      return data_corrupt(context.quoted(tensors[i]) + " has the shape " + dims_to_string(t.dims) +
                          ", but its graph has " + shape_to_string(*v.shape));
  }
  return Status::ok();
}

}  // namespace

Status verify_island(const VerifyContext& context, const IslandOp& op) {
  OCTET_RETURN_IF_ERROR(verify(op.graph));
  if (op.inputs.size() != op.graph.inputs.size()) return data_corrupt("its tensors are not those of its graph");
  std::map<std::string, Dims> dims;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    if (op.inputs[i] == kNoTensor) return data_corrupt("one of its tensors is missing");
    dims[op.graph.value(op.graph.inputs[i]).name] = context.tensor(op.inputs[i]).dims;
  }
  Graph graph = op.graph;
  OCTET_RETURN_IF_ERROR(infer_shapes(graph, dims));
  OCTET_RETURN_IF_ERROR(check_side(context, op.inputs, graph.inputs, graph));
  OCTET_RETURN_IF_ERROR(check_side(context, op.outputs, graph.outputs, graph));
  for (TensorId read : op.inputs)
    for (TensorId written : op.outputs) OCTET_RETURN_IF_ERROR(context.check_overlap(read, written, false));
  return Status::ok();
}

}  // namespace octet::engine
