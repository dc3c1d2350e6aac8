// Sums per channel of tensors, collected while a network runs over the images of a host.
#pragma once

#include <string>
#include <vector>

#include "octet/repair.h"

namespace octet::repair {

struct ChannelTap {
  std::string tensor;
  int axis = 1;          // that counts channels; negative: from the end
  double threshold = 0;  // for ChannelSums::above
};

struct ChannelSums {
  int64_t count = 0;  // elements of one channel
  std::vector<double> sum, sum_sq, abs_max;
  int64_t above = 0;  // elements of all channels beyond the threshold

  void merge(const ChannelSums& other);
  ChannelMoments moments() const;
};

// One entry per tap; sums are added in the order of the batches, so that they do not depend on threads. A tensor that
// never had the axis leaves its entry empty.
Result<std::vector<ChannelSums>> channel_sums(const Graph& graph, const std::vector<ChannelTap>& taps,
                                              const RepairHost& host, const std::string& stage);

}  // namespace octet::repair
