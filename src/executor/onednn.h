// The oneDNN engine, streams and small conversions that all oneDNN steps share.
#pragma once

#include <dnnl.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "executor/step.h"

namespace octet::exec {

dnnl::engine& cpu_engine();
dnnl::stream& cpu_stream();  // one per thread

dnnl::memory::dims to_dnnl(const Dims& dims);
// Strides of a row-major tensor.
dnnl::memory::dims row_major_strides(const Dims& dims);

struct EltwiseKind {
  dnnl::algorithm algorithm;
  float alpha;
  float beta;
};
// kAddResidual and kHardSigmoid have no single eltwise algorithm: append_post_op handles them.
EltwiseKind eltwise_of(const PostOp& op);
// `residual` arrives already in the destination buffer (oneDNN's sum).
void append_post_op(dnnl::post_ops& ops, const PostOp& op);

// A primitive whose scratch memory the caller brings. oneDNN's own scratchpad belongs to the thread that created the
// primitive, which makes concurrent executions overwrite each other (library mode without CONCURRENT_EXEC).
struct Primitive {
  dnnl::primitive primitive;
  dnnl::memory::desc scratchpad;

  Primitive() = default;
  template <class Desc>
  Primitive(dnnl::primitive p, const Desc& pd) : primitive(std::move(p)), scratchpad(pd.scratchpad_desc()) {}
  // Runs and waits, with this thread's scratch memory.
  void execute(std::unordered_map<int, dnnl::memory> args) const;
};
// Attributes for primitives that Primitive runs.
dnnl::primitive_attr user_scratchpad();

// Turns oneDNN's exceptions into a Status.
template <class F>
Status guard_dnnl(F&& body) {
  try {
    return body();
  } catch (const dnnl::error& e) {
    return internal_error(std::string("oneDNN: ") + e.what());
  } catch (const std::bad_alloc&) {
    return resource_limit("not enough memory");
  }
}

// Primitives for the shapes seen so far. Keeps the newest kMost shapes; State is immutable once built.
template <class State>
class StateCache {
 public:
  template <class Build>
  std::shared_ptr<const State> get(const Dims& key, Build&& build) {
    std::lock_guard lock(mutex_);
    auto it = states_.find(key);
    if (it != states_.end()) return it->second;
    if (states_.size() >= kMost) states_.clear();
    std::shared_ptr<const State> state = build();
    states_.emplace(key, state);
    return state;
  }

 private:
  static constexpr size_t kMost = 16;
  std::mutex mutex_;
  std::map<Dims, std::shared_ptr<const State>> states_;
};

}  // namespace octet::exec
