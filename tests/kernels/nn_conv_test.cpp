#include "kernels/nn_support.h"

namespace octet {
namespace {

using namespace test;

struct Config {
  Ints spatial, kernel, strides, dilations, pads;
  int64_t group = 1, ic_group = 1, oc_group = 1, batch = 1;

  Attributes attributes() const {
    return {{"strides", strides}, {"dilations", dilations}, {"pads", pads}, {"group", group}};
  }
  Dims src() const {
    Dims d{batch, group * ic_group};
    d.insert(d.end(), spatial.begin(), spatial.end());
    return d;
  }
  Dims weight() const {
    Dims d{group * oc_group, ic_group};
    d.insert(d.end(), kernel.begin(), kernel.end());
    return d;
  }
  Ints out() const {
    Ints o;
    for (size_t i = 0; i < kernel.size(); ++i) {
      const int64_t room = spatial[i] + pads[i] + pads[i + kernel.size()] - (kernel[i] - 1) * dilations[i] - 1;
      o.push_back(room < 0 ? 0 : room / strides[i] + 1);
    }
    return o;
  }
};

Config random_config(uint32_t seed, size_t rank) {
  std::mt19937 engine(seed);
  const auto draw = [&](int64_t lo, int64_t hi) { return lo + static_cast<int64_t>(engine() % (hi - lo + 1)); };
  Config c;
  for (size_t i = 0; i < rank; ++i) {
    c.spatial.push_back(draw(3, 7));
    c.kernel.push_back(draw(1, 3));
    c.strides.push_back(draw(1, 3));
    c.dilations.push_back(draw(1, 2));
  }
  for (size_t i = 0; i < 2 * rank; ++i) c.pads.push_back(draw(1, 2));
  c.group = draw(1, 3);
  c.ic_group = draw(1, 2);
  c.oc_group = draw(1, 2);
  c.batch = draw(1, 2);
  return c;
}

// Counts up a multi-index in row-major order; false after the last.
bool advance(Ints& at, const Ints& limits) {
  for (size_t d = at.size(); d-- > 0;) {
    if (++at[d] < limits[d]) return true;
    at[d] = 0;
  }
  return false;
}

// Flat offset of `at`, or -1 outside.
int64_t offset_in(const Ints& at, const Ints& limits) {
  int64_t offset = 0;
  for (size_t d = 0; d < at.size(); ++d) {
    if (at[d] < 0 || at[d] >= limits[d]) return -1;
    offset = offset * limits[d] + at[d];
  }
  return offset;
}

int64_t volume(const Ints& v) {
  int64_t n = 1;
  for (int64_t d : v) n *= d;
  return n;
}

// The sum over the window as the definition writes it, one output at a time, with src(flat) and weight(flat).
template <class S, class W>
std::vector<double> convolve_by_definition(const Config& c, S src, W weight) {
  std::vector<double> result;
  const Ints out = c.out();
  for (int64_t n = 0; n < c.batch; ++n)
    for (int64_t oc = 0; oc < c.group * c.oc_group; ++oc) {
      Ints o(out.size(), 0);
      do {
        double sum = 0;
        for (int64_t i = 0; i < c.ic_group; ++i) {
          const int64_t channel = oc / c.oc_group * c.ic_group + i;
          Ints k(out.size(), 0);
          do {
            Ints at(out.size());
            for (size_t d = 0; d < at.size(); ++d) at[d] = o[d] * c.strides[d] + k[d] * c.dilations[d] - c.pads[d];
            const int64_t from = offset_in(at, c.spatial);
            if (from >= 0)
              sum += src((n * c.group * c.ic_group + channel) * volume(c.spatial) + from) *
                     weight((oc * c.ic_group + i) * volume(c.kernel) + offset_in(k, c.kernel));
          } while (advance(k, c.kernel));
        }
        result.push_back(sum);
      } while (advance(o, out));
    }
  return result;
}

TEST(Conv, FollowsTheDefinitionForRandomGeometry) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const Config c = random_config(seed, 1 + seed % 3);
    if (volume(c.out()) == 0) continue;
    SCOPED_TRACE(seed);
    const Tensor src = random_floats(c.src(), seed);
    const Tensor weight = random_floats(c.weight(), seed + 1000);
    const Tensor bias = random_floats({c.group * c.oc_group}, seed + 2000);
    const std::vector<double> sums = convolve_by_definition(
        c, [&](int64_t i) { return static_cast<double>(src.data<float>()[i]); },
        [&](int64_t i) { return static_cast<double>(weight.data<float>()[i]); });
    std::vector<float> expected;
    for (size_t i = 0; i < sums.size(); ++i)
      expected.push_back(static_cast<float>(
          sums[i] +
          static_cast<double>(bias.data<float>()[static_cast<int64_t>(i) / volume(c.out()) % bias.numel()])));
    Dims dims{c.batch, c.group * c.oc_group};
    for (int64_t d : c.out()) dims.push_back(d);
    expect_near({"Conv", {src, weight, bias}, c.attributes()}, dims, expected);
  }
}

// <conv(x), y> = <x, conv_transpose(y)>: the transposed convolution is the adjoint, whatever the geometry.
TEST(ConvTranspose, IsTheAdjointOfConv) {
  for (uint32_t seed = 0; seed < 60; ++seed) {
    const Config c = random_config(seed, 1 + seed % 3);
    if (volume(c.out()) == 0) continue;
    SCOPED_TRACE(seed);
    const Tensor x = random_floats(c.src(), seed);
    const Tensor weight = random_floats(c.weight(), seed + 1000);
    const auto forward = run_op({"Conv", {x, weight}, c.attributes()});
    ASSERT_TRUE(forward.is_ok()) << forward.status().message();
    const Tensor y = random_floats((*forward)[0].dims(), seed + 3000);
    Attributes attributes = c.attributes();
    Ints output_padding;  // the rest of the division by the stride
    for (size_t d = 0; d < c.kernel.size(); ++d)
      output_padding.push_back(
          (c.spatial[d] + c.pads[d] + c.pads[d + c.kernel.size()] - (c.kernel[d] - 1) * c.dilations[d] - 1) %
          c.strides[d]);
    attributes["output_padding"] = output_padding;
    const auto back = run_op({"ConvTranspose", {y, weight}, attributes});
    ASSERT_TRUE(back.is_ok()) << back.status().message();
    ASSERT_EQ((*back)[0].dims(), x.dims());
    double left = 0;
    double right = 0;
    for (int64_t i = 0; i < y.numel(); ++i)
      left += static_cast<double>((*forward)[0].data<float>()[i]) * static_cast<double>(y.data<float>()[i]);
    for (int64_t i = 0; i < x.numel(); ++i)
      right += static_cast<double>((*back)[0].data<float>()[i]) * static_cast<double>(x.data<float>()[i]);
    EXPECT_NEAR(left, right, 1e-4 * (1 + std::fabs(left)));
  }
}

TEST(Conv, AutoPadPutsTheOddElementWhereItsNameSays) {
  const Tensor x = counting({1, 1, 4});
  const Tensor pair = floats({1, 1, 2}, {10, 1});
  expect_near({"Conv", {x, pair}, {{"auto_pad", "SAME_UPPER"}}}, {1, 1, 4}, {12, 23, 34, 40});
  expect_near({"Conv", {x, pair}, {{"auto_pad", "SAME_LOWER"}}}, {1, 1, 4}, {1, 12, 23, 34});
  expect_near({"Conv", {x, pair}, {{"auto_pad", "VALID"}}}, {1, 1, 3}, {12, 23, 34});
}

TEST(ConvTranspose, AutoPadAndOutputShapeFixTheSize) {
  const Tensor x = counting({1, 1, 2});
  const Tensor w = floats({1, 1, 3}, {1, 10, 100});  // full result: 1 10 102 20 200
  const Ints stride{2};
  expect_near({"ConvTranspose", {x, w}, {{"strides", stride}}}, {1, 1, 5}, {1, 10, 102, 20, 200});
  expect_near({"ConvTranspose", {x, w}, {{"strides", stride}, {"auto_pad", "SAME_UPPER"}}}, {1, 1, 4},
              {1, 10, 102, 20});
  expect_near({"ConvTranspose", {x, w}, {{"strides", stride}, {"auto_pad", "SAME_LOWER"}}}, {1, 1, 4},
              {10, 102, 20, 200});
  expect_near({"ConvTranspose", {x, w}, {{"strides", stride}, {"output_shape", Ints{6}}}}, {1, 1, 6},
              {1, 10, 102, 20, 200, 0});
}

TEST(ConvInteger, SubtractsZeroPointsPerOutputChannel) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const Config c = random_config(seed, 2);
    if (volume(c.out()) == 0) continue;
    SCOPED_TRACE(seed);
    const int64_t oc = c.group * c.oc_group;
    const Tensor src = random_codes<uint8_t>(c.src(), 0, 255, seed);
    const Tensor weight = random_codes<int8_t>(c.weight(), -128, 127, seed + 1);
    const Tensor zeros = random_codes<int8_t>({oc}, -128, 127, seed + 2);
    const int64_t per_channel = weight.numel() / oc;
    const std::vector<double> sums = convolve_by_definition(
        c, [&](int64_t i) { return src.data<uint8_t>()[i] - 130.0; },
        [&](int64_t i) { return weight.data<int8_t>()[i] - 1.0 * zeros.data<int8_t>()[i / per_channel]; });
    Dims dims{c.batch, oc};
    for (int64_t d : c.out()) dims.push_back(d);
    expect_output<int32_t>({"ConvInteger", {src, weight, Tensor::scalar<uint8_t>(130), zeros}, c.attributes()}, dims,
                           {sums.begin(), sums.end()});
  }
}

// Sums that float32 would lose: 2^24 + 1 - 2^24.
TEST(Conv, AccumulatesBeyondFloat32) {
  const Tensor x = floats({1, 3, 1}, {16777216.0F, 1.0F, -16777216.0F});
  expect_near({"Conv", {x, floats({1, 3, 1}, {1, 1, 1})}}, {1, 1, 1}, {1});
}

TEST(Conv, RefusesWhatDoesNotFit) {
  const Tensor x = counting({1, 4, 5, 5});
  const Tensor w = counting({2, 4, 3, 3});
  expect_refused({"Conv", {x}}, "input 1");
  expect_refused({"Conv", {x, counting({2, 3, 3, 3})}}, "does not fit 4 input channels");
  expect_refused({"Conv", {x, w}, {{"group", int64_t{3}}}}, "3 groups");
  expect_refused({"Conv", {x, w}, {{"group", int64_t{0}}}}, "group");
  expect_refused({"Conv", {x, w}, {{"kernel_shape", Ints{3, 2}}}}, "kernel_shape [3, 2]");
  expect_refused({"Conv", {x, w}, {{"strides", Ints{0, 1}}}}, "strides");
  expect_refused({"Conv", {x, w}, {{"strides", Ints{1}}}}, "expected 2");
  expect_refused({"Conv", {x, w}, {{"dilations", Ints{1, -1}}}}, "dilations");
  expect_refused({"Conv", {x, w}, {{"dilations", Ints{INT64_MAX, 1}}}}, "dilations");
  expect_refused({"Conv", {x, w}, {{"pads", Ints{0, 0, -1, 0}}}}, "pads");
  expect_refused({"Conv", {x, w}, {{"dilations", Ints{3, 3}}}}, "spans 7");
  expect_refused({"Conv", {x, w}, {{"auto_pad", "SAME"}}}, "auto_pad 'SAME'");
  expect_refused({"Conv", {x, w, counting({3})}}, "the bias has shape [3], expected [2]");
  expect_refused({"Conv", {x, w}, {{"pads", Ints(4, int64_t{1} << 30)}}}, "");
  expect_refused({"ConvTranspose", {x, w}}, "does not fit 4 input channels");
  expect_refused({"ConvTranspose", {x, counting({4, 1, 3, 3})}, {{"pads", Ints{4, 4, 4, 4}}}}, "leave none");
  expect_refused({"ConvTranspose", {x, counting({4, 1, 3, 3})}, {{"strides", Ints(2, int64_t{1} << 30)}}}, "");
  expect_refused({"ConvInteger", {x, w}}, "expected int8 or uint8");
}

TEST(Conv, RoundsOnceForHalfTypes) {
  const auto half = [](uint16_t bits) {
    Tensor t(DType::kFloat16, {1, 1, 1});
    *t.data<uint16_t>() = bits;
    return t;
  };
  const auto y = run_op({"Conv", {half(0x3c01), half(0x3c01)}});  // (1 + 2^-10)^2 = 1 + 2^-9 + 2^-20
  ASSERT_TRUE(y.is_ok()) << y.status().message();
  EXPECT_EQ((*y)[0].dtype(), DType::kFloat16);
  EXPECT_EQ(*(*y)[0].data<uint16_t>(), 0x3c02);
}

}  // namespace
}  // namespace octet
