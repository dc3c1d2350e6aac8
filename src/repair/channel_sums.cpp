#include "repair/channel_sums.h"

#include <algorithm>
#include <cmath>

#include "executor/executor.h"
#include "repair/in_order.h"

namespace octet::repair {
namespace {

ChannelSums sums_of(const Tensor& x, const ChannelTap& tap) {
  ChannelSums s;
  const int axis = tap.axis < 0 ? x.rank() + tap.axis : tap.axis;
  if (x.dtype() != DType::kFloat32 || axis < 0 || axis >= x.rank() || x.numel() == 0) return s;
  int64_t inner = 1;
  for (int d = axis + 1; d < x.rank(); ++d) inner *= x.dim(d);
  const int64_t channels = x.dim(axis), outer = x.numel() / (channels * inner);
  s.count = outer * inner;
  s.sum.assign(static_cast<size_t>(channels), 0);
  s.sum_sq = s.abs_max = s.sum;
  const float* p = x.data<float>();
  for (int64_t o = 0; o < outer; ++o)
    for (size_t c = 0; c < s.sum.size(); ++c)
      for (int64_t i = 0; i < inner; ++i, ++p) {
        const double v = *p;
        s.sum[c] += v;
        s.sum_sq[c] += v * v;
        s.abs_max[c] = std::max(s.abs_max[c], std::fabs(v));
        s.above += v > tap.threshold ? 1 : 0;
      }
  return s;
}

}  // namespace

void ChannelSums::merge(const ChannelSums& other) {
  if (other.count == 0) return;
  if (count == 0) {
    *this = other;
    return;
  }
  if (other.sum.size() != sum.size()) return;  // another number of channels in another image: not a channel axis
  count += other.count;
  above += other.above;
  for (size_t c = 0; c < sum.size(); ++c) {
    sum[c] += other.sum[c];
    sum_sq[c] += other.sum_sq[c];
    abs_max[c] = std::max(abs_max[c], other.abs_max[c]);
  }
}

ChannelMoments ChannelSums::moments() const {
  ChannelMoments m;
  for (size_t c = 0; c < sum.size(); ++c) {
    const double n = static_cast<double>(count), mean = sum[c] / n;
    m.mean.push_back(mean);
    m.deviation.push_back(std::sqrt(std::max(0.0, sum_sq[c] / n - mean * mean)));
  }
  return m;
}

Result<std::vector<ChannelSums>> channel_sums(const Graph& graph, const std::vector<ChannelTap>& taps,
                                              const RepairHost& host, const std::string& stage) {
  ExecutorOptions options;
  for (const ChannelTap& t : taps) options.taps.push_back(t.tensor);
  OCTET_ASSIGN(const std::unique_ptr<Executor> executor, Executor::create(graph, options));
  std::vector<ChannelSums> total(taps.size());
  const auto run = [&](int64_t batch, std::vector<ChannelSums>* out) -> Status {
    OCTET_ASSIGN(const std::vector<Tensor> inputs, host.load(batch));
    out->assign(taps.size(), {});
    const TapSink sink = [&](size_t tap, const TensorView& view) {
      (*out)[tap] = sums_of(view.to_tensor(), taps[tap]);
    };
    return executor->run(inputs, sink).status();
  };
  const auto merge = [&](std::vector<std::vector<ChannelSums>>& chunk) -> Status {
    for (const std::vector<ChannelSums>& one : chunk)
      for (size_t t = 0; t < taps.size(); ++t) total[t].merge(one[t]);
    return Status::ok();
  };
  OCTET_RETURN_IF_ERROR(run_in_order<std::vector<ChannelSums>>(host, stage, run, merge));
  return total;
}

}  // namespace octet::repair
