// What one run() of the executor owns: a slot per value, in either or both memory layouts.
#pragma once

#include <memory>
#include <vector>

#include "executor/executor.h"
#include "octet/graph.h"
#include "tensor/buffer_pool.h"

namespace octet::exec {

// True when N,C,H,W and N,H,W,C are the same sequence of bytes.
bool layout_is_trivial(const Dims& dims);

class Frame {
 public:
  Frame(const Graph& graph, std::shared_ptr<BufferPool> pool)
      : graph_(graph), pool_(std::move(pool)), slots_(graph.value_count()) {}

  const Dims& dims(ValueId id) const { return any(id).dims(); }
  DType dtype(ValueId id) const { return any(id).dtype(); }
  // Stored channels-last and not row-major as well.
  bool only_channels_last(ValueId id) const { return !slot(id).plain.defined() && slot(id).channels_last.defined(); }
  bool has_channels_last(ValueId id) const { return slot(id).channels_last.defined(); }
  const Tensor& any(ValueId id) const { return slot(id).plain.defined() ? slot(id).plain : slot(id).channels_last; }

  // The value in the asked layout, converted and remembered if needed. channels_last() needs rank 4 and float32.
  Result<Tensor> plain(ValueId id);
  Result<Tensor> channels_last(ValueId id);

  // `tensor` has logical dims N,C,H,W; with channels_last its elements lie in N,H,W,C order.
  void set(ValueId id, Tensor tensor, bool channels_last);

  // The buffer of `id` for overwriting, when it is among `dying`, nobody shares it and it lies in that layout;
  // an undefined tensor otherwise.
  Tensor take_for_overwrite(ValueId id, bool channels_last, const std::vector<ValueId>& dying);
  void release(ValueId id) { slot(id) = {}; }

  // From here on no value is overwritten or released.
  void keep_all() { keep_all_ = true; }
  bool keeps_all() const { return keep_all_; }
  RunValues::Value share(ValueId id) const { return {slot(id).plain, slot(id).channels_last}; }
  void adopt(ValueId id, const RunValues::Value& value) { slot(id) = {value.plain, value.channels_last}; }

  Result<Tensor> allocate(DType dtype, const Dims& dims) { return pool_->allocate(dtype, dims); }
  const Graph& graph() const { return graph_; }

 private:
  struct Slot {
    Tensor plain;
    Tensor channels_last;
  };
  const Slot& slot(ValueId id) const { return slots_[static_cast<size_t>(id)]; }
  Slot& slot(ValueId id) { return slots_[static_cast<size_t>(id)]; }

  const Graph& graph_;
  std::shared_ptr<BufferPool> pool_;
  std::vector<Slot> slots_;
  bool keep_all_ = false;
};

}  // namespace octet::exec
