// Small programs made by hand, and a slow evaluation of any program by the definitions in store.h and pixel_ops.h.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "engine/program.h"

namespace octet::test {

// Appends tensors (each at its own place of the arena) and operations.
class ProgramBuilder {
 public:
  engine::Program program;
  std::map<size_t, std::vector<int8_t>> weights;  // of the convolutions, by operation
  std::map<size_t, std::vector<int32_t>> biases;

  engine::TensorId plain(const std::string& name, DType dtype, const Dims& dims, float scale = 1, int32_t zero = 0);
  engine::TensorId image(const std::string& name, const Dims& dims, float scale, int32_t zero, int64_t stride = 0,
                         DType dtype = DType::kUint8);
  // Channels [first, first + count) of an image.
  engine::TensorId slice(const std::string& name, engine::TensorId parent, int64_t first, int64_t count);
  engine::TensorId reshaped(const std::string& name, engine::TensorId parent, const Dims& dims);
  engine::TensorId input(engine::TensorId id);
  engine::TensorId output(engine::TensorId id);

  template <class Op>
  size_t add(Op op) {
    program.operations.push_back(std::move(op));
    program.notes.push_back({.nodes = "node" + std::to_string(program.operations.size())});
    return program.operations.size() - 1;
  }
  struct ConvSettings {
    int64_t kernel = 3, stride = 1, pad = 1, groups = 1;
    bool table = false;
    engine::TensorId residual = engine::kNoTensor;
    cpu::Residual order = cpu::Residual::kBeforeFirst;
    std::string kernel_name = "reference";
  };
  // Random weights and bias; shapes follow from the tensors. False when the kernel refuses the problem.
  bool conv(engine::TensorId src, engine::TensorId dst, const ConvSettings& settings, uint32_t seed);

  engine::TensorInfo& tensor(engine::TensorId id) { return program.tensors[static_cast<size_t>(id)]; }
  engine::Blob blob(const void* data, size_t size);
  // The program with its constants; the builder can go on.
  engine::Program finish();

 private:
  engine::TensorId add_tensor(engine::TensorInfo info);
  std::vector<uint8_t> constants_;
};

// Quantize, Conv with padding channels, MaxPool, Conv with a residual in its place, Binary, Table, slices of a
// concatenation, Resize, AveragePool, Bytes, Dequantize; a float32, an INT8 and a float32 output.
// `kernel`: of all convolutions; the reference where it refuses.
ProgramBuilder residual_network(const std::string& kernel = "reference", bool batched = true);
// An island (Relu, Softmax) between Dequantize and Quantize.
ProgramBuilder island_network(bool heavy = false);

// Attention between Bytes and Dequantize: LayerNormalization, Transpose, two products (one in float32), Softmax.
ProgramBuilder attention_network();

// Row-major inputs of `batch` images with random contents, and the outputs that the program must give for them.
std::vector<Tensor> random_inputs(const engine::Program& program, int64_t batch, uint32_t seed);
// Islands through the interpreter.
std::vector<Tensor> evaluate_slowly(const ProgramBuilder& builder, const engine::Program& program,
                                    const std::vector<Tensor>& inputs, int64_t batch);

}  // namespace octet::test
