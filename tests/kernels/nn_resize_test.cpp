#include "kernels/nn_support.h"

namespace octet {
namespace {

using namespace test;

OpCall by_scales(const Tensor& x, const std::vector<float>& scales, Attributes attributes) {
  return {"Resize", {x, {}, floats({static_cast<int64_t>(scales.size())}, scales)}, std::move(attributes)};
}

OpCall by_sizes(const Tensor& x, const Ints& sizes, Attributes attributes, const Tensor& roi = {}) {
  return {"Resize", {x, roi, {}, ints({static_cast<int64_t>(sizes.size())}, sizes)}, std::move(attributes)};
}

TEST(Resize, NearestModesDifferAtTies) {
  const Tensor x = counting({4});
  const auto nearest = [&](const char* mode) {  // coordinates 0.5 and 2.5
    return by_scales(x, {0.5F}, {{"nearest_mode", mode}});
  };
  expect_near(nearest("round_prefer_floor"), {2}, {1, 3});
  expect_near(nearest("round_prefer_ceil"), {2}, {2, 4});
  expect_near(nearest("floor"), {2}, {1, 3});
  expect_near(nearest("ceil"), {2}, {2, 4});
}

TEST(Resize, NearestTakesAFloatScaleForTheFractionItStandsFor) {
  const Tensor x = counting({9});
  const Attributes a{{"coordinate_transformation_mode", "asymmetric"}, {"nearest_mode", "floor"}};
  expect_near(by_scales(x, {1.0F / 3}, a), {3}, {1, 4, 7});
  expect_near(by_scales(x, {0.6F}, a), {5}, {1, 2, 4, 6, 7});
}

TEST(Resize, CoordinateModesPlaceTheSamples) {
  const Tensor x = counting({4});
  const auto linear = [&](const char* mode, int64_t size) {
    return by_sizes(x, {size}, {{"mode", "linear"}, {"coordinate_transformation_mode", mode}});
  };
  expect_near(linear("half_pixel", 8), {8}, {1, 1.25F, 1.75F, 2.25F, 2.75F, 3.25F, 3.75F, 4});
  expect_near(linear("asymmetric", 8), {8}, {1, 1.5F, 2, 2.5F, 3, 3.5F, 4, 4});
  expect_near(linear("align_corners", 7), {7}, {1, 1.5F, 2, 2.5F, 3, 3.5F, 4});
  expect_near(linear("half_pixel", 1), {1}, {2.5F});
  expect_near(linear("pytorch_half_pixel", 1), {1}, {1});
  expect_near(linear("align_corners", 1), {1}, {1});
  // 4 * 0.6 = 2.4 elements, of which 2 are made: the samples stay centred.
  expect_near(by_scales(x, {0.6F}, {{"mode", "linear"}, {"coordinate_transformation_mode", "half_pixel_symmetric"}}),
              {2}, {1.6666667F, 3.3333333F});
}

TEST(Resize, CubicReproducesLinesAndExcludesOutside) {
  const Tensor x = counting({8});
  const auto y = run_op(by_sizes(x, {16}, {{"mode", "cubic"}, {"cubic_coeff_a", -0.5F}}));
  ASSERT_TRUE(y.is_ok()) << y.status().message();
  for (int64_t i = 4; i < 12; ++i)  // Keys' kernel with a = -0.5 is exact for polynomials away from the edges
    EXPECT_NEAR((*y)[0].data<float>()[i], 1 + (static_cast<double>(i) + 0.5) / 2 - 0.5, 1e-6);
  const Tensor ones = floats({3}, {1, 1, 1});
  expect_near(by_sizes(ones, {5}, {{"mode", "cubic"}, {"exclude_outside", int64_t{1}}}), {5}, {1, 1, 1, 1, 1});
}

TEST(Resize, AntialiasAveragesWhatLinearSkips) {
  const Tensor x = floats({8}, {8, 0, 0, 0, 0, 0, 0, 8});
  expect_near(by_sizes(x, {2}, {{"mode", "linear"}}), {2}, {0, 0});
  // Triangle of radius 4 around 1.5: weights 2.5 3.5 3.5 2.5 1.5 0.5 inside, 1.5 and 0.5 clamped to element 0.
  expect_near(by_sizes(x, {2}, {{"mode", "linear"}, {"antialias", int64_t{1}}}), {2}, {8 * 4.5F / 16, 8 * 4.5F / 16});
  expect_near(by_sizes(x, {2}, {{"mode", "linear"}, {"antialias", int64_t{1}}, {"exclude_outside", int64_t{1}}}), {2},
              {8 * 2.5F / 14, 8 * 2.5F / 14});
  expect_refused(by_sizes(x, {2}, {{"antialias", int64_t{1}}}), "antialias");
}

TEST(Resize, CropsAndExtrapolates) {
  const Tensor x = counting({5});
  const Tensor roi = floats({2}, {0.5F, 1.5F});  // coordinates 2, 4, 6
  const Attributes a{
      {"mode", "linear"}, {"coordinate_transformation_mode", "tf_crop_and_resize"}, {"extrapolation_value", -9.0F}};
  expect_near(by_sizes(x, {3}, a, roi), {3}, {3, 5, -9});
  Attributes nearest = a;
  nearest["mode"] = "nearest";
  expect_near(by_sizes(x, {3}, nearest, roi), {3}, {3, 5, -9});
  expect_refused(by_sizes(x, {3}, a), "needs the input roi");
  expect_refused(by_sizes(x, {3}, a, floats({2}, {0, INFINITY})), "not finite");
}

TEST(Resize, KeepsTheAspectRatioOfChosenAxes) {
  const Tensor x = counting({1, 2, 4});
  const auto dims = [&](const char* policy) {
    const auto y =
        run_op(by_sizes(x, {6, 4}, {{"axes", Ints{2, 1}}, {"keep_aspect_ratio_policy", policy}, {"mode", "linear"}}));
    return y.is_ok() ? (*y)[0].dims() : Dims{};
  };
  EXPECT_EQ(dims("not_larger"), (Dims{1, 3, 6}));
  EXPECT_EQ(dims("not_smaller"), (Dims{1, 4, 8}));
  EXPECT_EQ(dims("stretch"), (Dims{1, 4, 6}));
}

TEST(Resize, MovesAnyTypeAndRoundsIntegersTowardsZero) {
  expect_output<uint8_t>(by_sizes(Tensor::from<uint8_t>({2}, {10, 13}), {4}, {}), {4}, {10, 10, 13, 13});
  expect_output<uint8_t>(by_sizes(Tensor::from<uint8_t>({2}, {10, 13}), {4}, {{"mode", "linear"}}), {4},
                         {10, 10, 12, 13});
  expect_output<int64_t>(by_sizes(ints({1}, {INT64_MAX}), {2}, {}), {2}, {INT64_MAX, INT64_MAX});
}

TEST(Upsample, IsAsymmetricNearest) {
  const Tensor x = counting({2});
  expect_near({"Upsample", {x, floats({1}, {2.0F})}, {}, 1, 9}, {4}, {1, 1, 2, 2});
  expect_near({"Upsample", {x}, {{"scales", std::vector<float>{2.0F}}}, 1, 7}, {4}, {1, 1, 2, 2});
  expect_near({"Resize", {x, floats({1}, {2.0F})}, {{"mode", "linear"}}, 1, 10}, {4}, {1, 1.5F, 2, 2});
}

TEST(Resize, RefusesNonsense) {
  const Tensor x = counting({2, 2});
  expect_refused(by_scales(x, {2}, {}), "scales has 1 numbers, expected 2");
  expect_refused(by_scales(x, {2, -1}, {}), "greater than 0");
  expect_refused(by_scales(x, {2, NAN}, {}), "not finite");
  expect_refused(by_scales(x, {1e30F, 1}, {}), "unreasonably large");
  expect_refused(by_sizes(x, {int64_t{1} << 39, int64_t{1} << 39}, {}), "");
  expect_refused(by_sizes(x, {-1, 2}, {}), "sizes");
  expect_refused({"Resize", {x}}, "either scales or sizes");
  expect_refused(by_sizes(x, {2, 2}, {{"mode", "area"}}), "'area'");
  expect_refused(by_sizes(x, {2, 2}, {{"axes", Ints{0, 0}}}), "given twice");
  expect_refused(by_sizes(Tensor(DType::kFloat32, {0, 2}), {1, 1}, {}), "empty");
  expect_near(by_sizes(x, {0, 2}, {}), {0, 2}, {});
}

}  // namespace
}  // namespace octet
