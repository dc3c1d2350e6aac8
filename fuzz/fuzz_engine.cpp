// Any bytes as an .octet file, with the checksums made right so that mutations reach the inside: load, verify, and
// run one image when that is a matter of moments.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "engine/program_file.h"
#include "engine/tensors.h"
#include "octet/runtime.h"

namespace {

using octet::engine::Program;

constexpr double kMostWork = 2e7;  // elementary steps of one run

void require(bool condition) {
  if (!condition) std::abort();
}

double elements(const Program& program, octet::engine::TensorId id) {
  return static_cast<double>(octet::engine::element_count(program.tensors[static_cast<size_t>(id)]));
}

double work_of(const Program& program) {
  double work = 0;
  for (const octet::engine::Operation& operation : program.operations) {
    octet::engine::for_each_tensor(operation,
                                   [&](octet::engine::TensorId id, bool) { work += elements(program, id); });
    if (const auto* conv = std::get_if<octet::engine::ConvOp>(&operation)) {
      const octet::cpu::ConvGeometry& g = conv->problem.geometry;
      // Kernels round channels up to whole registers.
      const double sum = static_cast<double>(g.kh * g.kw) * static_cast<double>(g.ic / g.groups + 64);
      work += (elements(program, conv->dst) + 64) * sum;
    }
    if (const auto* pool = std::get_if<octet::engine::PoolOp>(&operation))
      work += elements(program, pool->dst) * static_cast<double>(pool->kh * pool->kw);
  }
  return work;
}

// Buffers of exactly the size that is promised to the session, so that AddressSanitizer sees one byte too much.
void run(const std::shared_ptr<const octet::Engine>& engine) {
  octet::Result<std::unique_ptr<octet::Session>> session = octet::Session::create(engine, {.threads = 1});
  if (!session.is_ok()) return require(session.status().code() != octet::StatusCode::kInternal);
  const Program& program = engine->program();
  const auto buffer = [&](octet::engine::TensorId id) {
    const auto bytes = static_cast<size_t>(octet::engine::tensor_bytes(program.tensors[static_cast<size_t>(id)]));
    return std::malloc(bytes);
  };
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  for (octet::engine::TensorId id : program.inputs) {
    void* data = buffer(id);
    const auto bytes = static_cast<size_t>(octet::engine::tensor_bytes(program.tensors[static_cast<size_t>(id)]));
    for (size_t i = 0; i < bytes; ++i) static_cast<uint8_t*>(data)[i] = static_cast<uint8_t>(i * 37 % 61);
    inputs.push_back(data);
  }
  for (octet::engine::TensorId id : program.outputs) outputs.push_back(buffer(id));
  const octet::Status status = (*session)->run(1, inputs, outputs);
  require(status.code() != octet::StatusCode::kInternal && status.is_ok() == status.message().empty());
  for (const void* data : inputs) std::free(const_cast<void*>(data));
  for (void* data : outputs) std::free(data);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  octet::set_tensor_byte_limit(int64_t{1} << 22);
  std::string file(reinterpret_cast<const char*>(data), size);
  if (size >= sizeof(octet::engine::FileHeader)) {
    octet::engine::FileHeader header;
    std::memcpy(&header, file.data(), sizeof(header));
    header.file_bytes = size;
    std::memcpy(file.data(), &header, sizeof(header));
    octet::engine::set_checksums(file);
  }
  octet::Result<std::shared_ptr<const octet::Engine>> engine = octet::Engine::from_bytes(file);
  if (!engine.is_ok()) {
    require(!engine.status().message().empty() && engine.status().code() != octet::StatusCode::kInternal);
    return 0;
  }
  // What was read is written again as what is read.
  const std::string again = octet::engine::serialize_program((*engine)->program());
  octet::Result<std::shared_ptr<const octet::Engine>> same = octet::Engine::from_bytes(again);
  require(same.is_ok() && octet::engine::serialize_program((*same)->program()) == again);
  if (work_of((*engine)->program()) < kMostWork) run(*engine);
  return 0;
}
