// Every tensor that has a range: its values, what the calibrators would clip, and its quantizer.
#pragma once

#include <string>
#include <unordered_map>

#include "report/artifacts.h"

namespace octet::report {

// A list of objects: name, role, type, method, lo, hi, step, codes, min, max, count, zeros, clipped, why, bin_lo,
// bin_width, bins, clips; weights have channels (largest magnitudes) and outliers. In the order of the network where
// it is known. `index` gets the place of each name.
Json tensor_views(const Artifacts& artifacts, std::unordered_map<std::string, size_t>* index);

// Channels whose largest weight is more than so many times the median of its layer are outliers: one scale for the
// tensor would leave the others few codes.
constexpr double kOutlierRatio = 8;

}  // namespace octet::report
