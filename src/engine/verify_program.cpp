// Tensors, inputs, outputs and the order of operations; verify_operations.cpp and its neighbours check each
// operation.
#include <cmath>

#include "engine/verify_context.h"
#include "kernels/cpu/features.h"

namespace octet::engine {
namespace {

constexpr size_t kMostTensors = size_t{1} << 22;
constexpr size_t kMostRank = 16;

bool in_range(const Program& program, TensorId id) {
  return id >= 0 && static_cast<size_t>(id) < program.tensors.size();
}

Status verify_shape(const TensorInfo& t) {
  if (dtype_size(t.dtype) == 0) return data_corrupt("it has no type");
  if (t.dims.size() > kMostRank) return data_corrupt("it has too many dimensions");
  for (int64_t d : t.dims)
    if (d < 1) return data_corrupt("its shape " + dims_to_string(t.dims) + " has a size below 1");
  if (t.layout == Layout::kNhwc) {
    if (t.dims.size() != 4 || (t.dtype != DType::kUint8 && t.dtype != DType::kFloat32))
      return data_corrupt("only uint8 and float32 tensors of rank 4 can lie in N,H,W,C");
    for (int axis : {1, 2, 3})
      if (t.dims[static_cast<size_t>(axis)] > kMostSide) return data_corrupt("it is too large");
    if (t.pixel_stride < t.dims[1] || t.pixel_stride > kMostSide)
      return data_corrupt("its pixel stride " + std::to_string(t.pixel_stride) + " does not fit its channels");
  }
  if (tensor_bytes(t) > kMostBytes || element_count(t) > kMostBytes) return data_corrupt("it is too large");
  if (t.dtype == DType::kUint8 && (!std::isfinite(t.scale) || t.scale <= 0 || t.zero < 0 || t.zero > 255))
    return data_corrupt("its scale or zero point is out of range");
  return Status::ok();
}

// A slice of channels of the same pixels, or the same bytes in another shape.
Status verify_view(const Program& program, const TensorInfo& t) {
  const TensorInfo& parent = program.tensors[static_cast<size_t>(t.parent)];
  const auto size = static_cast<int64_t>(dtype_size(t.dtype));
  if (t.offset < 0 || t.offset > kMostBytes || t.offset % size != 0 ||
      dtype_size(parent.dtype) != dtype_size(t.dtype))
    return data_corrupt("its type or its offset in its parent is wrong");
  const bool same_pixels = t.layout == Layout::kNhwc && parent.layout == Layout::kNhwc && t.dtype == parent.dtype &&
                           t.pixel_stride == parent.pixel_stride && t.dims[0] == parent.dims[0] &&
                           t.dims[2] == parent.dims[2] && t.dims[3] == parent.dims[3];
  if (same_pixels && t.offset / size + t.dims[1] <= parent.dims[1]) return Status::ok();
  if (!is_dense(t) || !is_dense(parent)) return data_corrupt("it is no slice of its parent's channels");
  const int64_t bytes = tensor_bytes(t);
  const int64_t available = tensor_bytes(parent);
  // A batch moves everything but the very beginning.
  const bool fits = program.batched ? t.offset == 0 && bytes == available : t.offset <= available - bytes;
  return fits ? Status::ok() : data_corrupt("it does not lie inside its parent");
}

Status verify_arena(const Program& program, const TensorInfo& t) {
  if (t.offset < 0 || t.offset % 64 != 0) return data_corrupt("its place in the arena is not a multiple of 64");
  const int64_t bytes = tensor_bytes(t);
  if (bytes > program.arena_bytes || t.offset > program.arena_bytes - bytes)
    return data_corrupt("it lies outside of the arena");
  return Status::ok();
}

Status verify_border(const Program& program, std::vector<bool>& outside) {
  const auto check = [&](TensorId id, const char* what) {
    if (!in_range(program, id)) return data_corrupt("the list of " + std::string(what) + " names no tensor");
    const TensorInfo& t = program.tensors[static_cast<size_t>(id)];
    if (t.layout != Layout::kPlain) return data_corrupt("'" + t.name + "' is not row-major");
    if (program.batched && t.dims.empty()) return data_corrupt("'" + t.name + "' has no dimension for the batch");
    return Status::ok();
  };
  for (TensorId id : program.inputs) {
    OCTET_RETURN_IF_ERROR(check(id, "inputs"));
    if (program.tensors[static_cast<size_t>(id)].parent != kNoTensor || outside[static_cast<size_t>(id)])
      return data_corrupt("the input '" + program.tensors[static_cast<size_t>(id)].name +
                          "' is a view or listed twice");
    outside[static_cast<size_t>(id)] = true;
  }
  for (TensorId id : program.outputs) {
    OCTET_RETURN_IF_ERROR(check(id, "outputs"));
    if (program.tensors[static_cast<size_t>(id)].parent == kNoTensor) outside[static_cast<size_t>(id)] = true;
  }
  if (program.outputs.empty()) return data_corrupt("the program has no outputs");
  return Status::ok();
}

Status verify_tensors(const Program& program, std::vector<bool>& outside, std::vector<Place>& places) {
  if (program.tensors.size() > kMostTensors) return data_corrupt("the program has too many tensors");
  for (const TensorInfo& t : program.tensors) OCTET_RETURN_IF_ERROR(verify_shape(t).at("tensor '" + t.name + "'"));
  outside.assign(program.tensors.size(), false);
  OCTET_RETURN_IF_ERROR(verify_border(program, outside));
  for (size_t i = 0; i < program.tensors.size(); ++i) {
    const TensorInfo& t = program.tensors[i];
    const std::string who = "tensor '" + t.name + "'";
    places.push_back(place_of(program, static_cast<TensorId>(i)));
    if (places.back().root == kNoTensor) return data_corrupt("its parents are wrong").at(who);
    if (t.parent != kNoTensor) OCTET_RETURN_IF_ERROR(verify_view(program, t).at(who));
    else if (!outside[i]) OCTET_RETURN_IF_ERROR(verify_arena(program, t).at(who));
  }
  return Status::ok();
}

// "operation 7 (conv1 + relu1)"
std::string operation_place(const Program& program, size_t i) {
  const std::string& nodes = program.notes[i].nodes;
  const std::string name = operation_name(program.operations[i]);
  return "operation " + std::to_string(i) + " (" + name + (nodes.empty() ? "" : " " + nodes) + ")";
}

// Ids in range, nothing read before it is written, inputs never written.
class Order {
 public:
  Order(const Program& program, const std::vector<Place>& places)
      : program_(program), places_(places), is_input_(program.tensors.size()), written_(program.tensors.size()) {
    for (TensorId id : program.inputs) is_input_[static_cast<size_t>(id)] = written_[static_cast<size_t>(id)] = true;
  }

  Status check(const Operation& operation) {
    Status status;
    for_each_tensor(operation, [&](TensorId id, bool writes) {
      if (status.is_ok()) status = check(id, writes);
    });
    return status;
  }

  Status check(TensorId id, bool writes) {
    if (!in_range(program_, id))
      return data_corrupt("it refers to tensor " + std::to_string(id) + ", which does not exist");
    const auto root = static_cast<size_t>(places_[static_cast<size_t>(id)].root);
    const std::string& name = program_.tensors[static_cast<size_t>(id)].name;
    if (writes && is_input_[root]) return data_corrupt("it writes to the input '" + name + "'");
    if (writes) written_[root] = true;
    if (!written_[root]) return data_corrupt("it reads '" + name + "' before anything was written there");
    return Status::ok();
  }

 private:
  const Program& program_;
  const std::vector<Place>& places_;
  std::vector<bool> is_input_, written_;
};

Status verify_constants(const Program& program) {
  if (reinterpret_cast<uintptr_t>(program.constants.data()) % 64 != 0)
    return data_corrupt("the constants are not aligned to 64 bytes");
  if (program.arena_bytes < 0 || program.arena_bytes > kMostBytes) return data_corrupt("the arena's size is wrong");
  if (program.notes.size() != program.operations.size())
    return data_corrupt("the program has " + std::to_string(program.operations.size()) + " operations and " +
                        std::to_string(program.notes.size()) + " notes about them");
  return Status::ok();
}

}  // namespace

bool VerifyContext::overlap(TensorId a, TensorId b) const {
  const Place& pa = place(a);
  const Place& pb = place(b);
  const auto apart = [](int64_t begin_a, int64_t size_a, int64_t begin_b, int64_t size_b) {
    return begin_a + size_a <= begin_b || begin_b + size_b <= begin_a;
  };
  if (pa.root != pb.root) {
    if (is_outside(a) || is_outside(b)) return false;
    const TensorInfo& ra = tensor(pa.root);
    const TensorInfo& rb = tensor(pb.root);
    return !apart(ra.offset, tensor_bytes(ra), rb.offset, tensor_bytes(rb));
  }
  const TensorInfo& ta = tensor(a);
  const TensorInfo& tb = tensor(b);
  const auto size = static_cast<int64_t>(dtype_size(ta.dtype));
  const bool channels = ta.layout == Layout::kNhwc && tb.layout == Layout::kNhwc && ta.dtype == tb.dtype &&
                        ta.pixel_stride == tb.pixel_stride && pa.offset < ta.pixel_stride * size &&
                        pb.offset < tb.pixel_stride * size;
  if (channels) return !apart(pa.offset, ta.dims[1] * size, pb.offset, tb.dims[1] * size);
  return !apart(pa.offset, tensor_bytes(ta), pb.offset, tensor_bytes(tb));
}

bool VerifyContext::same_place(TensorId a, TensorId b) const {
  const Place& pa = place(a);
  const Place& pb = place(b);
  if (pa.offset != pb.offset || dtype_size(tensor(a).dtype) != dtype_size(tensor(b).dtype)) return false;
  if (!(is_dense(tensor(a)) && is_dense(tensor(b))) && tensor(a).pixel_stride != tensor(b).pixel_stride) return false;
  if (pa.root == pb.root) return true;
  return !is_outside(a) && !is_outside(b) && tensor(pa.root).offset == tensor(pb.root).offset;
}

Status VerifyContext::check_overlap(TensorId read, TensorId written, bool in_place) const {
  if (!overlap(read, written) || (in_place && same_place(read, written))) return Status::ok();
  return data_corrupt("it overwrites its input " + quoted(read) + " while it reads it");
}

Status verify_program(const Program& program) { return verify_program(program, cpu::cpu_features()); }

Status verify_program(const Program& program, uint32_t features) {
  OCTET_RETURN_IF_ERROR(verify_constants(program));
  std::vector<bool> outside;
  std::vector<Place> places;
  OCTET_RETURN_IF_ERROR(verify_tensors(program, outside, places));
  Order order(program, places);
  const VerifyContext context(program, places, outside, features);
  for (size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    Status status = order.check(operation);
    if (status.is_ok()) status = verify_operation(context, operation);
    if (!status.is_ok()) return status.at(operation_place(program, i));
  }
  for (TensorId id : program.outputs) OCTET_RETURN_IF_ERROR(order.check(id, false).at("the outputs"));
  return Status::ok();
}

}  // namespace octet::engine
