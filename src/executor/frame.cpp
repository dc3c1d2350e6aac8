#include "executor/frame.h"

#include <algorithm>

#include "executor/layout.h"

namespace octet::exec {

bool layout_is_trivial(const Dims& dims) {
  return dims.size() == 4 && (dims[1] == 1 || (dims[2] == 1 && dims[3] == 1));
}

Result<Tensor> Frame::plain(ValueId id) {
  Slot& s = slot(id);
  if (!s.plain.defined() && s.channels_last.defined()) {
    if (layout_is_trivial(s.channels_last.dims())) return s.channels_last;
    OCTET_ASSIGN(Tensor converted, allocate(s.channels_last.dtype(), s.channels_last.dims()));
    to_plain(s.channels_last.data<float>(), converted.data<float>(), converted.dims());
    s.plain = converted;
  }
  return s.plain;
}

Result<Tensor> Frame::channels_last(ValueId id) {
  Slot& s = slot(id);
  if (!s.channels_last.defined()) {
    if (layout_is_trivial(s.plain.dims())) return s.plain;
    OCTET_ASSIGN(Tensor converted, allocate(s.plain.dtype(), s.plain.dims()));
    to_channels_last(s.plain.data<float>(), converted.data<float>(), converted.dims());
    s.channels_last = converted;
  }
  return s.channels_last;
}

void Frame::set(ValueId id, Tensor tensor, bool channels_last) {
  if (id == kNoValue) return;
  Slot& s = slot(id);
  s = {};
  (channels_last && !layout_is_trivial(tensor.dims()) ? s.channels_last : s.plain) = std::move(tensor);
}

Tensor Frame::take_for_overwrite(ValueId id, bool channels_last, const std::vector<ValueId>& dying) {
  if (keep_all_) return {};
  if (std::find(dying.begin(), dying.end(), id) == dying.end()) return {};
  Slot& s = slot(id);
  Tensor& stored = channels_last && !layout_is_trivial(any(id).dims()) ? s.channels_last : s.plain;
  if (!stored.defined() || !stored.unique()) return {};
  return stored;  // the slot keeps its reference: dims() stays valid until the step's result replaces it
}

}  // namespace octet::exec
