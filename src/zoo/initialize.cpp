#include "zoo/initialize.h"

#include <cmath>
#include <string_view>

namespace octet::zoo {
namespace {

// splitmix64 (Steele, Lea, Flood, 2014).
class Stream {
 public:
  Stream(std::string_view name, uint64_t seed) {
    uint64_t hash = 0xcbf29ce484222325ULL;  // FNV-1a
    for (char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3ULL;
    state_ = hash ^ (seed * 0x9e3779b97f4a7c15ULL);
    state_ = bits();
  }
  uint64_t bits() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // In the open interval (0, 1).
  double unit() { return (static_cast<double>(bits() >> 11) + 0.5) * 0x1.0p-53; }

 private:
  uint64_t state_;
};

double fan(const Dims& dims, int axis) {
  double n = dims.size() > static_cast<size_t>(axis) ? static_cast<double>(dims[static_cast<size_t>(axis)]) : 1.0;
  for (size_t i = 2; i < dims.size(); ++i) n *= static_cast<double>(dims[i]);
  return n;
}

void fill_normal(Tensor& t, Stream& stream, double deviation) {
  float* p = t.data<float>();
  for (int64_t i = 0; i < t.numel(); ++i) p[i] = static_cast<float>(deviation * normal_quantile(stream.unit()));
}

void fill_truncated(Tensor& t, Stream& stream, double deviation) {
  const double low = 0.5 * std::erfc(std::sqrt(2.0)), high = 1.0 - low;  // the distribution at -2 and 2
  float* p = t.data<float>();
  for (int64_t i = 0; i < t.numel(); ++i)
    p[i] = static_cast<float>(deviation * normal_quantile(low + (high - low) * stream.unit()));
}

void fill_uniform(Tensor& t, Stream& stream, double bound) {
  float* p = t.data<float>();
  for (int64_t i = 0; i < t.numel(); ++i) p[i] = static_cast<float>(bound * (2.0 * stream.unit() - 1.0));
}

}  // namespace

// P. J. Acklam's rational approximations, "An algorithm for computing the inverse normal cumulative distribution
// function", 2003.
double normal_quantile(double p) {
  constexpr double kTail = 0.02425;
  constexpr double a[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                          1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
  constexpr double b[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                          6.680131188771972e+01, -1.328068155288572e+01};
  constexpr double c[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                          -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
  constexpr double d[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00, 3.754408661907416e+00};
  if (p >= kTail && p <= 1 - kTail) {
    const double q = p - 0.5, r = q * q;
    return (((((a[0] * r + a[1]) * r + a[2]) * r + a[3]) * r + a[4]) * r + a[5]) * q /
           (((((b[0] * r + b[1]) * r + b[2]) * r + b[3]) * r + b[4]) * r + 1);
  }
  const double q = std::sqrt(-2 * std::log(p < 0.5 ? p : 1 - p));
  const double x = (((((c[0] * q + c[1]) * q + c[2]) * q + c[3]) * q + c[4]) * q + c[5]) /
                   ((((d[0] * q + d[1]) * q + d[2]) * q + d[3]) * q + 1);
  return p < 0.5 ? x : -x;
}

void initialize(Tensor& tensor, const Init& init, const std::string& name, uint64_t seed) {
  Stream stream(name, seed);
  const Dims& dims = tensor.dims();
  switch (init.kind) {
    case Init::Kind::kConstant: {
      float* p = tensor.data<float>();
      for (int64_t i = 0; i < tensor.numel(); ++i) p[i] = static_cast<float>(init.value);
      return;
    }
    case Init::Kind::kNormal: return fill_normal(tensor, stream, init.value);
    case Init::Kind::kTruncatedNormal: return fill_truncated(tensor, stream, init.value);
    case Init::Kind::kUniform: return fill_uniform(tensor, stream, init.value);
    case Init::Kind::kHeFanOut: return fill_normal(tensor, stream, std::sqrt(2.0 / fan(dims, 0)));
    case Init::Kind::kHeFanIn: return fill_normal(tensor, stream, std::sqrt(2.0 / fan(dims, 1)));
    case Init::Kind::kUniformFanIn: return fill_uniform(tensor, stream, 1.0 / std::sqrt(fan(dims, 1)));
  }
}

}  // namespace octet::zoo
