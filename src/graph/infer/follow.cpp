#include "graph/infer/follow.h"

#include <algorithm>
#include <limits>

namespace octet {
namespace {

// Broadcast of static dims; nothing when they do not fit or there would be too many elements.
std::optional<Dims> broadcast_dims(const std::vector<SymTensor>& inputs) {
  Dims out;
  for (const SymTensor& t : inputs) {
    if (t.dims.size() > out.size()) out.insert(out.begin(), t.dims.size() - out.size(), 1);
    const size_t shift = out.size() - t.dims.size();
    for (size_t i = 0; i < t.dims.size(); ++i) {
      int64_t& o = out[i + shift];
      if (o == 1) o = t.dims[i];
      else if (t.dims[i] != 1 && t.dims[i] != o) return std::nullopt;
    }
  }
  const auto n = checked_numel(out);
  if (!n.is_ok() || n.value() > kMaxSymElements || out.size() > kMaxRank) return std::nullopt;
  return out;
}

size_t flat_index(const std::vector<int64_t>& index, const SymTensor& t, const Dims& strides) {
  const size_t shift = index.size() - t.dims.size();
  int64_t flat = 0;
  for (size_t i = 0; i < t.dims.size(); ++i)
    if (t.dims[i] != 1) flat += index[i + shift] * strides[i];
  return static_cast<size_t>(flat);
}

// The next index in row-major order; false after the last one.
bool advance(std::vector<int64_t>& index, const Dims& dims) {
  for (size_t i = dims.size(); i-- > 0;) {
    if (++index[i] < dims[i]) return true;
    index[i] = 0;
  }
  return false;
}

template <class T>
bool fits(int64_t v) {
  if constexpr (std::is_same_v<T, uint64_t>) return v >= 0;
  else return v >= std::numeric_limits<T>::min() && v <= std::numeric_limits<T>::max();
}

bool representable(int64_t v, DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kFloat64: return v >= -(int64_t{1} << 24) && v <= (int64_t{1} << 24);
    case DType::kInt8: return fits<int8_t>(v);
    case DType::kUint8: return fits<uint8_t>(v);
    case DType::kInt16: return fits<int16_t>(v);
    case DType::kUint16: return fits<uint16_t>(v);
    case DType::kInt32: return fits<int32_t>(v);
    case DType::kUint32: return fits<uint32_t>(v);
    case DType::kInt64: return true;
    case DType::kUint64: return fits<uint64_t>(v);
    case DType::kBool: return v == 0 || v == 1;
    default: return false;
  }
}

}  // namespace

Dims strides_of(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * std::max<int64_t>(dims[i], 1);
  return strides;
}

std::optional<SymTensor> follow_elementwise(const OpInference& op, const ElementFn& fn) {
  std::vector<SymTensor> inputs;
  for (size_t i = 0; i < op.input_count(); ++i) {
    auto v = op.values(i);
    if (!v) return std::nullopt;
    inputs.push_back(std::move(*v));
  }
  const auto dims = broadcast_dims(inputs);
  if (!dims) return std::nullopt;
  std::vector<Dims> strides;
  for (const SymTensor& t : inputs) strides.push_back(strides_of(t.dims));
  SymTensor out{*dims, {}};
  if (checked_numel(*dims).value() == 0) return out;
  std::vector<int64_t> index(dims->size(), 0);
  std::vector<MaybeInt> operands(inputs.size());
  do {
    for (size_t i = 0; i < inputs.size(); ++i)
      operands[i] = inputs[i].elements[flat_index(index, inputs[i], strides[i])];
    out.elements.push_back(fn(operands));
  } while (advance(index, *dims));
  return out;
}

std::optional<SymTensor> follow_gather(const SymTensor& data, const Dims& out_dims,
                                       const std::function<size_t(const std::vector<int64_t>&)>& source) {
  const auto n = checked_numel(out_dims);
  if (!n.is_ok() || n.value() > kMaxSymElements || out_dims.size() > kMaxRank) return std::nullopt;
  SymTensor out{out_dims, {}};
  if (n.value() == 0) return out;
  std::vector<int64_t> index(out_dims.size(), 0);
  do {
    const size_t flat = source(index);
    out.elements.push_back(flat < data.elements.size() ? data.elements[flat] : std::nullopt);
  } while (advance(index, out_dims));
  return out;
}

std::optional<int> sign_of_difference(const MaybeInt& a, const MaybeInt& b) {
  const MaybeInt d = sym_sub(a, b);
  if (!d) return std::nullopt;
  if (d->is_constant()) return d->constant() > 0 ? 1 : d->constant() < 0 ? -1 : 0;
  const auto& terms = d->terms();
  if (d->constant() > 0 && std::all_of(terms.begin(), terms.end(), [](const auto& t) { return t.second > 0; }))
    return 1;
  if (d->constant() < 0 && std::all_of(terms.begin(), terms.end(), [](const auto& t) { return t.second < 0; }))
    return -1;
  return std::nullopt;
}

void keep_representable(SymTensor& values, DType dtype) {
  // A symbolic element stands for a size, which is assumed to fit any type of 32 bits or more.
  const bool wide = dtype_size(dtype) >= 4 && representable(0, dtype);
  for (MaybeInt& e : values.elements)
    if (e && !(e->is_constant() ? representable(e->constant(), dtype) : wide)) e.reset();
}

}  // namespace octet
