// Every operator of pixel_ops.h at every instruction set this CPU has, against plain loops over its written contract.
#include "kernels/cpu/pixel_ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/cpu/features.h"

namespace octet::cpu {
namespace {

constexpr uint8_t kUntouched = 0xa5;
constexpr size_t kMargin = 64;  // bytes behind a buffer that must stay as they are

std::vector<uint32_t> levels() {
  limit_cpu_features_for_testing(~0u);
  std::vector<uint32_t> masks = {0};
  for (uint32_t mask : {kAvx2 + 0u, kAvx2 | kAvx512, kAvx2 | kAvx512 | kAvx512Vnni})
    if ((cpu_features() & mask) == mask) masks.push_back(mask);
  return masks;
}

template <class Body>
void at_every_level(Body body) {
  for (uint32_t mask : levels()) {
    limit_cpu_features_for_testing(mask);
    SCOPED_TRACE(features_to_string(mask));
    body();
  }
  limit_cpu_features_for_testing(~0u);
}

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int64_t between(int64_t lo, int64_t hi) { return std::uniform_int_distribution<int64_t>(lo, hi)(engine_); }
  float real(float lo, float hi) { return std::uniform_real_distribution<float>(lo, hi)(engine_); }
  std::vector<uint8_t> codes(int64_t n) {
    std::vector<uint8_t> v(static_cast<size_t>(n));
    const bool extreme = between(0, 3) == 0;
    for (auto& x : v) x = static_cast<uint8_t>(extreme ? 255 * between(0, 1) : between(0, 255));
    return v;
  }
  Grid grid() {
    Grid g;
    if (between(0, 1) == 0) return {static_cast<int32_t>(between(0, 255)), 0, 255};
    g.lo = static_cast<int32_t>(between(0, 100));
    g.hi = static_cast<int32_t>(between(g.lo, 255));
    g.zero = static_cast<int32_t>(between(g.lo, g.hi));
    return g;
  }

 private:
  std::mt19937 engine_;
};

// A buffer of bytes that notices writes behind its end.
struct Guarded {
  explicit Guarded(int64_t n) : bytes(static_cast<size_t>(n) + kMargin, kUntouched) {}
  bool intact() const {
    return std::all_of(bytes.end() - kMargin, bytes.end(), [](uint8_t b) { return b == kUntouched; });
  }
  std::vector<uint8_t> bytes;
};

// Runs rows in two unequal parts, as threads would.
template <class Call, class Run>
void in_parts(int64_t rows, Run run, const Call& call) {
  const int64_t middle = rows / 3;
  run(call, middle, rows);
  run(call, 0, middle);
}

struct LayoutShape {
  int64_t batch, channels, pixels, stride;
};
const LayoutShape kLayouts[] = {{1, 3, 1, 3},       {1, 3, 224, 4},  {2, 3, 1031, 4}, {1, 1, 777, 4},
                                {1, 4, 530, 4},     {3, 1, 45, 1},   {1, 3, 100, 3},  {2, 2, 33, 4},
                                {1, 1000, 1, 1000}, {2, 37, 1, 64},  {1, 16, 49, 16}, {1, 85, 600, 96},
                                {2, 33, 17, 35},    {1, 64, 513, 64}};

LayoutCall layout_call(const LayoutShape& s, Random& random) {
  LayoutCall call;
  call.batch = s.batch, call.channels = s.channels, call.pixels = s.pixels, call.pixel_stride = s.stride;
  call.scale = random.real(0.001f, 0.1f);
  call.grid = random.grid();
  return call;
}

// The place of (image, channel, pixel) in planes and in pixels.
int64_t in_planes(const LayoutCall& c, int64_t n, int64_t ch, int64_t p) {
  return (n * c.channels + ch) * c.pixels + p;
}
int64_t in_pixels(const LayoutCall& c, int64_t n, int64_t ch, int64_t p) {
  return (n * c.pixels + p) * c.pixel_stride + ch;
}

std::vector<float> floats_for(const LayoutCall& call, Random& random) {
  std::vector<float> v(static_cast<size_t>(call.batch * call.channels * call.pixels));
  const float special[] = {0.0f,
                           -0.0f,
                           std::numeric_limits<float>::infinity(),
                           -std::numeric_limits<float>::infinity(),
                           std::numeric_limits<float>::quiet_NaN(),
                           1e38f,
                           -1e38f,
                           1e-42f};
  for (auto& x : v) {
    const int64_t kind = random.between(0, 9);
    if (kind == 0) x = special[random.between(0, 7)];
    // Ties of the division and the floats beside them.
    else if (kind < 4) {
      x = (static_cast<float>(random.between(-300, 300)) + 0.5f) * call.scale;
      for (int64_t i = random.between(-2, 2); i != 0; i += i < 0 ? 1 : -1)
        x = std::nextafter(x, i < 0 ? -1e9f : 1e9f);
    } else {
      x = random.real(-300, 300) * call.scale;
    }
  }
  return v;
}

TEST(PixelOps, QuantizeToNhwc) {
  Random random(1);
  for (const LayoutShape& shape : kLayouts) {
    for (float scale : {0.0f, 0.0078125f, 1e-38f, 3e37f}) {
      LayoutCall call = layout_call(shape, random);
      if (scale != 0.0f) call.scale = scale;
      const std::vector<float> src = floats_for(call, random);
      std::vector<uint8_t> expected(static_cast<size_t>(call.batch * call.pixels * call.pixel_stride));
      for (int64_t n = 0; n < call.batch; ++n)
        for (int64_t c = 0; c < call.pixel_stride; ++c)
          for (int64_t p = 0; p < call.pixels; ++p)
            expected[in_pixels(call, n, c, p)] =
                static_cast<uint8_t>(c < call.channels ? quantize_value(src[in_planes(call, n, c, p)], call.scale,
                                                                        call.grid.zero, call.grid.lo, call.grid.hi)
                                                       : call.grid.zero);
      at_every_level([&] {
        Guarded dst(static_cast<int64_t>(expected.size()));
        call.src = src.data(), call.dst = dst.bytes.data();
        in_parts(layout_rows(call), quantize_to_nhwc, call);
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(), dst.bytes.begin()))
            << shape.channels << " channels, " << shape.pixels << " pixels, scale " << call.scale;
        EXPECT_TRUE(dst.intact());
      });
    }
  }
}

TEST(PixelOps, DequantizeToNchw) {
  Random random(2);
  for (const LayoutShape& shape : kLayouts) {
    LayoutCall call = layout_call(shape, random);
    const auto src = random.codes(call.batch * call.pixels * call.pixel_stride);
    std::vector<float> expected(static_cast<size_t>(call.batch * call.channels * call.pixels));
    for (int64_t n = 0; n < call.batch; ++n)
      for (int64_t c = 0; c < call.channels; ++c)
        for (int64_t p = 0; p < call.pixels; ++p)
          expected[in_planes(call, n, c, p)] =
              static_cast<float>(src[in_pixels(call, n, c, p)] - call.grid.zero) * call.scale;
    at_every_level([&] {
      std::vector<float> dst(expected.size() + 16, -7.0f);
      call.src = src.data(), call.dst = dst.data();
      in_parts(layout_rows(call), dequantize_to_nchw, call);
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(), dst.begin())) << shape.channels << " channels";
      EXPECT_TRUE(std::all_of(dst.end() - 16, dst.end(), [](float x) { return x == -7.0f; }));
    });
  }
}

TEST(PixelOps, BytesBothWays) {
  Random random(3);
  for (const LayoutShape& shape : kLayouts) {
    for (uint8_t flip : {0x00, 0x80}) {
      LayoutCall call = layout_call(shape, random);
      const auto planes = random.codes(call.batch * call.channels * call.pixels);
      std::vector<uint8_t> expected(static_cast<size_t>(call.batch * call.pixels * call.pixel_stride),
                                    static_cast<uint8_t>(call.grid.zero));
      for (int64_t n = 0; n < call.batch; ++n)
        for (int64_t c = 0; c < call.channels; ++c)
          for (int64_t p = 0; p < call.pixels; ++p)
            expected[in_pixels(call, n, c, p)] = planes[in_planes(call, n, c, p)] ^ flip;
      at_every_level([&] {
        Guarded pixels(static_cast<int64_t>(expected.size()));
        call.src = planes.data(), call.dst = pixels.bytes.data();
        const auto there = [&](const LayoutCall& c, int64_t b, int64_t e) { bytes_to_nhwc(c, flip, b, e); };
        const auto back = [&](const LayoutCall& c, int64_t b, int64_t e) { bytes_to_nchw(c, flip, b, e); };
        in_parts(layout_rows(call), there, call);
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(), pixels.bytes.begin())) << shape.channels;
        EXPECT_TRUE(pixels.intact());
        Guarded again(static_cast<int64_t>(planes.size()));
        call.src = pixels.bytes.data(), call.dst = again.bytes.data();
        in_parts(layout_rows(call), back, call);
        EXPECT_TRUE(std::equal(planes.begin(), planes.end(), again.bytes.begin())) << shape.channels;
        EXPECT_TRUE(again.intact());
      });
    }
  }
}

struct RowShape {
  int64_t rows, channels, src_stride, dst_stride;
};
const RowShape kRows[] = {{1, 1, 1, 1},    {7, 64, 64, 64},    {5, 3, 4, 8},
                          {9, 40, 40, 40}, {4, 200, 256, 200}, {3, 255, 255, 300},
                          {2, 77, 80, 77}, {11, 16, 48, 32},   {1, 1000, 1000, 1000}};

TEST(PixelOps, ApplyTable) {
  Random random(4);
  for (const RowShape& shape : kRows) {
    auto src = random.codes(shape.rows * shape.src_stride);
    for (size_t i = 0; i < src.size(); ++i)
      if (shape.rows == 1) src[i] = static_cast<uint8_t>(i);  // every code at least once
    const auto table = random.codes(256);
    for (const uint8_t* t : {table.data(), static_cast<const uint8_t*>(nullptr)}) {
      at_every_level([&] {
        Guarded dst(shape.rows * shape.dst_stride);
        TableCall call = {shape.rows, shape.channels, shape.src_stride, shape.dst_stride,
                          t,          src.data(),     dst.bytes.data()};
        in_parts(shape.rows, apply_table, call);
        for (int64_t r = 0; r < shape.rows; ++r)
          for (int64_t c = 0; c < shape.dst_stride; ++c) {
            const uint8_t s = c < shape.channels ? src[r * shape.src_stride + c] : 0;
            const uint8_t expected = c >= shape.channels ? kUntouched : t != nullptr ? t[s] : s;
            ASSERT_EQ(dst.bytes[r * shape.dst_stride + c], expected) << "row " << r << " channel " << c;
          }
        EXPECT_TRUE(dst.intact());
        if (shape.src_stride != shape.dst_stride) return;
        auto in_place = src;
        call.src = call.dst = in_place.data();
        apply_table(call, 0, shape.rows);
        EXPECT_TRUE(std::equal(in_place.begin(), in_place.begin() + shape.channels, dst.bytes.begin()));
      });
    }
  }
}

uint8_t binary_by_contract(const BinaryCall& call, int32_t a, int32_t b) {
  float v = 0;
  if (call.multiply) {
    v = static_cast<float>((a - call.a_zero) * (b - call.b_zero)) * call.a_scale;
  } else {
    const float left = static_cast<float>(a - call.a_zero) * call.a_scale;
    const float right = static_cast<float>(b - call.b_zero) * call.b_scale;
    v = left + right;
  }
  const auto code = static_cast<uint8_t>(to_grid(v, call.grid));
  return call.table != nullptr ? call.table[code] : code;
}

BinaryCall binary_call(int64_t channels, Random& random) {
  BinaryCall call;
  call.multiply = random.between(0, 1) == 1;
  call.b_per_image = random.between(0, 2) == 0;
  call.batch = random.between(1, 3);
  call.pixels = random.between(1, 9);
  call.channels = channels;
  const int64_t wide = random.between(0, 1) * random.between(0, 70);
  call.a_stride = channels + wide;
  call.b_stride = channels + (wide > 0 ? random.between(0, 5) : 0);
  call.dst_stride = channels + wide;
  call.a_zero = static_cast<int32_t>(random.between(0, 255));
  call.b_zero = static_cast<int32_t>(random.between(0, 255));
  // Halves make ties; large scales leave 32 bits.
  const float scales[] = {0.5f, 0.25f, 0.73f, 1.0f, 1e-3f, 1e9f, -0.5f, 1e30f};
  call.a_scale = scales[random.between(0, 7)];
  call.b_scale = random.between(0, 1) == 0 ? random.real(0, 2) : scales[random.between(0, 7)];
  call.grid = random.grid();
  return call;
}

TEST(PixelOps, Binary) {
  Random random(5);
  for (int round = 0; round < 120; ++round) {
    const int64_t sizes[] = {1, 8, 24, 31, 32, 64, 65, 96, 127, 160, 256};
    BinaryCall call = binary_call(sizes[random.between(0, 10)], random);
    const int64_t rows = call.batch * call.pixels;
    const auto a = random.codes(rows * call.a_stride);
    const auto b = random.codes((call.b_per_image ? call.batch : rows) * call.b_stride);
    const auto table = random.codes(256);
    if (random.between(0, 1) == 1) call.table = table.data();
    at_every_level([&] {
      Guarded dst(rows * call.dst_stride);
      auto in_place = a;
      call.a = a.data(), call.b = b.data(), call.dst = dst.bytes.data();
      in_parts(rows, binary, call);
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t rb = call.b_per_image ? r / call.pixels : r;
        for (int64_t c = 0; c < call.dst_stride; ++c) {
          const uint8_t expected =
              c >= call.channels ? kUntouched
                                 : binary_by_contract(call, a[r * call.a_stride + c], b[rb * call.b_stride + c]);
          ASSERT_EQ(dst.bytes[r * call.dst_stride + c], expected) << "round " << round << " row " << r << ", " << c;
        }
      }
      EXPECT_TRUE(dst.intact());
      call.a = call.dst = in_place.data();
      binary(call, 0, rows);
      for (int64_t r = 0; r < rows; ++r)
        ASSERT_TRUE(std::equal(in_place.begin() + r * call.a_stride,
                               in_place.begin() + r * call.a_stride + call.channels,
                               dst.bytes.begin() + r * call.dst_stride));
    });
  }
}

uint8_t pool_by_contract(const PoolCall& call, int64_t n, int64_t oy, int64_t ox, int64_t c) {
  int64_t sum = 0, inside = 0;
  uint8_t most = 0;
  for (int64_t ky = 0; ky < call.kh; ++ky) {
    for (int64_t kx = 0; kx < call.kw; ++kx) {
      const int64_t y = oy * call.stride_h - call.pad_top + ky * call.dilation_h;
      const int64_t x = ox * call.stride_w - call.pad_left + kx * call.dilation_w;
      if (y < 0 || y >= call.ih || x < 0 || x >= call.iw) continue;
      const uint8_t code = call.src[((n * call.ih + y) * call.iw + x) * call.src_stride + c];
      sum += code - call.src_zero;
      most = std::max(most, code);
      ++inside;
    }
  }
  if (!call.average) return most;
  const int64_t count = call.count_pad ? call.kh * call.kw : std::max<int64_t>(inside, 1);
  const float multiplier = call.scale / static_cast<float>(count);
  return static_cast<uint8_t>(to_grid(static_cast<float>(sum) * multiplier, call.grid));
}

void check_pool(PoolCall call, Random& random, bool all_255 = false) {
  call.src_stride = call.channels + (random.between(0, 2) == 0 ? random.between(1, 40) : 0);
  call.dst_stride = call.channels + (random.between(0, 2) == 0 ? random.between(1, 40) : 0);
  call.src_zero = static_cast<int32_t>(random.between(0, 255));
  call.scale = random.real(0.3f, 2.5f);
  call.grid = random.grid();
  auto src = random.codes(call.batch * call.ih * call.iw * call.src_stride);
  if (all_255) std::fill(src.begin(), src.end(), uint8_t{255});
  call.src = src.data();
  const int64_t rows = call.batch * call.oh;
  at_every_level([&] {
    Guarded dst(rows * call.ow * call.dst_stride);
    call.dst = dst.bytes.data();
    in_parts(rows, pool, call);
    for (int64_t i = 0; i < rows * call.ow * call.dst_stride; ++i) {
      const int64_t c = i % call.dst_stride, pixel = i / call.dst_stride;
      const uint8_t expected = c >= call.channels ? kUntouched
                                                  : pool_by_contract(call, pixel / call.ow / call.oh,
                                                                     pixel / call.ow % call.oh, pixel % call.ow, c);
      ASSERT_EQ(dst.bytes[i], expected) << (call.average ? "average" : "max") << " pixel " << pixel << " channel "
                                        << c << " of " << call.channels << ", kernel " << call.kh << "x" << call.kw;
    }
    EXPECT_TRUE(dst.intact());
  });
}

TEST(PixelOps, Pool) {
  Random random(6);
  for (int round = 0; round < 80; ++round) {
    PoolCall call;
    call.average = round % 2 == 1;
    call.count_pad = random.between(0, 1) == 1;
    call.batch = random.between(1, 2);
    const int64_t sizes[] = {1, 7, 16, 24, 32, 64, 96, 130, 256, 321};
    call.channels = sizes[random.between(0, 9)];
    call.ih = random.between(1, 9), call.iw = random.between(1, 9);
    call.kh = random.between(1, 5), call.kw = random.between(1, 5);
    call.stride_h = random.between(1, 3), call.stride_w = random.between(1, 3);
    call.dilation_h = random.between(1, 2), call.dilation_w = random.between(1, 2);
    call.pad_top = random.between(0, 3), call.pad_left = random.between(0, 3);  // also windows without a pixel
    call.oh = (call.ih + call.pad_top) / call.stride_h + 1, call.ow = (call.iw + call.pad_left) / call.stride_w + 1;
    check_pool(call, random);
  }
}

TEST(PixelOps, GlobalAverageOfManyPixels) {
  Random random(7);
  for (const auto& [size, channels] : {std::pair<int64_t, int64_t>{7, 2048}, {16, 65}, {33, 40}}) {
    PoolCall call;
    call.average = true;
    call.channels = channels;
    call.ih = call.iw = call.kh = call.kw = size;
    for (int i = 0; i < 4; ++i) check_pool(call, random, i % 2 == 1);
  }
}

TEST(PixelOps, ResizeNearest) {
  Random random(8);
  for (const int64_t channels : {1, 24, 64, 100, 256}) {
    ResizeCall call;
    call.batch = 2, call.channels = channels, call.ih = 3, call.iw = 5, call.oh = 7, call.ow = 9;
    call.src_stride = channels + 3, call.dst_stride = channels + 8;
    std::vector<int32_t> rows(7), columns(9);
    for (auto& r : rows) r = static_cast<int32_t>(random.between(0, 2));
    for (auto& c : columns) c = static_cast<int32_t>(random.between(0, 4));
    const auto src = random.codes(2 * 3 * 5 * call.src_stride);
    call.row_of = rows.data(), call.column_of = columns.data(), call.src = src.data();
    at_every_level([&] {
      Guarded dst(2 * 7 * 9 * call.dst_stride);
      call.dst = dst.bytes.data();
      in_parts(14, resize_nearest, call);
      for (int64_t i = 0; i < 2 * 7 * 9 * call.dst_stride; ++i) {
        const int64_t c = i % call.dst_stride, x = i / call.dst_stride % 9, y = i / call.dst_stride / 9 % 7;
        const int64_t n = i / call.dst_stride / 63;
        const uint8_t expected =
            c >= channels ? kUntouched : src[((n * 3 + rows[y]) * 5 + columns[x]) * call.src_stride + c];
        ASSERT_EQ(dst.bytes[i], expected) << channels << " channels, place " << i;
      }
      EXPECT_TRUE(dst.intact());
    });
  }
}

}  // namespace
}  // namespace octet::cpu
