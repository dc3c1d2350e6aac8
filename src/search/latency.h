// How long the engine takes for one image.
#pragma once

#include <string>

#include "octet/graph.h"

namespace octet {

struct LatencyOptions {
  int threads = 1;
  double seconds = 1;
  std::string folder;    // timings.cache; empty: none
  bool integers = true;  // false: everything in float
};

struct Latency {
  double ms = 0;            // the least of many runs
  std::string fingerprint;  // of the program: equal programs take equal times
};

// Compiles the graph for this CPU, kernels timed, and runs it as a whole; conversions between precisions are part of
// that. With a folder every program is timed once only. kUnsupported when the engine does not take the network.
Result<Latency> measure_latency(const Graph& graph, const LatencyOptions& options);

}  // namespace octet
