// ONNX Pad: constant, edge, reflect and wrap; negative pads crop.
#include <cstring>

#include "kernels/ref/loops.h"
#include "kernels/ref/op_lists.h"
#include "kernels/ref/support.h"

namespace octet {
namespace {

struct PadSpec {
  std::vector<int64_t> begin, end;  // one per axis of the input
};

Result<PadSpec> pad_spec(const OpArgs& args) {
  const int64_t rank = args.in(0).rank();
  bool found = false;
  OCTET_ASSIGN(const std::vector<int64_t> pads, int_list_of(args, 1, "pads", found));
  std::vector<int64_t> axes;
  if (args.has(3)) {  // since opset 18
    OCTET_ASSIGN(axes, int_list_input(args, 3));
    OCTET_RETURN_IF_ERROR(normalize_axes(axes, rank).status());
  } else {
    for (int64_t d = 0; d < rank; ++d) axes.push_back(d);
  }
  if (!found || pads.size() != 2 * axes.size())
    return invalid_argument("pads needs a begin and an end for each of " + std::to_string(axes.size()) +
                            " axes but has " + std::to_string(pads.size()) + " numbers");
  PadSpec spec{std::vector<int64_t>(static_cast<size_t>(rank), 0),
               std::vector<int64_t>(static_cast<size_t>(rank), 0)};
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(axes[i] < 0 ? axes[i] + rank : axes[i]);
    spec.begin[axis] = pads[i];
    spec.end[axis] = pads[axes.size() + i];
  }
  return spec;
}

int64_t floor_mod(int64_t a, int64_t b) { return (a % b + b) % b; }

constexpr int64_t kFill = -1;

// Where output position i of an axis of `size` elements comes from, or kFill.
int64_t pad_source(const std::string& mode, int64_t i, int64_t size) {
  if (i >= 0 && i < size) return i;
  if (mode == "edge") return i < 0 ? 0 : size - 1;
  if (mode == "wrap") return floor_mod(i, size);
  if (mode == "reflect") {  // mirrored about the first and the last element, as often as it takes
    if (size == 1) return 0;
    const int64_t period = 2 * (size - 1);
    const int64_t at = floor_mod(i, period);
    return at < size ? at : period - at;
  }
  return kFill;
}

// Per axis and output position, the offset into the source in elements, or kFill.
std::vector<std::vector<int64_t>> source_offsets(const Tensor& x, const Dims& dims, const PadSpec& spec,
                                                 const std::string& mode) {
  const Dims strides = row_major_strides(x.dims());
  std::vector<std::vector<int64_t>> offsets(dims.size());
  for (size_t d = 0; d < dims.size(); ++d)
    for (int64_t i = 0; i < dims[d]; ++i) {
      const int64_t from = pad_source(mode, i - spec.begin[d], x.dims()[d]);
      offsets[d].push_back(from == kFill ? kFill : from * strides[d]);
    }
  return offsets;
}

template <class T>
void pad_into(const Tensor& x, Tensor& out, const std::vector<std::vector<int64_t>>& offsets, T fill) {
  const size_t rank = offsets.size();
  T* dst = out.data<T>();
  const T* src = x.data<T>();
  std::vector<size_t> index(rank, 0);
  for (int64_t n = 0; n < out.numel(); ++n) {
    int64_t from = 0;
    for (size_t d = 0; d < rank && from != kFill; ++d) {
      const int64_t part = offsets[d][index[d]];
      from = part == kFill ? kFill : from + part;
    }
    dst[n] = from == kFill ? fill : src[from];
    for (size_t d = rank; d-- > 0;) {
      if (++index[d] < offsets[d].size()) break;
      index[d] = 0;
    }
  }
}

// The constant: input 2 since opset 11, attribute `value` before; zero when absent.
template <class T>
Result<T> fill_value(const OpArgs& args) {
  const Tensor& x = args.in(0);
  T fill = 0;
  if (args.has(2)) {
    if (args.in(2).dtype() != x.dtype() || args.in(2).numel() != 1)
      return invalid_argument("the constant must be one number of the input's type");
    fill = args.in(2).data<T>()[0];
  } else if (x.dtype() == DType::kFloat32) {
    const float value = args.node.attr_float("value", 0.0f);
    std::memcpy(&fill, &value, std::min(sizeof fill, sizeof value));
  }
  return fill;
}

Result<Dims> padded_dims(const Tensor& x, const PadSpec& spec, bool constant) {
  Dims dims = x.dims();
  for (size_t d = 0; d < dims.size(); ++d) {
    const int64_t size = dims[d];
    if (__builtin_add_overflow(dims[d], spec.begin[d], &dims[d]) ||
        __builtin_add_overflow(dims[d], spec.end[d], &dims[d]) || dims[d] < 0)
      return invalid_argument("pads " + std::to_string(spec.begin[d]) + " and " + std::to_string(spec.end[d]) +
                              " are impossible for axis " + std::to_string(d) + " of " + dims_to_string(x.dims()));
    if (size == 0 && dims[d] > 0 && !constant)
      return invalid_argument("axis " + std::to_string(d) + " is empty: there is nothing to repeat in the padding");
  }
  return dims;
}

OpResult pad_op(const OpArgs& args) {
  OCTET_RETURN_IF_ERROR(need_inputs(args, 1));
  const Tensor& x = args.in(0);
  const std::string mode = args.node.attr_string("mode", "constant");
  if (mode != "constant" && mode != "edge" && mode != "reflect" && mode != "wrap")
    return unsupported("mode '" + mode + "' is not known; use 'constant', 'edge', 'reflect' or 'wrap'");
  OCTET_ASSIGN(const PadSpec spec, pad_spec(args));
  OCTET_ASSIGN(const Dims dims, padded_dims(x, spec, mode == "constant"));
  OCTET_ASSIGN(Tensor out, Tensor::create(x.dtype(), dims));
  if (out.numel() == 0) return std::vector<Tensor>{out};
  return dispatch_size(x.dtype(), [&]<class T>() -> OpResult {
    OCTET_ASSIGN(const T fill, fill_value<T>(args));
    pad_into<T>(x, out, source_offsets(x, dims, spec, mode), fill);
    return std::vector<Tensor>{out};
  });
}

constexpr RefOpEntry kOps[] = {{"Pad", pad_op}};

}  // namespace

std::span<const RefOpEntry> data_movement_pad_ops() { return kOps; }

}  // namespace octet
