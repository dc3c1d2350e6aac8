// How differently two sets of values are spread.
#pragma once

#include "octet/calibration.h"

namespace octet {

// Square root of the Jensen-Shannon divergence in bits (Lin, 1991; a metric: Endres and Schindelin, 2003): 0 for
// equal shares, 1 for values that never meet. Both sides are counted in the same bins: zeros, 64 of equal width for
// each sign up to the magnitude that 99.9 % of both together do not exceed, and what lies beyond. 0 when one side is
// empty.
double jensen_shannon_distance(const TensorStatistics& a, const TensorStatistics& b);

}  // namespace octet
