// Means of activations from batch normalization alone: Nagel et al. 2019, arXiv 1906.04721, section 4.2.1, appendix
// C.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "octet/repair.h"

namespace octet::repair {

// E[clamp(x, lo, hi)] for a normal x; lo and hi may be infinite.
double clipped_normal_mean(double mean, double deviation, double lo, double hi);

// The mean of each channel, by value: what batch normalization says, carried on through Relu, Clip, additions and
// averages. Values of which it says nothing are not in the map.
std::map<ValueId, std::vector<double>> expected_means(const Graph& graph,
                                                      const std::map<std::string, ChannelMoments>& moments);

}  // namespace octet::repair
