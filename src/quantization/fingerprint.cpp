#include <cstring>

#include "octet/quantization.h"

namespace octet {
namespace {

// 64-bit mixing after splitmix64 (Steele, Lea, Flood 2014), eight bytes a step: tells networks apart, no secret.
class Hash {
 public:
  void add(uint64_t word) {
    state_ = (state_ ^ word) + 0x9e3779b97f4a7c15ULL;
    state_ = (state_ ^ (state_ >> 30)) * 0xbf58476d1ce4e5b9ULL;
    state_ = (state_ ^ (state_ >> 27)) * 0x94d049bb133111ebULL;
    state_ ^= state_ >> 31;
  }
  void add(const void* bytes, size_t n) {
    const char* p = static_cast<const char*>(bytes);
    add(n);
    for (; n >= 8; p += 8, n -= 8) add_tail(p, 8);
    if (n > 0) add_tail(p, n);
  }
  void add(const std::string& text) { add(text.data(), text.size()); }
  void add(const Tensor& t) {
    add(static_cast<uint64_t>(t.dtype()));
    for (int64_t d : t.dims()) add(static_cast<uint64_t>(d));
    add(t.raw(), static_cast<size_t>(t.nbytes()));
  }
  std::string text() const {
    std::string s;
    for (int shift = 60; shift >= 0; shift -= 4) s += "0123456789abcdef"[(state_ >> shift) & 15];
    return s;
  }

 private:
  void add_tail(const char* p, size_t n) {
    uint64_t word = 0;
    std::memcpy(&word, p, n);
    add(word);
  }
  uint64_t state_ = 0;
};

struct AttributeHasher {
  Hash& hash;
  void operator()(int64_t v) const { hash.add(static_cast<uint64_t>(v)); }
  void operator()(float v) const { hash.add(&v, sizeof v); }
  void operator()(const std::string& v) const { hash.add(v); }
  void operator()(const Tensor& v) const { hash.add(v); }
  template <class T>
  void operator()(const std::vector<T>& v) const {
    hash.add(v.size());
    for (const T& x : v) (*this)(x);
  }
};

}  // namespace

std::string graph_fingerprint(const Graph& graph) {
  Hash hash;
  auto add_values = [&](const std::vector<ValueId>& ids) {
    hash.add(ids.size());
    for (ValueId id : ids) hash.add(id == kNoValue ? std::string() : graph.value(id).name);
  };
  add_values(graph.inputs);
  add_values(graph.outputs);
  for (const Node& n : graph.nodes) {
    hash.add(n.name);
    hash.add(n.op_type);
    hash.add(n.domain);
    add_values(n.inputs);
    add_values(n.outputs);
    for (const auto& [key, attribute] : n.attributes) {
      hash.add(key);
      std::visit(AttributeHasher{hash}, attribute);
    }
  }
  for (const Node& n : graph.nodes)
    for (ValueId in : n.inputs)
      if (graph.is_constant(in)) hash.add(*graph.value(in).constant);
  return hash.text();
}

}  // namespace octet
