// One reference operator on given tensors.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/ref/ref_op.h"

namespace octet::test {

struct OpCall {
  std::string op;
  std::vector<Tensor> inputs;  // an undefined tensor stands for an absent input
  Attributes attributes = {};
  int outputs = 1;
  int opset = 22;
};

inline Result<std::vector<Tensor>> run_op(const OpCall& call) {
  Node node;
  node.op_type = call.op;
  node.attributes = call.attributes;
  node.outputs.resize(static_cast<size_t>(call.outputs), 0);
  OpArgs args{node, call.opset, {}};
  for (const Tensor& t : call.inputs) args.inputs.push_back(t.defined() ? &t : nullptr);
  const RefOp op = find_ref_op(call.op);
  return op == nullptr ? unsupported("no operator " + call.op) : op(args);
}

template <class T>
std::vector<T> values_of(const Tensor& t) {
  return std::vector<T>(t.data<T>(), t.data<T>() + t.numel());
}

// The only output has exactly this shape and these elements.
template <class T>
void expect_output(const OpCall& call, const Dims& dims, const std::vector<T>& expected) {
  SCOPED_TRACE(call.op);
  const auto outputs = run_op(call);
  ASSERT_TRUE(outputs.is_ok()) << outputs.status().message();
  ASSERT_EQ(outputs->size(), 1u);
  EXPECT_TRUE(same_bits((*outputs)[0], Tensor::from<T>(dims, expected)))
      << "got " << dims_to_string((*outputs)[0].dims()) << " "
      << ::testing::PrintToString(dtype_of<T>() == (*outputs)[0].dtype() ? values_of<T>((*outputs)[0])
                                                                         : std::vector<T>{});
}

// The call is refused with a sentence that contains `words`.
inline void expect_refused(const OpCall& call, const std::string& words) {
  SCOPED_TRACE(call.op);
  const auto outputs = run_op(call);
  ASSERT_FALSE(outputs.is_ok());
  EXPECT_NE(outputs.status().message().find(words), std::string::npos) << outputs.status().message();
}

inline Tensor floats(Dims dims, const std::vector<float>& values) {
  return Tensor::from<float>(std::move(dims), values);
}
inline Tensor ints(Dims dims, const std::vector<int64_t>& values) {
  return Tensor::from<int64_t>(std::move(dims), values);
}

}  // namespace octet::test
