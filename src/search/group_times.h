// What the engine's groups cost in INT8 and in float, by the names of their nodes.
#pragma once

#include <map>
#include <string>

#include "octet/graph.h"

namespace octet {

struct GroupTimes {
  struct Group {
    double int8_us = 0, float_us = 0;  // microseconds for one image; 0: not known
    double macs = 0;
  };
  std::map<std::string, Group> by_node;  // every node of a group
  double int8_us = 0;                    // sum over all groups
};

// Compiles the network for this CPU and `threads`, timing kernels for at most `seconds`. `folder` (may be empty)
// keeps the timings in timings.cache, so that the next call gives the same figures. kUnsupported when the engine does
// not take the network.
Result<GroupTimes> time_groups(const Graph& quantized, int threads, double seconds, const std::string& folder);

}  // namespace octet
