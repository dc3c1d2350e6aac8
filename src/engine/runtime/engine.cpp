#include "engine/runtime/engine.h"

#include <cstdlib>
#include <exception>
#include <new>

namespace octet {
namespace {

TensorDesc describe(const engine::Program& program, engine::TensorId id) {
  const engine::TensorInfo& t = program.tensors[static_cast<size_t>(id)];
  TensorDesc desc{t.name, t.dtype, t.dims};
  if (program.batched) desc.dims[0] = -1;
  return desc;
}

// Files come from anywhere: what the standard library throws on the way becomes a Status.
template <class F>
auto guarded(F&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return resource_limit("not enough memory to load the network");
  } catch (const std::exception& error) {
    return internal_error(error.what());
  }
}

}  // namespace

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

const std::string& Engine::name() const { return impl_->program.name; }
const std::vector<TensorDesc>& Engine::inputs() const { return impl_->inputs; }
const std::vector<TensorDesc>& Engine::outputs() const { return impl_->outputs; }
const engine::Program& Engine::program() const { return impl_->program; }
engine::IslandRunners& Engine::Impl::islands_of(const Engine& engine) { return engine.impl_->islands; }

std::shared_ptr<const Engine> Engine::Impl::wrap(engine::Program program) {
  auto impl = std::make_unique<Impl>();
  impl->program = std::move(program);
  for (engine::TensorId id : impl->program.inputs) impl->inputs.push_back(describe(impl->program, id));
  for (engine::TensorId id : impl->program.outputs) impl->outputs.push_back(describe(impl->program, id));
  return std::shared_ptr<const Engine>(new Engine(std::move(impl)));
}

Result<std::shared_ptr<const Engine>> Engine::load(const std::string& path) {
  return guarded([&]() -> Result<std::shared_ptr<const Engine>> {
    OCTET_ASSIGN(engine::Program program, engine::load_program(path));
    return Impl::wrap(std::move(program));
  });
}

Result<std::shared_ptr<const Engine>> Engine::from_bytes(std::string bytes) {
  return guarded([&]() -> Result<std::shared_ptr<const Engine>> {
    const auto owner = std::make_shared<const std::string>(std::move(bytes));
    const std::span<const uint8_t> view(reinterpret_cast<const uint8_t*>(owner->data()), owner->size());
    OCTET_ASSIGN(engine::Program program, engine::parse_program(view, owner));
    return Impl::wrap(std::move(program));
  });
}

Result<std::shared_ptr<const Engine>> Engine::from_program(engine::Program program) {
  return guarded([&]() -> Result<std::shared_ptr<const Engine>> {
    OCTET_RETURN_IF_ERROR(engine::verify_program(program));
    return Impl::wrap(std::move(program));
  });
}

}  // namespace octet
