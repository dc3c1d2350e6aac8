// ONNX graph (float, Q/DQ or QOperator) -> Program.
//
// The stages, one file each: qoperator (QLinear* to Q/DQ), form_units (which nodes become one integer operation),
// fuse_units (tables and residual adds into stores), emit (units to operations and tensors), choose_kernels (packing
// and timing), plan_memory. float_twin gives the float network that INT8 times are compared with.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "engine/compiler/timing_cache.h"
#include "engine/program.h"
#include "octet/graph.h"

namespace octet::engine {

struct CompileOptions {
  int threads = 1;           // that the kernels are timed with
  bool timing = true;        // false: kernels by experience with geometry, weights and zero points
  double seconds = 3;        // upper bound for the timing of a whole network
  std::string timing_cache;  // a file of earlier times, read and extended; empty: none. With all times nothing runs.
  int64_t batch = 0;         // > 0: a free batch dimension becomes this number; 0: it stays free
  uint32_t features = 0;     // cpu::Feature bits to compile for; 0: this CPU. Others cannot be timed here.
  bool integers = true;      // false: everything in float, to compare
  std::vector<std::string> disabled_kernels;
  std::set<std::string> keep_float;                  // names or globs of Conv, Gemm, MatMul that stay in float
  std::function<void(const std::string&)> progress;  // one line for each stage; may be empty
};

// Errors: kUnsupported for shapes that are not known (says which value, and to give a batch), kInvalidArgument for a
// kernel name that does not exist or a node to keep in float that is no Conv, Gemm or MatMul, kNotFound for one that
// does not exist, and those of passes, verifier and timing cache.
Result<Program> compile(const Graph& graph, const CompileOptions& options = {});
// With a cache in memory instead of options.timing_cache, so that the errors are all about the network.
Result<Program> compile(const Graph& graph, const CompileOptions& options, TimingCache& cache);

}  // namespace octet::engine
