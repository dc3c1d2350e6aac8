// What the float form of the network costs, group by group.
#pragma once

#include <map>
#include <string>

#include "engine/compiler/timing_cache.h"
#include "octet/graph.h"

namespace octet::engine {

// The network with every QuantizeLinear/DequantizeLinear pair on activations taken out and weights dequantized.
Result<Graph> float_twin(const Graph& graph);

// Microseconds of each step of the float executor by the name of every node in it, the least of several runs on one
// image. A step of several nodes is under the name of each. Nothing runs when `cache` has them all.
Result<std::map<std::string, double>> float_times(const Graph& twin, int threads, double seconds, TimingCache& cache);

}  // namespace octet::engine
