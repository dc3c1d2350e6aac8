// Random images for small networks, on a given number of threads.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "executor/executor.h"
#include "interp/interpreter.h"
#include "octet/repair.h"
#include "passes/pass.h"
#include "support/compare.h"
#include "support/random_graph.h"

namespace octet::test {

class RandomHost : public RepairHost {
 public:
  RandomHost(const Graph& graph, int64_t batches, int threads = 2, int64_t images = 2)
      : graph_(graph), batches_(batches), threads_(threads), images_(images) {}
  int64_t batches() const override { return batches_; }
  Result<std::vector<Tensor>> load(int64_t batch) const override {
    return random_inputs(graph_, static_cast<uint64_t>(batch) + 1, images_);
  }
  Status parallel(int64_t count, const std::function<Status(int64_t item)>& body) const override {
    std::atomic<int64_t> next{0};
    std::vector<Status> results(static_cast<size_t>(count));
    std::vector<std::thread> workers;
    for (int t = 0; t < threads_; ++t)
      workers.emplace_back([&] {
        for (int64_t i = next++; i < count; i = next++) results[static_cast<size_t>(i)] = body(i);
      });
    for (std::thread& w : workers) w.join();
    for (const Status& s : results) OCTET_RETURN_IF_ERROR(s);
    return Status::ok();
  }

 private:
  Graph graph_;
  int64_t batches_;
  int threads_;
  int64_t images_;
};

inline std::vector<Tensor> outputs_of(const Graph& graph, uint64_t seed = 99, int64_t images = 3) {
  const auto executor = Executor::create(graph);
  EXPECT_TRUE(executor.is_ok()) << executor.status().message();
  const auto outputs = (*executor)->run(random_inputs(graph, seed, images));
  EXPECT_TRUE(outputs.is_ok()) << outputs.status().message();
  return *outputs;
}

inline Tensor constant_of_graph(const Graph& graph, const std::string& name) {
  const ValueId id = graph.find_value(name);
  EXPECT_NE(id, kNoValue) << name;
  return *graph.value(id).constant;
}

}  // namespace octet::test
