// Initial weights: the distributions that the papers and their libraries draw from, the same numbers on every machine
// with IEEE arithmetic.
#pragma once

#include <cstdint>
#include <string>

#include "octet/tensor.h"

namespace octet::zoo {

// Fans are those of PyTorch's torch.nn.init: fan_in = dims[1] * kernel, fan_out = dims[0] * kernel, groups or not.
struct Init {
  enum class Kind {
    kConstant,         // value
    kNormal,           // mean 0, standard deviation value
    kTruncatedNormal,  // the same, cut at two standard deviations
    kUniform,          // in +-value
    kHeFanOut,         // normal, standard deviation sqrt(2 / fan_out): He et al., arXiv 1502.01852, equation 14
    kHeFanIn,          // normal, sqrt(2 / fan_in): equation 10
    kUniformFanIn,     // uniform in +-1 / sqrt(fan_in): what PyTorch gives to Conv2d and Linear
  };
  Kind kind = Kind::kConstant;
  double value = 0;
};

inline constexpr Init kZeros{Init::Kind::kConstant, 0};
inline constexpr Init kOnes{Init::Kind::kConstant, 1};
inline constexpr Init kHeFanOut{Init::Kind::kHeFanOut};
inline constexpr Init kHeFanIn{Init::Kind::kHeFanIn};
inline constexpr Init kUniformFanIn{Init::Kind::kUniformFanIn};

// Fills a float32 tensor. Every name has its own stream of random numbers, so that the values of one weight do not
// depend on which others exist.
void initialize(Tensor& tensor, const Init& init, const std::string& name, uint64_t seed);

// The inverse of the normal distribution function for 0 < p < 1; relative error below 1.2e-9.
double normal_quantile(double p);

}  // namespace octet::zoo
