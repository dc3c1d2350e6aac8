#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "engine/allocation_count.h"
#include "engine/test_programs.h"
#include "kernels/cpu/features.h"
#include "octet/runtime.h"
#include "support/compare.h"

namespace octet::engine {
namespace {

using test::outputs_identical;
using test::ProgramBuilder;
using test::random_inputs;

std::shared_ptr<const Engine> engine_of(ProgramBuilder& builder) {
  Result<std::shared_ptr<const Engine>> engine = Engine::from_program(builder.finish());
  EXPECT_TRUE(engine.is_ok()) << engine.status().message();
  return engine.is_ok() ? *engine : nullptr;
}

std::unique_ptr<Session> session_of(std::shared_ptr<const Engine> engine, int threads = 1) {
  Result<std::unique_ptr<Session>> session = Session::create(std::move(engine), {.threads = threads});
  EXPECT_TRUE(session.is_ok()) << session.status().message();
  return std::move(*session);
}

void expect_equal_to_slow(ProgramBuilder builder) {
  const auto engine = engine_of(builder);
  ASSERT_NE(engine, nullptr);
  for (int64_t batch : {1, 3, 8}) {
    const std::vector<Tensor> inputs = random_inputs(engine->program(), batch, static_cast<uint32_t>(batch));
    const std::vector<Tensor> expected = test::evaluate_slowly(builder, engine->program(), inputs, batch);
    std::vector<Tensor> first;
    for (int threads : {1, 2, 3}) {
      const auto session = session_of(engine, threads);
      Result<std::vector<Tensor>> outputs = session->run(inputs);
      ASSERT_TRUE(outputs.is_ok()) << outputs.status().message();
      ASSERT_TRUE(outputs_identical(expected, *outputs)) << batch << " x " << threads;
      if (first.empty()) first = *outputs;
      ASSERT_TRUE(outputs_identical(first, *outputs)) << "batch " << batch << ", " << threads << " threads";
      ASSERT_TRUE(outputs_identical(first, *session->run(inputs))) << "the second run";
    }
  }
}

TEST(Session, EqualsPlainLoopsWithEveryKernel) {
  for (const cpu::ConvKernel* kernel : cpu::conv_kernels()) {
    SCOPED_TRACE(std::string(kernel->name()));
    if ((kernel->features() & ~cpu::cpu_features()) == 0)
      expect_equal_to_slow(test::residual_network(std::string(kernel->name())));
  }
}

TEST(Session, AttentionEqualsPlainLoops) { expect_equal_to_slow(test::attention_network()); }

TEST(Session, BatchesAreRunsOfSingleImages) {
  for (ProgramBuilder builder :
       {test::residual_network(), test::island_network(), test::island_network(true), test::attention_network()}) {
    const auto engine = engine_of(builder);
    const auto session = session_of(engine, 2);
    const std::vector<Tensor> inputs = random_inputs(engine->program(), 4, 9);
    const std::vector<Tensor> together = *session->run(inputs);
    for (int64_t image = 0; image < 4; ++image) {
      std::vector<Tensor> one;
      for (const Tensor& input : inputs) {
        Dims dims = input.dims();
        dims[0] /= 4;
        Tensor x(input.dtype(), dims);
        std::memcpy(x.raw(), input.data<uint8_t>() + image * x.nbytes(), static_cast<size_t>(x.nbytes()));
        one.push_back(x);
      }
      const std::vector<Tensor> alone = *session->run(one);
      for (size_t o = 0; o < alone.size(); ++o)
        EXPECT_EQ(std::memcmp(alone[o].raw(), together[o].data<uint8_t>() + image * alone[o].nbytes(),
                              static_cast<size_t>(alone[o].nbytes())),
                  0);
    }
  }
}

// The island's arithmetic is float, and fast kernels may round otherwise than the interpreter: a code may move by
// one.
TEST(Session, IslandsComputeWhatTheInterpreterDoes) {
  for (bool heavy : {false, true}) {
    ProgramBuilder builder = test::island_network(heavy);
    const auto engine = engine_of(builder);
    const std::vector<Tensor> inputs = random_inputs(engine->program(), 3, 2);
    const Tensor expected = test::evaluate_slowly(builder, engine->program(), inputs, 3)[0];
    for (int threads : {1, 2}) {
      const Tensor actual = (*session_of(engine, threads)->run(inputs))[0];
      ASSERT_EQ(actual.dims(), expected.dims());
      for (int64_t i = 0; i < actual.numel(); ++i)
        ASSERT_LE(std::abs(actual.data<uint8_t>()[i] - expected.data<uint8_t>()[i]), 1) << i;
    }
  }
}

TEST(Session, FixedBatch) {
  ProgramBuilder builder = test::residual_network("reference", false);
  const auto engine = engine_of(builder);
  EXPECT_EQ(engine->inputs()[0].dims, (Dims{1, 3, 13, 11}));
  const auto session = session_of(engine);
  const std::vector<Tensor> inputs = random_inputs(engine->program(), 1, 3);
  EXPECT_TRUE(outputs_identical(test::evaluate_slowly(builder, engine->program(), inputs, 1), *session->run(inputs)));
  EXPECT_EQ(session->run(random_inputs(engine->program(), 2, 3)).status().code(), StatusCode::kInvalidArgument);
}

TEST(Session, SaysWhichInputIsWrong) {
  ProgramBuilder builder = test::residual_network();
  const auto engine = engine_of(builder);
  EXPECT_EQ(engine->inputs()[0].dims, (Dims{-1, 3, 13, 11}));
  EXPECT_EQ(engine->outputs()[1].dtype, DType::kInt8);
  const auto session = session_of(engine);
  for (const Tensor& wrong :
       {Tensor(), Tensor(DType::kUint8, {1, 3, 13, 11}), Tensor(DType::kFloat32, {1, 3, 13, 12}),
        Tensor(DType::kFloat32, {3, 13, 11}), Tensor(DType::kFloat32, {0, 3, 13, 11})}) {
    const Status status = session->run({wrong}).status();
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(status.message().find("'image'"), std::string::npos) << status.message();
  }
  EXPECT_EQ(session->run(std::vector<Tensor>{}).status().code(), StatusCode::kInvalidArgument);
  std::vector<float> memory(200000);
  const std::vector<void*> outputs{memory.data(), memory.data(), memory.data()};
  EXPECT_EQ(session->run(0, {memory.data()}, outputs).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(session->run(1, {nullptr}, outputs).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(session->run(1, {memory.data()}, {memory.data()}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(session->run(1, {reinterpret_cast<char*>(memory.data()) + 1}, outputs).code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(Session::create(engine, {.threads = -1}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Session::create(nullptr).status().code(), StatusCode::kInvalidArgument);
  EXPECT_GE(session_of(engine, 0)->threads(), 1);
}

struct Buffers {
  std::vector<Tensor> inputs, outputs;
  std::vector<const void*> in;
  std::vector<void*> out;
  Buffers(const Program& program, int64_t batch) : inputs(random_inputs(program, batch, 4)) {
    for (TensorId id : program.outputs) {
      const TensorInfo& t = program.tensors[static_cast<size_t>(id)];
      Dims dims = t.dims;
      dims[0] *= batch;
      outputs.emplace_back(t.dtype, dims);
    }
    for (const Tensor& t : inputs) in.push_back(t.raw());
    for (Tensor& t : outputs) out.push_back(t.raw());
  }
};

TEST(Session, AllocatesNothingOnceABatchHasRun) {
  for (ProgramBuilder builder : {test::residual_network(), test::attention_network()}) {
    const auto engine = engine_of(builder);
    for (int threads : {1, 3}) {
      const auto session = session_of(engine, threads);
      Buffers one(engine->program(), 1), again(engine->program(), 1), eight(engine->program(), 8);
      ASSERT_TRUE(session->run(1, one.in, one.out).is_ok());
      ASSERT_TRUE(session->run(8, eight.in, eight.out).is_ok());
      const int64_t before = test::allocation_count();
      bool fine = true;
      for (int round = 0; round < 5; ++round) {
        fine = fine && session->run(1, one.in, one.out).is_ok();
        fine = fine && session->run(1, again.in, again.out).is_ok();
        fine = fine && session->run(8, eight.in, eight.out).is_ok();
      }
      EXPECT_EQ(test::allocation_count(), before);
      EXPECT_TRUE(fine);
      const std::vector<Tensor> expected = test::evaluate_slowly(builder, engine->program(), again.inputs, 1);
      EXPECT_TRUE(outputs_identical(expected, again.outputs));
      EXPECT_TRUE(outputs_identical(expected, one.outputs));
    }
  }
}

TEST(Session, GrowsWithTheBatchAndStaysThere) {
  ProgramBuilder builder = test::residual_network();
  const auto engine = engine_of(builder);
  const auto session = session_of(engine);
  const std::vector<Tensor> one = random_inputs(engine->program(), 1, 1);
  const std::vector<Tensor> five = random_inputs(engine->program(), 5, 2);
  const std::vector<Tensor> expected = *session->run(one);
  const int64_t small = session->memory_bytes();
  EXPECT_GE(small, engine->program().arena_bytes);
  ASSERT_TRUE(session->run(five).is_ok());
  const int64_t large = session->memory_bytes();
  EXPECT_GE(large, small + 4 * engine->program().arena_bytes);
  EXPECT_TRUE(outputs_identical(expected, *session->run(one)));
  EXPECT_EQ(session->memory_bytes(), large);
  const int64_t limit = tensor_byte_limit();
  set_tensor_byte_limit(large);
  const Buffers buffers(engine->program(), 200);
  EXPECT_EQ(session->run(200, buffers.in, buffers.out).code(), StatusCode::kResourceLimit);
  EXPECT_TRUE(outputs_identical(expected, *session->run(one)));  // usable after the refusal
  set_tensor_byte_limit(limit);
}

TEST(Session, SessionsOfOneEngineRunSideBySide) {
  for (ProgramBuilder builder : {test::residual_network(), test::island_network()}) {
    const auto engine = engine_of(builder);
    const std::vector<Tensor> inputs = random_inputs(engine->program(), 2, 7);
    const std::vector<Tensor> expected = *session_of(engine)->run(inputs);
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 3; ++caller)
      callers.emplace_back([&, caller] {
        const auto session = session_of(engine, 1 + caller % 2);
        for (int round = 0; round < 20; ++round)
          if (!outputs_identical(expected, *session->run(inputs))) ++wrong;
      });
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(wrong, 0);
  }
}

TEST(Session, ProbesAndProfiles) {
  ProgramBuilder builder = test::residual_network();
  const auto engine = engine_of(builder);
  const Program& program = engine->program();
  const auto session = session_of(engine);
  Buffers buffers(program, 2);
  std::vector<size_t> seen;
  Tensor x, left;
  session->set_probe([&](size_t operation) {
    seen.push_back(operation);
    const auto* quantize = std::get_if<QuantizeOp>(&program.operations[operation]);
    const auto* binary = std::get_if<BinaryOp>(&program.operations[operation]);
    if (quantize != nullptr) x = *session->read_tensor(quantize->dst);
    if (binary != nullptr && !binary->multiply) left = *session->read_tensor(binary->dst);
    EXPECT_EQ(session->run(1, buffers.in, buffers.out).code(), StatusCode::kInvalidArgument);
  });
  EXPECT_EQ(session->read_tensor(0).status().code(), StatusCode::kInvalidArgument);
  ASSERT_TRUE(session->run(2, buffers.in, buffers.out).is_ok());
  ASSERT_EQ(seen.size(), program.operations.size());
  for (size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], i);
  ASSERT_EQ(x.dims(), (Dims{2, 3, 13, 11}));
  for (int64_t i = 0; i < x.numel(); ++i)
    ASSERT_EQ(x.data<uint8_t>()[i], quantize_value(buffers.inputs[0].data<float>()[i], 0.02f, 120, 0, 255)) << i;
  EXPECT_EQ(left.dims(), (Dims{2, 20, 7, 6}));
  session->set_probe({});
  const Result<std::vector<double>> times = session->profile(2, buffers.in, buffers.out);
  ASSERT_TRUE(times.is_ok());
  EXPECT_EQ(times->size(), program.operations.size());
  for (double ms : *times) EXPECT_GE(ms, 0);
}

// Outputs that are views, listed twice, also inputs, or read again by a convolution; an input that a convolution
// reads.
TEST(Session, OutputsAndInputsInUnusualRoles) {
  ProgramBuilder b;
  b.program.batched = true;
  const TensorId in = b.input(b.plain("rows", DType::kUint8, {1, 37}, 0.1f, 5));
  const TensorId mid = b.output(b.plain("mid", DType::kUint8, {1, 18}, 0.1f, 99));
  ASSERT_TRUE(b.conv(in, mid, {}, 1));
  const TensorId last = b.plain("last", DType::kUint8, {1, 12}, 0.1f, 120);
  ASSERT_TRUE(b.conv(mid, last, {}, 2));
  b.output(in);
  b.output(b.reshaped("folded", last, {1, 3, 4}));
  b.output(mid);
  const auto engine = engine_of(b);
  for (int64_t batch : {1, 3}) {
    const std::vector<Tensor> inputs = random_inputs(engine->program(), batch, 6);
    const std::vector<Tensor> expected = test::evaluate_slowly(b, engine->program(), inputs, batch);
    Result<std::vector<Tensor>> outputs = session_of(engine, 2)->run(inputs);
    ASSERT_TRUE(outputs.is_ok()) << outputs.status().message();
    EXPECT_TRUE(outputs_identical(expected, *outputs));
    EXPECT_TRUE(outputs_identical({inputs[0]}, {(*outputs)[1]}));
  }
}

TEST(Session, FailingIslandsAreErrorsAndLeaveTheSessionUsable) {
  ProgramBuilder builder = test::island_network();
  Program program = builder.finish();
  for (Operation& operation : program.operations)
    if (auto* island = std::get_if<IslandOp>(&operation)) {
      // The shape comes from the data: no verifier can know that it does not fit.
      Graph& g = island->graph;
      const ValueId x = g.inputs[0];
      const ValueId nonzero = g.nodes[g.add_node("NonZero", {x}, {"places"})].outputs[0];
      const ValueId real = g.nodes[g.add_node("Cast", {nonzero}, {"real places"}, {{"to", int64_t{1}}})].outputs[0];
      g.outputs = {real};
    }
  Result<std::shared_ptr<const Engine>> engine = Engine::from_program(program);
  ASSERT_TRUE(engine.is_ok()) << engine.status().message();
  const auto session = session_of(*engine, 2);
  for (int round = 0; round < 2; ++round) {
    const Status status = session->run(random_inputs(program, 3, 1)).status();
    EXPECT_EQ(status.code(), StatusCode::kDataCorrupt);
    EXPECT_NE(status.message().find("'soft'"), std::string::npos) << status.message();
  }
}

}  // namespace
}  // namespace octet::engine
