// Patches and second moments against the layer that they stand for.
#include "repair/patches.h"

#include "quantization/small_networks.h"
#include "repair/host.h"
#include "repair/input_products.h"
#include "repair/product_loops.h"

namespace octet {
namespace {

using octet::testing::NetBuilder;

size_t layer_index(const Graph& g, const std::string& name) {
  for (size_t i = 0; i < g.nodes.size(); ++i)
    if (g.nodes[i].name == name) return i;
  return g.nodes.size();
}

// Weight matrix times all patches = what the interpreter computes for the layer "layer" with input "x".
void expect_patches_make_the_output(const Graph& g, const std::vector<Tensor>& inputs) {
  const size_t i = layer_index(g, "layer");
  const auto view = repair::WeightView::of(g, i);
  ASSERT_TRUE(view.has_value());
  const Tensor& w = *g.value(view->weight()).constant;
  const auto patches = repair::sample_patches(g.nodes[i], *view, inputs[0], w.dims(), int64_t{1} << 40, 0);
  ASSERT_TRUE(patches.is_ok()) << patches.status().message();
  const auto run = interpret(g, inputs);
  ASSERT_TRUE(run.is_ok()) << run.status().message();
  const Tensor& y = (*run)[0];
  const bool conv = g.nodes[i].is("Conv");
  const int64_t channels = view->out_channels();
  ASSERT_EQ(patches->rows * channels, y.numel());
  const int64_t plane = conv ? y.numel() / (y.dim(0) * channels) : 1;
  for (int64_t r = 0; r < patches->rows; ++r)
    for (int64_t gr = 0; gr < view->groups(); ++gr)
      for (int64_t o = 0; o < view->rows(); ++o) {
        double sum = 0;
        const float* patch = patches->values.data() + (r * view->groups() + gr) * patches->width;
        for (int64_t c = 0; c < view->cols(); ++c)
          sum += static_cast<double>(patch[c]) * w.data<float>()[view->at(gr, o, c)];
        const int64_t channel = gr * view->rows() + o;
        const int64_t at = conv ? (r / plane * channels + channel) * plane + r % plane : r * channels + channel;
        ASSERT_NEAR(sum, y.data<float>()[at], 1e-4) << "row " << r << ", channel " << channel;
      }
}

TEST(Patches, ConvolutionsOfEveryForm) {
  struct Case {
    Dims x, w;
    Attributes attributes;
  };
  const auto ints = [](std::vector<int64_t> v) { return v; };
  const std::vector<Case> cases = {
      {{2, 4, 7, 5}, {6, 4, 3, 3}, {}},
      {{2, 4, 7, 5}, {6, 2, 3, 2}, {{"group", int64_t{2}}, {"pads", ints({1, 0, 2, 1})}, {"strides", ints({2, 1})}}},
      {{1, 4, 9, 9},
       {4, 1, 3, 3},
       {{"group", int64_t{4}}, {"dilations", ints({2, 3})}, {"pads", ints({2, 3, 2, 3})}}},
      {{1, 3, 6, 6}, {5, 3, 3, 3}, {{"auto_pad", std::string("SAME_UPPER")}, {"strides", ints({2, 2})}}},
      {{2, 3, 11}, {4, 3, 5}, {{"pads", ints({2, 2})}, {"strides", ints({3})}}},
      {{1, 2, 4, 5, 3}, {3, 2, 2, 3, 2}, {{"pads", ints({1, 1, 0, 0, 1, 1})}}},
  };
  for (const Case& c : cases) {
    NetBuilder b;
    const ValueId x = b.input("x", c.x);
    const Graph g = b.finish({b.op("Conv", "layer", {x, b.constant("w", c.w)}, c.attributes)});
    expect_patches_make_the_output(g, {b.random(c.x)});
  }
}

TEST(Patches, Matrices) {
  for (const int64_t transposed : {0, 1}) {
    NetBuilder b;
    const ValueId x = b.input("x", {5, 6});
    const ValueId w = b.constant("w", transposed != 0 ? Dims{4, 6} : Dims{6, 4});
    expect_patches_make_the_output(b.finish({b.op("Gemm", "layer", {x, w}, {{"transB", transposed}})}),
                                   {b.random({5, 6})});
  }
  NetBuilder b;
  const ValueId x = b.input("x", {2, 3, 6});
  expect_patches_make_the_output(b.finish({b.op("MatMul", "layer", {x, b.constant("w", {6, 4})})}),
                                 {b.random({2, 3, 6})});
}

TEST(Patches, AFewAreSpreadOverAll) {
  NetBuilder b;
  const Dims dims{1, 1, 40, 40};
  const ValueId x = b.input("x", dims);
  const Graph g = b.finish({b.op("Conv", "layer", {x, b.constant("w", {1, 1, 1, 1})})});
  Tensor positions(DType::kFloat32, dims);
  for (int64_t i = 0; i < 1600; ++i) positions.data<float>()[i] = static_cast<float>(i);
  const auto view = repair::WeightView::of(g, 0);
  std::vector<int> seen(1600, 0);
  for (int64_t batch = 0; batch < 100; ++batch) {
    const auto p = repair::sample_patches(g.nodes[0], *view, positions, {1, 1, 1, 1}, 64, batch);
    ASSERT_TRUE(p.is_ok());
    ASSERT_EQ(p->rows, 64);
    for (int64_t r = 0; r < 64; ++r) ++seen[static_cast<size_t>(p->values[static_cast<size_t>(r * p->width)])];
  }
  // 6400 draws over 1600 places.
  for (int times : seen) EXPECT_TRUE(times >= 1 && times <= 12) << times;
}

TEST(Patches, AnInputThatDoesNotFitIsRefused) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 3, 6, 6});
  const Graph g = b.finish({b.conv("layer", x, 3, 4)});
  const auto view = repair::WeightView::of(g, 0);
  for (const Dims& dims : {Dims{1, 2, 6, 6}, Dims{3, 6, 6}, Dims{6}})
    EXPECT_FALSE(
        repair::sample_patches(g.nodes[0], *view, Tensor(DType::kFloat32, dims), {4, 3, 3, 3}, 8, 0).is_ok());
}

TEST(Products, EqualTheSumsOverAllPatches) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 4, 6, 6});
  const Graph g = b.finish({b.conv("layer", b.relu("r", x), 4, 6, 3, 2)});
  const Graph other = [&] {
    Graph copy = g;
    copy.nodes[layer_index(copy, "r")].op_type = "Abs";
    return copy;
  }();
  const test::RandomHost host(g, 40, 3, 1);
  const size_t i = layer_index(g, "layer");
  const auto view = repair::WeightView::of(g, i);
  const auto exact = repair::Prefix::create(g, "r_out"), quantized = repair::Prefix::create(other, "r_out");
  ASSERT_TRUE(exact.is_ok() && quantized.is_ok());
  const auto products = repair::collect_products(g.nodes[i], *view, {6, 2, 3, 3}, *quantized, &*exact, host);
  ASSERT_TRUE(products.is_ok()) << products.status().message();
  ASSERT_EQ(products->size(), 2u);
  std::vector<double> second(18 * 18, 0), cross(18 * 18, 0);
  for (int64_t n = 0; n < 40; ++n) {
    const Tensor input = (*host.load(n))[0];
    const auto a = repair::sample_patches(g.nodes[i], *view, *exact->run({input}), {6, 2, 3, 3}, 64, n);
    const auto q = repair::sample_patches(g.nodes[i], *view, *quantized->run({input}), {6, 2, 3, 3}, 64, n);
    for (int64_t r = 0; r < a->rows; ++r) {
      const float* xa = a->values.data() + (r * 2 + 1) * a->width;
      const float* xq = q->values.data() + (r * 2 + 1) * q->width;
      for (size_t k = 0; k < 18; ++k)
        for (size_t l = 0; l < 18; ++l) {
          second[k * 18 + l] += static_cast<double>(xq[k]) * xq[l] / (40.0 * 36);
          cross[k * 18 + l] += static_cast<double>(xa[k]) * xq[l] / (40.0 * 36);
        }
    }
  }
  for (size_t k = 0; k < second.size(); ++k) {
    EXPECT_NEAR((*products)[1].second[k], second[k], 1e-5);
    EXPECT_NEAR((*products)[1].cross[k], cross[k], 1e-5);
  }
}

TEST(Products, TheSameBitsForAnyNumberOfThreads) {
  NetBuilder b;
  const ValueId x = b.input("x", {1, 8, 9, 9});
  const Graph g = b.finish({b.conv("layer", x, 8, 6)});
  const auto view = repair::WeightView::of(g, 0);
  const auto prefix = repair::Prefix::create(g, "x");
  ASSERT_TRUE(prefix.is_ok());
  std::vector<std::vector<double>> results;
  for (int threads : {1, 2, 5})
    results.push_back((*repair::collect_products(g.nodes[0], *view, {6, 8, 3, 3}, *prefix, &*prefix,
                                                 test::RandomHost(g, 70, threads, 1)))[0]
                          .cross);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(Products, TheLoopsEqualThePlainSum) {
  test::Random random(3);
  for (int64_t m : {1, 5, 6, 7, 13})
    for (int64_t n : {16, 32})
      for (int64_t k : {1, 7, 33}) {
        const Tensor a = test::random_tensor(random, {k, m}), b = test::random_tensor(random, {k, n});
        std::vector<float> c(static_cast<size_t>(m * n), 0.25f), expected = c;
        for (int64_t i = 0; i < m; ++i)
          for (int64_t j = 0; j < n; ++j)
            for (int64_t t = 0; t < k; ++t)
              expected[static_cast<size_t>(i * n + j)] += a.data<float>()[t * m + i] * b.data<float>()[t * n + j];
        for (const auto* loops : {&repair::base::kProductLoops, &repair::product_loops()}) {
          std::vector<float> out = c;
          loops->add_products(a.data<float>(), m, b.data<float>(), n, k, m, n, out.data(), n);
          EXPECT_EQ(out, expected) << m << " " << n << " " << k;
        }
      }
}

}  // namespace
}  // namespace octet
