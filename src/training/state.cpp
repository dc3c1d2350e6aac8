// The state of a module as bytes: "OCTETMOD", version, steps, then every tensor with name, type, shape and elements,
// all integers little-endian.
#include <bit>
#include <cstring>

#include "training/module_impl.h"

namespace octet::training {
namespace {

static_assert(std::endian::native == std::endian::little, "the state file is written as memory is");

constexpr std::string_view kMagic = "OCTETMOD";
constexpr int64_t kVersion = 1;

void put(std::string& out, int64_t n) { out.append(reinterpret_cast<const char*>(&n), sizeof n); }
void put(std::string& out, std::string_view bytes) {
  put(out, static_cast<int64_t>(bytes.size()));
  out.append(bytes);
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  int64_t number() {
    int64_t n = 0;
    std::memcpy(&n, take(sizeof n).data(), sizeof n);
    return n;
  }
  std::string_view bytes() {
    const int64_t n = number();
    if (n < 0) fail(damaged());
    return take(static_cast<size_t>(n));
  }
  std::string_view take(size_t n) {
    if (n > rest_.size()) fail(damaged());
    const std::string_view taken = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return taken;
  }
  bool at_end() const { return rest_.empty(); }
  static Status damaged() { return data_corrupt("the training state is cut off or damaged"); }

 private:
  std::string_view rest_;
};

void put_tensor(std::string& out, const NamedTensor& t) {
  const at::Tensor host = t.tensor.detach().to(at::kCPU).contiguous();
  put(out, t.name);
  put(out, static_cast<int64_t>(host.scalar_type()));
  put(out, host.dim());
  for (int64_t d : host.sizes()) put(out, d);
  put(out, std::string_view(static_cast<const char*>(host.data_ptr()), host.nbytes()));
}

// The saved elements of `t`, or an exception that says why they are not.
at::Tensor take_tensor(Reader& in, const NamedTensor& t) {
  const std::string name(in.bytes());
  if (name != t.name)
    fail(invalid_argument("the training state is of another network: it has '" + name + "' where this one has '" +
                          t.name + "'"));
  const int64_t type = in.number(), rank = in.number();
  std::vector<int64_t> dims;
  for (int64_t d = 0; d < rank && d < 16; ++d) dims.push_back(in.number());
  if (dims != t.tensor.sizes().vec() || type != static_cast<int64_t>(t.tensor.scalar_type()))
    fail(invalid_argument("the training state is of another network: '" + name + "' has shape " +
                          dims_to_string(dims) + " there and " + dims_to_string(t.tensor.sizes().vec()) + " here"));
  const std::string_view bytes = in.bytes();
  at::Tensor host = at::empty(dims, at::TensorOptions(t.tensor.scalar_type()));
  if (bytes.size() != host.nbytes()) fail(Reader::damaged());
  std::memcpy(host.data_ptr(), bytes.data(), bytes.size());
  return host;
}

}  // namespace

Result<std::string> TrainableModule::save_state() const {
  std::string out(kMagic);
  const Status status = guarded([&] {
    put(out, kVersion);
    put(out, impl_->step_count);
    put(out, static_cast<int64_t>(impl_->norm_mode));
    put(out, static_cast<int64_t>(impl_->parameters.size()));
    put(out, static_cast<int64_t>(impl_->buffers.size()));
    for (const NamedTensor& t : impl_->parameters) put_tensor(out, t);
    for (const NamedTensor& t : impl_->buffers) put_tensor(out, t);
  });
  if (!status.is_ok()) return status;
  return out;
}

Status TrainableModule::load_state(std::string_view bytes) {
  return guarded([&] {
    Reader in(bytes);
    if (in.take(kMagic.size()) != kMagic) fail(data_corrupt("this is no training state of Octet"));
    if (in.number() != kVersion) fail(unsupported("the training state is of another version of Octet"));
    const int64_t steps = in.number(), mode = in.number(), parameters = in.number(), buffers = in.number();
    if (mode != 0 && mode != 1) fail(Reader::damaged());
    if (parameters != static_cast<int64_t>(impl_->parameters.size()) ||
        buffers != static_cast<int64_t>(impl_->buffers.size()))
      fail(invalid_argument("the training state is of another network: it has " + std::to_string(parameters) + " + " +
                            std::to_string(buffers) + " tensors, this one has " +
                            std::to_string(impl_->parameters.size()) + " + " +
                            std::to_string(impl_->buffers.size())));
    std::vector<at::Tensor> values;
    for (auto* list : {&impl_->parameters, &impl_->buffers})
      for (const NamedTensor& t : *list) values.push_back(take_tensor(in, t));
    if (!in.at_end()) fail(Reader::damaged());
    const at::NoGradGuard guard;
    size_t next = 0;
    for (auto* list : {&impl_->parameters, &impl_->buffers})
      for (NamedTensor& t : *list) t.tensor.copy_(values[next++]);
    impl_->step_count = steps;
    impl_->norm_mode = static_cast<BatchNormMode>(mode);
  });
}

}  // namespace octet::training
