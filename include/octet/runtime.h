// Running compiled networks (.octet files). Needs no ONNX, no YAML and no Python.
//
//   auto engine = octet::Engine::load("model.octet");
//   auto session = octet::Session::create(*engine, {.threads = 2});
//   auto outputs = (*session)->run({image});
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "octet/status.h"
#include "octet/tensor.h"

namespace octet {

namespace engine {
struct Program;
}

// An input or output. dims[0] is -1 when the engine takes any batch.
struct TensorDesc {
  std::string name;
  DType dtype = DType::kFloat32;
  Dims dims;
};

// A compiled network: weights and the list of operations. Immutable; many sessions share one.
class Engine {
 public:
  // Maps the file; errors: kNotFound, kDataCorrupt (damaged; names the part), kUnsupported (made by a newer version or for
  // another CPU: says which instruction set is missing and what to do).
  static Result<std::shared_ptr<const Engine>> load(const std::string& path);
  static Result<std::shared_ptr<const Engine>> from_bytes(std::string bytes);
  static Result<std::shared_ptr<const Engine>> from_program(engine::Program program);
  ~Engine();

  const std::string& name() const;
  const std::vector<TensorDesc>& inputs() const;
  const std::vector<TensorDesc>& outputs() const;
  const engine::Program& program() const;

 private:
  friend class Session;
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct SessionOptions {
  int threads = 1;   // workers that share one run, the caller included; 0: one for each core of this process
  bool pin = false;  // bind the workers to cores
};

// Memory and threads for running an engine. One run at a time; make a session for each concurrent caller.
class Session {
 public:
  static Result<std::unique_ptr<Session>> create(std::shared_ptr<const Engine> engine, const SessionOptions& options = {});
  ~Session();

  // Row-major inputs in the order of Engine::inputs(); any batch, the same for all. kInvalidArgument names the input.
  Result<std::vector<Tensor>> run(const std::vector<Tensor>& inputs);
  // Nothing is copied or allocated once this batch size has run before: `outputs` are written in place. Both row-major,
  // with types and shapes of inputs() and outputs() at `batch` images.
  Status run(int64_t batch, const std::vector<const void*>& inputs, const std::vector<void*>& outputs);

  // Milliseconds of every operation in one run, in the order of the program.
  Result<std::vector<double>> profile(int64_t batch, const std::vector<const void*>& inputs,
                                      const std::vector<void*>& outputs);
  // Called after each operation with its index, for tests: codes of any tensor that is alive.
  using Probe = std::function<void(size_t operation)>;
  void set_probe(Probe probe);
  // Row-major copy of a tensor of the program (codes as uint8, NHWC turned to NCHW), valid inside the probe.
  Result<Tensor> read_tensor(int32_t tensor) const;

  int threads() const;
  int64_t memory_bytes() const;  // arena and scratch

 private:
  struct Impl;
  explicit Session(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace octet
