// Where the tensors of a program lie, and which of them an operation reads and writes.
#pragma once

#include <variant>

#include "engine/program.h"

namespace octet::engine {

// A view's root is the tensor that owns the bytes. Offsets inside a root do not depend on the batch.
struct Place {
  TensorId root = kNoTensor;
  int64_t offset = 0;
};

constexpr int kMostViews = 32;  // views of views of ...

// kNoTensor as root when the parents form a cycle, leave the program or are nested more than kMostViews deep.
Place place_of(const Program& program, TensorId id);

// Elements of one image without gaps; INT64_MAX on overflow.
int64_t element_count(const TensorInfo& tensor);
// No gaps between pixels.
bool is_dense(const TensorInfo& tensor);

// Calls f(id, writes) for every tensor of the operation: reads first, kNoTensor left out.
template <class F>
void for_each_tensor(const Operation& operation, F&& f) {
  const auto visit = [&](TensorId id, bool writes) {
    if (id != kNoTensor) f(id, writes);
  };
  if (const auto* fill = std::get_if<FillOp>(&operation)) {
    visit(fill->dst, true);
  } else if (const auto* island = std::get_if<IslandOp>(&operation)) {
    for (TensorId id : island->inputs) visit(id, false);
    for (TensorId id : island->outputs) visit(id, true);
  } else if (const auto* conv = std::get_if<ConvOp>(&operation)) {
    visit(conv->src, false);
    visit(conv->residual, false);
    visit(conv->dst, true);
  } else if (const auto* product = std::get_if<MatMulOp>(&operation)) {
    visit(product->a, false);
    visit(product->b, false);
    visit(product->dst, true);
  } else if (const auto* binary = std::get_if<BinaryOp>(&operation)) {
    visit(binary->a, false);
    visit(binary->b, false);
    visit(binary->dst, true);
  } else {
    std::visit(
        [&](const auto& op) {
          if constexpr (requires { op.src; }) {
            visit(op.src, false);
            visit(op.dst, true);
          }
        },
        operation);
  }
}

// "Conv", "Quantize", ...: for messages.
const char* operation_name(const Operation& operation);

}  // namespace octet::engine
