// What the weights alone tell about quantization, before any data.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "arith/quantize.h"
#include "octet/quantization.h"
#include "quantization/network.h"

namespace octet {
namespace {

// A channel whose largest weight is this many times the median channel's uses up the codes of a per-tensor scale: the
// median channel keeps 127 / 32, that is 4 codes a side.
constexpr float kOutlierRatio = 32.0f;
constexpr double kLargestAccumulator = 2147483647.0;
constexpr float kTinyWeight = 1e-7f;
// Share of neighbouring weight pairs that can leave 16 bits with unsigned activations; real networks have 1.5 to 2.4
// %.
constexpr double kManyPairs = 0.05;

std::string number(double v) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", v);
  return text;
}

struct Channel {
  float amax = 0;
  double sum = 0;  // of magnitudes
  bool finite = true;
};

std::vector<Channel> measure_channels(const Tensor& w, const QuantLayout& layout) {
  std::vector<Channel> channels(static_cast<size_t>(layout.scale_count));
  const float* p = w.data<float>();
  for (int64_t i = 0; i < w.numel(); ++i) {
    Channel& c = channels[static_cast<size_t>(layout.scale_index(i))];
    const float magnitude = std::fabs(p[i]);
    c.finite = c.finite && std::isfinite(p[i]);
    c.amax = std::max(c.amax, magnitude);
    c.sum += magnitude;
  }
  return channels;
}

class Checker {
 public:
  Checker(const Graph& graph, const std::string& target) : net_(graph), target_(target) {}

  std::vector<QuantizationWarning> run() {
    for (size_t i = 0; i < net_.graph.nodes.size(); ++i) {
      const Node& n = net_.node(i);
      if (n.is("BatchNormalization"))
        say(n, "",
            "batch normalisation stands on its own: fold it into the convolution in front, so that the weights " +
                std::string("are quantized as they are used"));
      const int input = weight_input(net_, i);
      if (input >= 0) check_weight(i, input);
    }
    if (pair_layers_ > 0)
      say(*worst_pairs_.node, worst_pairs_.tensor,
          number(100 * worst_pairs_.share) +
              " % of its weight pairs can saturate in 16 bits on CPUs without VNNI, the " + "largest share of " +
              std::to_string(pair_layers_) + " such layer(s); set ONNX Runtime's " +
              "session.x64quantprecision=1 there, or use the octet target, whose kernels are exact");
    return std::move(warnings_);
  }

 private:
  void say(const Node& n, const std::string& tensor, std::string sentence) {
    warnings_.push_back(
        {n.name, tensor,
         "node '" + n.name + "'" + (tensor.empty() ? "" : ", weight '" + tensor + "'") + ": " + std::move(sentence)});
  }

  void check_weight(size_t i, int input) {
    const Node& n = net_.node(i);
    const Value& value = net_.value(n.inputs[static_cast<size_t>(input)]);
    const Tensor& w = *value.constant;
    int axis = weight_channel_axis(n, input, w.rank());
    const bool grouped_transpose = axis < 0 && n.is("ConvTranspose") && w.rank() >= 3;
    if (grouped_transpose) axis = 1;
    const auto layout = quant_layout(w.dims(), axis, 0);
    if (!layout.is_ok() || w.numel() == 0) return;
    const std::vector<Channel> channels = measure_channels(w, *layout);
    if (std::any_of(channels.begin(), channels.end(), [](const Channel& c) { return !c.finite; })) {
      say(n, value.name, "has values that are NaN or infinite; quantization will refuse it, so repair the network");
      return;
    }
    check_dead(n, value.name, channels);
    check_outliers(n, value.name, channels);
    check_size(n, value.name, channels);
    check_accumulator(n, value.name, channels, fan_in(net_, i));
    if (target_ == "onnxruntime" && axis == 0 && w.rank() >= 2) check_pairs(n, value.name, w, channels);
  }

  void check_dead(const Node& n, const std::string& name, const std::vector<Channel>& channels) {
    size_t first = channels.size(), count = 0;
    for (size_t c = 0; c < channels.size(); ++c) {
      if (channels[c].amax != 0) continue;
      first = std::min(first, c);
      ++count;
    }
    if (count > 0)
      say(n, name,
          std::to_string(count) + " of " + std::to_string(channels.size()) + " channels are all zero (first: " +
              std::to_string(first) + "); they cost time for nothing, so prune them");
  }

  void check_outliers(const Node& n, const std::string& name, const std::vector<Channel>& channels) {
    std::vector<float> amaxes;
    for (const Channel& c : channels)
      if (c.amax > 0) amaxes.push_back(c.amax);
    if (amaxes.size() < 2) return;
    std::nth_element(amaxes.begin(), amaxes.begin() + static_cast<std::ptrdiff_t>(amaxes.size() / 2), amaxes.end());
    const float median = amaxes[amaxes.size() / 2];
    const auto largest = std::max_element(channels.begin(), channels.end(),
                                          [](const Channel& a, const Channel& b) { return a.amax < b.amax; });
    if (largest->amax < kOutlierRatio * median) return;
    say(n, name,
        "channel " + std::to_string(largest - channels.begin()) + " reaches " + number(largest->amax) + ", " +
            number(largest->amax / median) + " times the median channel (" + number(median) +
            "); keep per_channel: true, or equalize the layers before a per-tensor scale");
  }

  void check_size(const Node& n, const std::string& name, const std::vector<Channel>& channels) {
    const auto largest = std::max_element(channels.begin(), channels.end(),
                                          [](const Channel& a, const Channel& b) { return a.amax < b.amax; });
    if (largest->amax > 0 && largest->amax < kTinyWeight)
      say(n, name,
          "no weight exceeds " + number(largest->amax) + "; values below 2^-24 quantize to 0, so rescale the " +
              "layer or skip it");
  }

  // The worst sum of one channel: all activations at code 255, each with the sign that adds.
  void check_accumulator(const Node& n, const std::string& name, const std::vector<Channel>& channels,
                         int64_t terms) {
    for (size_t c = 0; c < channels.size(); ++c) {
      if (channels[c].amax <= 0) continue;
      const double worst = channels[c].sum / channels[c].amax * 127.0 * 255.0;
      if (worst <= kLargestAccumulator) continue;
      say(n, name,
          "channel " + std::to_string(c) + " sums " + std::to_string(terms) + " products and could reach " +
              number(worst) + ", more than an int32 accumulator holds (2.15e9); split the layer or skip it");
      return;
    }
  }

  // Neighbouring input channels whose two products with code 255 leave 16 bits, as vpmaddubsw adds them.
  void check_pairs(const Node& n, const std::string& name, const Tensor& w, const std::vector<Channel>& channels) {
    const int64_t inner = w.numel() / std::max<int64_t>(1, w.dim(0) * w.dim(1));
    int64_t pairs = 0, over = 0;
    for (int64_t o = 0; o < w.dim(0); ++o) {
      const float amax = channels[static_cast<size_t>(o)].amax;
      if (amax <= 0) continue;
      for (int64_t c = 0; c + 1 < w.dim(1); c += 2) {
        for (int64_t k = 0; k < inner; ++k) {
          const float* p = w.data<float>() + (o * w.dim(1) + c) * inner + k;
          const float sum = (p[0] + p[inner]) / amax * 127.0f;
          ++pairs;
          if (std::fabs(sum) * 255.0f > 32767.0f) ++over;
        }
      }
    }
    if (pairs == 0 || static_cast<double>(over) <= kManyPairs * static_cast<double>(pairs)) return;
    ++pair_layers_;
    const double share = static_cast<double>(over) / static_cast<double>(pairs);
    if (share > worst_pairs_.share) worst_pairs_ = {&n, name, share};
  }

  Network net_;
  std::string target_;
  std::vector<QuantizationWarning> warnings_;
  struct {
    const Node* node = nullptr;
    std::string tensor;
    double share = 0;
  } worst_pairs_;
  int pair_layers_ = 0;
};

}  // namespace

std::vector<QuantizationWarning> check_before_calibration(const Graph& graph, const std::string& target) {
  return Checker(graph, target).run();
}

}  // namespace octet
