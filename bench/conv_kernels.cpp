// Times every INT8 convolution kernel of src/kernels/cpu, and oneDNN's, on the layers of the benchmark networks: one
// thread, all contenders interleaved, the least processor time of each.
//
//   octet_conv_kernels [--network NAME] [--rounds N] [--kernels a,b,...] [--full-range] [--cold] [--no-onednn]
//   [--real-ic]
//
// oneDNN obeys ONEDNN_MAX_CPU_ISA (AVX2, AVX512_CORE_VNNI, ...), the kernels OCTET_MAX_ISA.
#include <fmt/format.h>
#include <omp.h>
#include <time.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <random>

#include "conv_shapes.h"
#include "kernels/cpu/conv.h"
#include "kernels/cpu/features.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace octet::cpu {
namespace {

double thread_seconds() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct FreeDeleter {
  void operator()(uint8_t* p) const { std::free(p); }
};
using Buffer = std::unique_ptr<uint8_t[], FreeDeleter>;
Buffer make_buffer(size_t bytes) {
  auto* p = static_cast<uint8_t*>(std::aligned_alloc(64, (bytes + kReadSlack + 63) / 64 * 64));
  std::fill_n(p, bytes, uint8_t{0});
  return Buffer(p);
}

struct Layer {
  LayerShape shape;
  ConvProblem problem;
  double macs = 0;  // of the network's own channels
  std::vector<int8_t> weights;
  std::vector<int32_t> bias;
  std::vector<float> multiplier;
  Buffer src, dst;
};

// The stem has 4 channels, the last of them 0, unless real_ic: how the compiler lays images out.
Layer make_layer(const LayerShape& shape, int32_t src_hi, bool real_ic) {
  Layer layer;
  layer.shape = shape;
  ConvGeometry& g = layer.problem.geometry;
  g.ih = g.iw = shape.size;
  g.ic = shape.ic == 3 && !real_ic ? 4 : shape.ic;
  g.oc = shape.oc;
  g.kh = g.kw = shape.kernel;
  g.stride_h = g.stride_w = shape.stride;
  g.pad_top = g.pad_left = shape.pad;
  g.groups = shape.groups;
  g.oh = g.ow = (shape.size + 2 * shape.pad - shape.kernel) / shape.stride + 1;
  layer.problem.src_hi = src_hi;
  layer.macs = static_cast<double>(g.oh * g.ow * g.oc * (shape.ic / g.groups) * g.kh * g.kw);
  std::mt19937 rng(7);
  std::normal_distribution<float> weight(0, 30);
  layer.weights.resize(static_cast<size_t>(g.oc * (g.ic / g.groups) * g.kh * g.kw));
  for (int8_t& w : layer.weights) w = static_cast<int8_t>(std::clamp(weight(rng), -127.0f, 127.0f));
  layer.bias.assign(static_cast<size_t>(g.oc), 1000);
  layer.multiplier.assign(static_cast<size_t>((g.oc + 15) / 16 * 16), 0.002f);
  const auto src_size = static_cast<size_t>(g.ih * g.iw * g.ic);
  layer.src = make_buffer(src_size);
  // As ReLU leaves them: half are 0; the highest code is four standard deviations away.
  std::normal_distribution<float> code(0, static_cast<float>(src_hi) / 4);
  for (size_t i = 0; i < src_size; ++i)
    layer.src[i] = static_cast<uint8_t>(std::clamp(code(rng), 0.0f, static_cast<float>(src_hi)));
  layer.dst = make_buffer(static_cast<size_t>(g.oh * g.ow * g.oc));
  return layer;
}

struct Contender {
  std::string name;
  std::function<void()> run;
  double seconds = 1e9;
};

Contender kernel_contender(const ConvKernel& kernel, const Layer& layer) {
  struct State {
    Buffer packed, scratch;
    ConvCall call;
  };
  auto state = std::make_shared<State>();
  state->packed = make_buffer(kernel.packed_bytes(layer.problem));
  state->scratch = make_buffer(kernel.scratch_bytes(layer.problem));
  kernel.pack(layer.problem, layer.weights.data(), layer.bias.data(), state->packed.get());
  ConvCall& call = state->call;
  call.problem = &layer.problem;
  call.packed = state->packed.get();
  call.store.multiplier = layer.multiplier.data();
  call.src = layer.src.get();
  call.src_pixel_stride = layer.problem.geometry.ic;
  call.dst = layer.dst.get();
  call.dst_pixel_stride = layer.problem.geometry.oc;
  const int64_t tasks = kernel.tasks(layer.problem, 1, 1);
  return {std::string(kernel.name()), [state, &kernel, tasks] {
            for (int64_t t = 0; t < tasks; ++t) kernel.run(state->call, t, tasks, state->scratch.get());
          }};
}

// With the same fused work: bias, one multiplier per channel, saturation to u8. NHWC in and out, weights as it likes.
Contender onednn_contender(const dnnl::engine& engine, const Layer& layer) {
  using dnnl::memory;
  using Tag = memory::format_tag;
  using Type = memory::data_type;
  const ConvGeometry& g = layer.problem.geometry;
  const bool grouped = g.groups > 1;
  const memory::dims strides{g.stride_h, g.stride_w}, pads{g.pad_top, g.pad_left};
  const memory::desc src({1, g.ic, g.ih, g.iw}, Type::u8, Tag::nhwc), dst({1, g.oc, g.oh, g.ow}, Type::u8, Tag::nhwc);
  const memory::dims filter = grouped ? memory::dims{g.groups, g.oc / g.groups, g.ic / g.groups, g.kh, g.kw}
                                      : memory::dims{g.oc, g.ic, g.kh, g.kw};
  const memory::desc weights(filter, Type::s8, Tag::any), plain(filter, Type::s8, grouped ? Tag::goihw : Tag::oihw);
  const memory::desc bias({g.oc}, Type::s32, Tag::x);
  dnnl::primitive_attr attributes;
  attributes.set_output_scales(1 << 1, std::vector<float>(layer.multiplier.begin(), layer.multiplier.begin() + g.oc));
  const dnnl::convolution_forward::desc desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
                                             src, weights, bias, dst, strides, pads, pads);
  const dnnl::convolution_forward::primitive_desc primitive_desc(desc, attributes, engine);
  auto stream = std::make_shared<dnnl::stream>(engine);
  memory packed(primitive_desc.weights_desc(), engine);
  memory given(plain, engine, const_cast<int8_t*>(layer.weights.data()));
  dnnl::reorder(given, packed).execute(*stream, given, packed);
  stream->wait();
  const std::unordered_map<int, memory> arguments = {
      {DNNL_ARG_SRC, memory(src, engine, layer.src.get())},
      {DNNL_ARG_WEIGHTS, packed},
      {DNNL_ARG_BIAS, memory(bias, engine, const_cast<int32_t*>(layer.bias.data()))},
      {DNNL_ARG_DST, memory(dst, engine, layer.dst.get())}};
  const dnnl::convolution_forward primitive(primitive_desc);
  return {"onednn", [=] {
            primitive.execute(*stream, arguments);
            stream->wait();
          }};
}

#if defined(__x86_64__)
// Multiply-adds from registers alone: what the arithmetic units can do. In products per call.
constexpr int kPeakRounds = 20000;
__attribute__((target("avx512f,avx512vnni"))) double vnni_peak() {
  __m512i sums[16] = {}, a = _mm512_set1_epi8(1), b = _mm512_set1_epi8(2);
  for (int i = 0; i < kPeakRounds; ++i)
#pragma GCC unroll 16
    for (auto& sum : sums) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  return kPeakRounds * 16.0 * 64;
}
__attribute__((target("avx2"))) double pairs_peak() {
  __m256i sums[8] = {}, a = _mm256_set1_epi8(1), b = _mm256_set1_epi8(2), ones = _mm256_set1_epi16(1);
  for (int i = 0; i < kPeakRounds; ++i) {
#pragma GCC unroll 16
    for (auto& sum : sums) {
      __m256i product;
      __asm__ volatile("vpmaddubsw %3, %2, %1\n vpmaddwd %4, %1, %1\n vpaddd %1, %0, %0"
                       : "+x"(sum), "=&x"(product)
                       : "x"(a), "x"(b), "x"(ones));
    }
  }
  return kPeakRounds * 8.0 * 32;
}
__attribute__((target("avx2"))) double words_peak() {
  __m256i sums[8] = {}, a = _mm256_set1_epi8(1), b = _mm256_set1_epi8(2);
  for (int i = 0; i < kPeakRounds; ++i) {
#pragma GCC unroll 16
    for (auto& sum : sums) {
      __m256i product;
      __asm__ volatile("vpmaddwd %3, %2, %1\n vpaddd %1, %0, %0" : "+x"(sum), "=&x"(product) : "x"(a), "x"(b));
    }
  }
  return kPeakRounds * 8.0 * 16;
}

void print_peaks(int rounds) {
  const auto best = [&](double (*peak)()) {
    double rate = 0;
    for (int i = 0; i < rounds; ++i) {
      const double begin = thread_seconds();
      const double products = peak();
      rate = std::max(rate, products / (thread_seconds() - begin));
    }
    return rate * 1e-9;
  };
  if ((cpu_features() & kAvx2) != 0)
    fmt::print("registers only, GMAC/s: pairs {:.1f}, words {:.1f}", best(pairs_peak), best(words_peak));
  if ((cpu_features() & kAvx512Vnni) != 0) fmt::print(", vnni {:.1f}", best(vnni_peak));
  fmt::print("\n");
}
#else
void print_peaks(int) {}
#endif

struct Options {
  std::string network, kernels;
  int rounds = 20;
  bool full_range = false, cold = false, no_onednn = false, real_ic = false;
};

bool wanted(const Options& options, std::string_view name) {
  return options.kernels.empty() ||
         ("," + options.kernels + ",").find("," + std::string(name) + ",") != std::string::npos;
}

// Reads more than that cache holds.
void leave_second_level_cache() {
  static const std::vector<uint8_t> other(size_t{8} << 20, 1);
  volatile uint8_t sink = 0;
  for (size_t i = 0; i < other.size(); i += 64) sink = other[i];
  static_cast<void>(sink);
}

std::vector<Contender> time_layer(const Options& options, const Layer& layer, const dnnl::engine& engine) {
  std::vector<Contender> contenders;
  for (const ConvKernel* kernel : conv_kernels()) {
    if (kernel->name() == "reference" || !wanted(options, kernel->name())) continue;
    if ((kernel->features() & ~cpu_features()) != 0 || !kernel->reject(layer.problem, layer.weights.data()).empty())
      continue;
    contenders.push_back(kernel_contender(*kernel, layer));
  }
  if (!options.no_onednn) contenders.push_back(onednn_contender(engine, layer));
  for (int round = 0; round < options.rounds; ++round) {
    for (Contender& contender : contenders) {
      if (options.cold) leave_second_level_cache();
      const double begin = thread_seconds();
      contender.run();
      contender.seconds = std::min(contender.seconds, thread_seconds() - begin);
    }
  }
  return contenders;
}

void run(const Options& options) {
  omp_set_num_threads(1);
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  fmt::print("features: {}\n", features_to_string(cpu_features()));
  print_peaks(options.rounds);
  std::map<std::string, std::map<std::string, double>> totals;
  for (const LayerShape& shape : kLayerShapes) {
    if (!options.network.empty() && options.network != shape.network) continue;
    const Layer layer = make_layer(shape, options.full_range ? 255 : 127, options.real_ic);
    fmt::print("{:<12}{:>3} x {:>4}x{:<3} -> {:<4} {}x{} /{} g{:<4}", shape.network, shape.count, shape.ic,
               shape.size, shape.oc, shape.kernel, shape.kernel, shape.stride, shape.groups);
    double best = 1e9;
    for (const Contender& c : time_layer(options, layer, engine)) {
      fmt::print(" | {} {:.3f} ms {:.0f}", c.name, c.seconds * 1e3, layer.macs / c.seconds * 1e-9);
      totals[shape.network][c.name] += c.seconds * static_cast<double>(shape.count);
      if (c.name != "onednn") best = std::min(best, c.seconds);
    }
    fmt::print("\n");
    totals[shape.network]["best own"] += best * static_cast<double>(shape.count);
    std::fflush(stdout);
  }
  for (const auto& [network, sums] : totals) {
    fmt::print("{:<12} ms of the layers that it takes:", network);
    for (const auto& [name, seconds] : sums) fmt::print(" {} {:.3f}", name, seconds * 1e3);
    fmt::print("\n");
  }
}

}  // namespace
}  // namespace octet::cpu

int main(int argc, char** argv) {
  octet::cpu::Options options;
  CLI::App app("INT8 convolution kernels, layer by layer, one thread: ms and GMAC/s");
  app.add_option("--network", options.network, "only this network's layers");
  app.add_option("--rounds", options.rounds, "times each contender runs; the least counts");
  app.add_option("--kernels", options.kernels, "only these, with commas between");
  app.add_flag("--full-range", options.full_range, "source codes up to 255 instead of 127");
  app.add_flag("--cold", options.cold, "weights and codes come from the last-level cache, as between other layers");
  app.add_flag("--no-onednn", options.no_onednn, "without oneDNN");
  app.add_flag("--real-ic", options.real_ic, "3 channels in the stem, instead of 4 as compiled");
  CLI11_PARSE(app, argc, argv);
  octet::cpu::run(options);
  return 0;
}
