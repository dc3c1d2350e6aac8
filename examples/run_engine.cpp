// Runs a compiled network with Octet's C++ runtime: once with tensors, then many times in place and on several
// threads. usage: run_engine MODEL.octet [RUNS]
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "octet/runtime.h"

using namespace octet;

// A tensor for one image; the values are up to you.
Tensor make_tensor(const TensorDesc& desc) {
  Dims dims = desc.dims;
  if (!dims.empty() && dims[0] < 0) dims[0] = 1;  // -1: any batch
  Tensor tensor(desc.dtype, dims);
  if (desc.dtype == DType::kFloat32)
    for (int64_t i = 0; i < tensor.numel(); ++i) tensor.data<float>()[i] = static_cast<float>(i % 17) / 8.0F - 1.0F;
  else std::fill_n(tensor.data<uint8_t>(), tensor.nbytes(), uint8_t{1});
  return tensor;
}

// Nothing is copied or allocated in the loop: the network reads `inputs` and writes `outputs` where they are.
Status run_in_place(Session& session, const std::vector<Tensor>& inputs, std::vector<Tensor>& outputs, int runs) {
  std::vector<const void*> from;
  std::vector<void*> to;
  for (const Tensor& t : inputs) from.push_back(t.raw());
  for (Tensor& t : outputs) to.push_back(t.raw());
  for (int i = 0; i < runs; ++i) OCTET_RETURN_IF_ERROR(session.run(1, from, to));
  return Status::ok();
}

Status run(const char* path, int runs) {
  OCTET_ASSIGN(const std::shared_ptr<const Engine> engine, Engine::load(path));  // weights are shared by all sessions
  std::vector<Tensor> inputs;
  for (const TensorDesc& input : engine->inputs()) {
    std::printf("input %s: %s %s\n", input.name.c_str(), dtype_name(input.dtype), dims_to_string(input.dims).c_str());
    inputs.push_back(make_tensor(input));
  }
  OCTET_ASSIGN(const std::unique_ptr<Session> session, Session::create(engine, {.threads = 1}));
  OCTET_ASSIGN(const std::vector<Tensor> first, session->run(inputs));

  // A session runs one thing at a time: every concurrent caller has its own.
  std::vector<std::thread> callers;
  std::vector<Status> results(2);
  std::vector<std::vector<Tensor>> outputs(results.size());
  const auto begin = std::chrono::steady_clock::now();
  for (size_t c = 0; c < results.size(); ++c)
    callers.emplace_back([&, c] {
      Result<std::unique_ptr<Session>> own = Session::create(engine, {.threads = 1});
      if (!own.is_ok()) return void(results[c] = own.status());
      for (const Tensor& t : first) outputs[c].push_back(Tensor(t.dtype(), t.dims()));
      results[c] = run_in_place(**own, inputs, outputs[c], runs);
    });
  for (std::thread& caller : callers) caller.join();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();

  for (size_t c = 0; c < results.size(); ++c) {
    OCTET_RETURN_IF_ERROR(results[c]);
    for (size_t k = 0; k < first.size(); ++k)
      if (!same_bits(first[k], outputs[c][k])) return internal_error("two runs of one input differ");
  }
  for (size_t k = 0; k < first.size(); ++k)
    std::printf("output %s: %s\n", engine->outputs()[k].name.c_str(), dims_to_string(first[k].dims()).c_str());
  std::printf("%zu sessions, %.0f runs a second\n", results.size(),
              static_cast<double>(results.size()) * runs / seconds);
  return Status::ok();
}

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "usage: run_engine MODEL.octet [RUNS]\n"), 2;
  const Status status = run(argv[1], argc > 2 ? std::atoi(argv[2]) : 100);
  if (!status) std::fprintf(stderr, "run_engine: %s\n", status.message().c_str());
  return status ? 0 : 1;
}
