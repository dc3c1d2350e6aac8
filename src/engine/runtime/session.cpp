#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <exception>
#include <new>

#include "engine/runtime/engine.h"
#include "engine/runtime/memory.h"
#include "engine/runtime/step.h"
#include "engine/runtime/thread_pool.h"
#include "engine/tensors.h"

namespace octet {
namespace {

using engine::kNoTensor;
using engine::Place;
using engine::Program;
using engine::TensorId;
using engine::TensorInfo;

constexpr int kMostThreads = 1024;
constexpr int64_t kMostBatch = int64_t{1} << 20;
constexpr int64_t kSlack = cpu::kReadSlack;
constexpr int64_t kScratchUnit = 4096;  // workers share no page

int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

// Where an input or output lives. Convolutions read a little past the end of their sources, which only our own memory
// may be asked for: what they read is staged there.
struct Border {
  TensorId root = kNoTensor;
  int64_t bytes = 0;  // of one image
  int input = -1;     // position among the inputs, -1: none
  int output = -1;    // the first position among the outputs
  bool staged = false;
  int64_t stage_offset = 0;
};

std::string count_of(size_t n, const char* what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

}  // namespace

struct Session::Impl {
  std::shared_ptr<const Engine> engine;
  std::unique_ptr<engine::ThreadPool> pool;
  std::vector<std::unique_ptr<engine::Step>> steps;
  std::vector<Place> places;
  std::vector<Border> borders;
  std::vector<int> border_of;  // by root; -1: in the arena

  engine::Memory arena, scratch;
  int64_t scratch_stride = 0;
  int64_t batch = 0;  // that sizes and pointers are prepared for; 0: none yet
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  std::vector<uint8_t*> bases;
  std::vector<bool> copied_out;  // by output
  Probe probe;
  std::atomic<bool> running{false};
  bool in_probe = false;

  const Program& program() const { return engine->program(); }
  const TensorInfo& tensor(TensorId id) const { return program().tensors[static_cast<size_t>(id)]; }
  engine::Binding binding() const { return {&program(), batch, pool->threads(), &bases}; }

  Status prepare(const SessionOptions& options);
  void find_borders();
  Status check(int64_t n, const std::vector<const void*>& in, const std::vector<void*>& out) const;
  Status resize(int64_t n);
  void bind(const std::vector<const void*>& in, const std::vector<void*>& out);
  uint8_t* root_base(TensorId root) const;
  void copy_in();
  void copy_out();
  Status run_step(size_t i);
  Status run(int64_t n, const std::vector<const void*>& in, const std::vector<void*>& out,
             std::vector<double>* times);
};

void Session::Impl::find_borders() {
  border_of.assign(program().tensors.size(), -1);
  const auto border = [&](TensorId root) -> Border& {
    int& index = border_of[static_cast<size_t>(root)];
    if (index < 0) {
      index = static_cast<int>(borders.size());
      borders.push_back({root, engine::tensor_bytes(tensor(root))});
    }
    return borders[static_cast<size_t>(index)];
  };
  for (size_t i = 0; i < program().inputs.size(); ++i) border(program().inputs[i]).input = static_cast<int>(i);
  for (size_t i = 0; i < program().outputs.size(); ++i) {
    const TensorId id = program().outputs[i];
    bool direct = false;
    if (tensor(id).parent == kNoTensor) {
      Border& b = border(id);
      direct = b.input < 0 && b.output < 0;
      if (b.output < 0) b.output = static_cast<int>(i);
    }
    copied_out.push_back(!direct);
  }
  for (const engine::Operation& operation : program().operations) {
    if (!std::holds_alternative<engine::ConvOp>(operation)) continue;
    engine::for_each_tensor(operation, [&](TensorId id, bool writes) {
      const int index = border_of[static_cast<size_t>(places[static_cast<size_t>(id)].root)];
      if (!writes && index >= 0) borders[static_cast<size_t>(index)].staged = true;
    });
  }
  for (const Border& b : borders)
    if (b.staged && b.output >= 0) copied_out[static_cast<size_t>(b.output)] = true;
}

Status Session::Impl::prepare(const SessionOptions& options) {
  if (options.threads < 0 || options.threads > kMostThreads)
    return invalid_argument("a session cannot have " + std::to_string(options.threads) + " threads");
  for (size_t i = 0; i < program().tensors.size(); ++i)
    places.push_back(engine::place_of(program(), static_cast<TensorId>(i)));
  find_borders();
  pool = std::make_unique<engine::ThreadPool>(
      options.threads == 0 ? engine::ThreadPool::available_cores() : options.threads, options.pin);
  int64_t most_scratch = 0;
  for (size_t i = 0; i < program().operations.size(); ++i) {
    OCTET_ASSIGN(std::unique_ptr<engine::Step> step,
                 engine::make_step(program(), i, pool->threads(), Engine::Impl::islands_of(*engine)));
    most_scratch = std::max(most_scratch, step->scratch_bytes());
    steps.push_back(std::move(step));
  }
  if (most_scratch > tensor_byte_limit()) return resource_limit("the network's kernels ask for too much memory");
  scratch_stride = round_up(most_scratch + kSlack, kScratchUnit);
  OCTET_RETURN_IF_ERROR(scratch.reserve(scratch_stride * pool->threads()));
  bases.assign(program().tensors.size(), nullptr);
  inputs.assign(program().inputs.size(), nullptr);
  outputs.assign(program().outputs.size(), nullptr);
  return Status::ok();
}

Status Session::Impl::check(int64_t n, const std::vector<const void*>& in, const std::vector<void*>& out) const {
  if (n < 1 || n > kMostBatch) return invalid_argument("a batch of " + std::to_string(n) + " images cannot be run");
  if (n != 1 && !program().batched)
    return invalid_argument("the network was compiled for a fixed batch and cannot run " + std::to_string(n) +
                            " at once; compile it with a free batch dimension");
  if (in.size() != inputs.size() || out.size() != outputs.size())
    return invalid_argument("the network has " + count_of(inputs.size(), "input") + " and " +
                            count_of(outputs.size(), "output") + " but got " + std::to_string(in.size()) + " and " +
                            std::to_string(out.size()));
  const auto usable = [&](const void* data, const char* what, TensorId id) {
    if (data == nullptr)
      return invalid_argument("the " + std::string(what) + " '" + tensor(id).name + "' is missing");
    if (reinterpret_cast<uintptr_t>(data) % dtype_size(tensor(id).dtype) != 0)
      return invalid_argument("the memory of the " + std::string(what) + " '" + tensor(id).name +
                              "' is not aligned for " + dtype_name(tensor(id).dtype));
    return Status::ok();
  };
  for (size_t i = 0; i < in.size(); ++i) OCTET_RETURN_IF_ERROR(usable(in[i], "input", program().inputs[i]));
  for (size_t i = 0; i < out.size(); ++i) OCTET_RETURN_IF_ERROR(usable(out[i], "output", program().outputs[i]));
  return Status::ok();
}

Status Session::Impl::resize(int64_t n) {
  if (n == batch) return Status::ok();
  const int64_t limit = tensor_byte_limit();
  int64_t end = program().arena_bytes * n + kSlack;
  for (Border& b : borders) {
    if (!b.staged || end > limit) continue;
    b.stage_offset = round_up(end, 64);
    end = b.stage_offset + b.bytes * n + kSlack;
  }
  batch = 0;
  OCTET_RETURN_IF_ERROR(arena.reserve(end));
  batch = n;
  std::fill(bases.begin(), bases.end(), nullptr);  // bind() has to do its work
  for (const auto& step : steps) step->resize(binding());
  return Status::ok();
}

uint8_t* Session::Impl::root_base(TensorId root) const {
  const int index = border_of[static_cast<size_t>(root)];
  if (index < 0) return arena.data() + tensor(root).offset * batch;
  const Border& b = borders[static_cast<size_t>(index)];
  if (b.staged) return arena.data() + b.stage_offset;
  // Nothing writes to inputs: verify_program.
  if (b.input >= 0) return static_cast<uint8_t*>(const_cast<void*>(inputs[static_cast<size_t>(b.input)]));
  return static_cast<uint8_t*>(outputs[static_cast<size_t>(b.output)]);
}

void Session::Impl::bind(const std::vector<const void*>& in, const std::vector<void*>& out) {
  const bool bound = bases.empty() || bases[0] != nullptr;
  if (bound && in == inputs && out == outputs) return;
  std::copy(in.begin(), in.end(), inputs.begin());
  std::copy(out.begin(), out.end(), outputs.begin());
  for (size_t i = 0; i < bases.size(); ++i) bases[i] = root_base(places[i].root) + places[i].offset;
  for (const auto& step : steps) step->bind(binding());
}

void Session::Impl::copy_in() {
  for (const Border& b : borders)
    if (b.staged && b.input >= 0)
      std::memcpy(arena.data() + b.stage_offset, inputs[static_cast<size_t>(b.input)],
                  static_cast<size_t>(b.bytes * batch));
}

void Session::Impl::copy_out() {
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (!copied_out[i]) continue;
    const TensorId id = program().outputs[i];
    std::memmove(outputs[i], bases[static_cast<size_t>(id)],
                 static_cast<size_t>(engine::tensor_bytes(tensor(id)) * batch));
  }
}

Status Session::Impl::run_step(size_t i) {
  engine::Step& step = *steps[i];
  const auto task = [&](int64_t t, int worker) { step.run(t, scratch.data() + worker * scratch_stride); };
  const int64_t tasks = step.tasks();
  if (tasks == 1 || pool->threads() == 1) {
    for (int64_t t = 0; t < tasks; ++t) task(t, 0);
  } else if (!pool->parallel_for(tasks, task)) {
    return internal_error("the session's threads are busy");
  }
  const Status status = step.finish();
  return status.is_ok() ? status : status.at(program().notes[i].nodes);
}

Status Session::Impl::run(int64_t n, const std::vector<const void*>& in, const std::vector<void*>& out,
                          std::vector<double>* times) {
  if (running.exchange(true)) return invalid_argument("the session is running already; make one for each caller");
  struct Done {
    std::atomic<bool>& flag;
    ~Done() { flag = false; }
  } done{running};
  OCTET_RETURN_IF_ERROR(check(n, in, out));
  OCTET_RETURN_IF_ERROR(resize(n));
  bind(in, out);
  copy_in();
  for (size_t i = 0; i < steps.size(); ++i) {
    const auto begin = times == nullptr ? std::chrono::steady_clock::time_point() : std::chrono::steady_clock::now();
    OCTET_RETURN_IF_ERROR(run_step(i));
    if (times != nullptr)
      times->push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
    if (probe) {
      in_probe = true;
      probe(i);
      in_probe = false;
    }
  }
  copy_out();
  return Status::ok();
}

Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::~Session() = default;

Result<std::unique_ptr<Session>> Session::create(std::shared_ptr<const Engine> engine,
                                                 const SessionOptions& options) {
  if (engine == nullptr) return invalid_argument("a session needs an engine");
  try {
    auto impl = std::make_unique<Impl>();
    impl->engine = std::move(engine);
    OCTET_RETURN_IF_ERROR(impl->prepare(options));
    return std::unique_ptr<Session>(new Session(std::move(impl)));
  } catch (const std::bad_alloc&) {
    return resource_limit("not enough memory for a session");
  } catch (const std::exception& error) {
    return internal_error(error.what());
  }
}

Status Session::run(int64_t batch, const std::vector<const void*>& inputs, const std::vector<void*>& outputs) {
  return impl_->run(batch, inputs, outputs, nullptr);
}

Result<std::vector<double>> Session::profile(int64_t batch, const std::vector<const void*>& inputs,
                                             const std::vector<void*>& outputs) {
  std::vector<double> times;
  times.reserve(impl_->steps.size());
  OCTET_RETURN_IF_ERROR(impl_->run(batch, inputs, outputs, &times));
  return times;
}

Result<std::vector<Tensor>> Session::run(const std::vector<Tensor>& inputs) {
  const Program& program = impl_->program();
  if (inputs.size() != program.inputs.size())
    return invalid_argument("the network has " + count_of(program.inputs.size(), "input") + " but got " +
                            std::to_string(inputs.size()));
  int64_t batch = 1;
  std::vector<const void*> in;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const TensorInfo& t = impl_->tensor(program.inputs[i]);
    const Tensor& given = inputs[i];
    const std::string expected = std::string(dtype_name(t.dtype)) + " " + dims_to_string(t.dims);
    if (!given.defined()) return invalid_argument("input '" + t.name + "' expects " + expected + " but got none");
    const bool free = program.batched && given.rank() == static_cast<int>(t.dims.size()) && given.dim(0) > 0;
    if (i == 0 && free) batch = given.dim(0) / t.dims[0];
    Dims dims = t.dims;
    if (program.batched) dims[0] *= batch;
    if (given.dtype() != t.dtype || given.dims() != dims)
      return invalid_argument("input '" + t.name + "' expects " + expected +
                              (program.batched ? " with any batch, the same for all inputs," : "") + " but got " +
                              dtype_name(given.dtype()) + " " + dims_to_string(given.dims()));
    in.push_back(given.raw());
  }
  std::vector<Tensor> results;
  std::vector<void*> out;
  for (TensorId id : program.outputs) {
    Dims dims = impl_->tensor(id).dims;
    if (program.batched) dims[0] *= batch;
    OCTET_ASSIGN(Tensor result, Tensor::create(impl_->tensor(id).dtype, std::move(dims)));
    out.push_back(result.raw());
    results.push_back(std::move(result));
  }
  OCTET_RETURN_IF_ERROR(run(batch, in, out));
  return results;
}

void Session::set_probe(Probe probe) { impl_->probe = std::move(probe); }

Result<Tensor> Session::read_tensor(int32_t id) const {
  if (!impl_->in_probe) return invalid_argument("tensors can be read only while the probe is called");
  if (id < 0 || static_cast<size_t>(id) >= impl_->program().tensors.size())
    return not_found("there is no tensor " + std::to_string(id));
  const TensorInfo& t = impl_->tensor(id);
  Dims dims = t.dims;
  if (!dims.empty()) dims[0] *= impl_->batch;
  OCTET_ASSIGN(Tensor copy, Tensor::create(t.dtype, dims));
  const uint8_t* src = impl_->bases[static_cast<size_t>(id)];
  auto* dst = copy.data<uint8_t>();
  if (t.layout == engine::Layout::kPlain) {
    std::memcpy(dst, src, static_cast<size_t>(engine::tensor_bytes(t) * impl_->batch));
    return copy;
  }
  const auto size = static_cast<int64_t>(dtype_size(t.dtype));
  const int64_t pixels = dims[2] * dims[3];
  for (int64_t n = 0; n < dims[0]; ++n)
    for (int64_t c = 0; c < dims[1]; ++c)
      for (int64_t p = 0; p < pixels; ++p)
        std::memcpy(dst + ((n * dims[1] + c) * pixels + p) * size,
                    src + ((n * pixels + p) * t.pixel_stride + c) * size, static_cast<size_t>(size));
  return copy;
}

int Session::threads() const { return impl_->pool->threads(); }
int64_t Session::memory_bytes() const { return impl_->arena.size() + impl_->scratch.size(); }

}  // namespace octet
