#include "kernels/run_op.h"

namespace octet {
namespace {

using test::expect_output;
using test::expect_refused;
using test::floats;
using test::ints;
using test::run_op;

using Ints = std::vector<int64_t>;

const Tensor& grid() {  // [2, 3]: 0 .. 5
  static const Tensor t = floats({2, 3}, {0, 1, 2, 3, 4, 5});
  return t;
}

TEST(Shape, ReshapeSqueezeFlatten) {
  expect_output<float>({"Reshape", {grid(), ints({2}, {0, -1})}}, {2, 3}, {0, 1, 2, 3, 4, 5});
  expect_output<float>({"Reshape", {grid(), ints({1}, {-1})}}, {6}, {0, 1, 2, 3, 4, 5});
  expect_refused({"Reshape", {grid(), ints({2}, {-1, -1})}}, "more than one -1");
  expect_refused({"Reshape", {grid(), ints({2}, {4, -1})}}, "no size");
  expect_refused({"Reshape", {grid(), ints({3}, {1, 6, 0})}}, "no such dimension");
  expect_refused({"Reshape", {grid(), ints({1}, {7})}}, "element counts");
  expect_refused({"Reshape", {grid(), ints({1}, {-5})}}, "negative");
  expect_output<float>({"Flatten", {grid()}, {{"axis", int64_t{2}}}}, {6, 1}, {0, 1, 2, 3, 4, 5});
  expect_output<float>({"Squeeze", {floats({1, 2, 1}, {7, 8})}}, {2}, {7, 8});
  expect_output<float>({"Squeeze", {floats({1, 2, 1}, {7, 8}), ints({1}, {-1})}}, {1, 2}, {7, 8});
  expect_refused({"Squeeze", {grid(), ints({1}, {0})}}, "cannot be squeezed");
  expect_output<float>({"Unsqueeze", {floats({2}, {7, 8}), ints({2}, {0, -1})}}, {1, 2, 1}, {7, 8});
  expect_output<int64_t>({"Shape", {grid()}, {{"start", int64_t{-1}}}}, {1}, {3});
  expect_output<int64_t>({"Shape", {grid()}, {{"start", int64_t{5}}, {"end", int64_t{-9}}}}, {0}, {});
  expect_output<int64_t>({"Size", {grid()}}, {}, {6});
}

TEST(Movement, TransposeConcatTile) {
  expect_output<float>({"Transpose", {grid()}}, {3, 2}, {0, 3, 1, 4, 2, 5});
  expect_refused({"Transpose", {grid()}, {{"perm", Ints{0, 0}}}}, "twice");
  expect_refused({"Transpose", {grid()}, {{"perm", Ints{0}}}}, "does not name each axis");
  expect_output<float>({"Concat", {grid(), floats({2, 1}, {8, 9})}, {{"axis", int64_t{-1}}}}, {2, 4},
                       {0, 1, 2, 8, 3, 4, 5, 9});
  expect_refused({"Concat", {grid(), floats({1, 2}, {8, 9})}, {{"axis", int64_t{0}}}}, "cannot be joined");
  expect_output<float>({"Tile", {floats({1, 2}, {1, 2}), ints({2}, {2, 2})}}, {2, 4}, {1, 2, 1, 2, 1, 2, 1, 2});
  expect_refused({"Tile", {grid(), ints({2}, {-1, 2})}}, "impossible");
  expect_refused({"Tile", {grid(), ints({2}, {int64_t{1} << 40, int64_t{1} << 40})}}, "more elements");
  expect_output<float>({"Expand", {floats({2, 1}, {1, 2}), ints({3}, {2, 1, 2})}}, {2, 2, 2},
                       {1, 1, 2, 2, 1, 1, 2, 2});
}

TEST(Movement, SpaceToDepthUndoesDepthToSpace) {
  std::vector<float> x(16);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  const Attributes block = {{"blocksize", int64_t{2}}};
  const auto spread = run_op({"DepthToSpace", {floats({1, 4, 2, 2}, x)}, block});
  ASSERT_TRUE(spread.is_ok());
  EXPECT_EQ((*spread)[0].dims(), (Dims{1, 1, 4, 4}));
  EXPECT_EQ((*spread)[0].data<float>()[1], 4);  // the second channel comes to the right of the first
  expect_output<float>({"SpaceToDepth", {(*spread)[0]}, block}, {1, 4, 2, 2}, x);
  expect_refused({"DepthToSpace", {floats({1, 2, 2, 1}, {1, 2, 3, 4})}, block}, "blocks of 2");
}

TEST(Movement, SliceClampsAndWalksBackwards) {
  const Tensor x = ints({5}, {0, 1, 2, 3, 4});
  const auto slice = [&](int64_t start, int64_t end, int64_t step) {
    return test::OpCall{"Slice", {x, ints({1}, {start}), ints({1}, {end}), ints({1}, {0}), ints({1}, {step})}};
  };
  expect_output<int64_t>(slice(1, INT64_MAX, 2), {2}, {1, 3});
  expect_output<int64_t>(slice(-1, INT64_MIN, -2), {3}, {4, 2, 0});
  expect_output<int64_t>(slice(3, 1, 1), {0}, {});
  expect_output<int64_t>(slice(INT64_MIN, INT64_MAX, INT64_MAX), {1}, {0});
  expect_output<int64_t>(slice(INT64_MAX, INT64_MIN, INT64_MIN), {1}, {4});
  expect_refused(slice(0, 1, 0), "step of Slice is 0");
  expect_output<float>({"Slice", {grid()}, {{"starts", Ints{1}}, {"ends", Ints{3}}, {"axes", Ints{1}}}, 1, 9}, {2, 2},
                       {1, 2, 4, 5});
}

TEST(Movement, SplitSizesMustFit) {
  const Tensor x = ints({5}, {0, 1, 2, 3, 4});
  const auto parts = run_op({"Split", {x}, {{"num_outputs", int64_t{2}}}, 2});
  ASSERT_TRUE(parts.is_ok()) << parts.status().message();
  EXPECT_EQ(test::values_of<int64_t>((*parts)[0]), (Ints{0, 1, 2}));
  EXPECT_EQ(test::values_of<int64_t>((*parts)[1]), (Ints{3, 4}));
  expect_refused({"Split", {x, ints({2}, {6, -1})}, {}, 2}, "does not cut");
  expect_refused({"Split", {x, ints({2}, {2, 2})}, {}, 2}, "does not cut");
  expect_refused({"Split", {x, ints({1}, {5})}, {}, 2}, "does not cut");
}

TEST(Pad, ModesAndCropping) {
  const Tensor x = floats({3}, {1, 2, 3});
  const auto pad = [&](const char* mode, int64_t begin, int64_t end) {
    return test::OpCall{"Pad", {x, ints({2}, {begin, end})}, {{"mode", std::string(mode)}}};
  };
  expect_output<float>(pad("constant", 1, 2), {6}, {0, 1, 2, 3, 0, 0});
  expect_output<float>(pad("edge", 1, 2), {6}, {1, 1, 2, 3, 3, 3});
  expect_output<float>(pad("reflect", 4, 3), {10}, {1, 2, 3, 2, 1, 2, 3, 2, 1, 2});
  expect_output<float>(pad("wrap", 1, 4), {8}, {3, 1, 2, 3, 1, 2, 3, 1});
  expect_output<float>(pad("constant", -1, 1), {3}, {2, 3, 0});
  expect_refused(pad("constant", -2, -2), "impossible");
  expect_refused(pad("constant", INT64_MAX, 1), "impossible");
  expect_refused(pad("mirror", 1, 1), "'mirror'");
  expect_output<float>({"Pad", {grid(), ints({2}, {1, 0}), floats({}, {7}), ints({1}, {-1})}}, {2, 4},
                       {7, 0, 1, 2, 7, 3, 4, 5});
  expect_refused({"Pad", {floats({0}, {}), ints({2}, {1, 0})}, {{"mode", std::string("edge")}}}, "empty");
}

TEST(Gather, IndicesAreChecked) {
  expect_output<float>({"Gather", {grid(), ints({2}, {-1, 0})}, {{"axis", int64_t{1}}}}, {2, 2}, {2, 0, 5, 3});
  expect_refused({"Gather", {grid(), ints({1}, {2})}}, "index 2 is outside");
  expect_refused({"Gather", {floats({0, 2}, {}), ints({1}, {0})}}, "outside an axis of size 0");
  expect_output<float>({"GatherElements", {grid(), ints({1, 3}, {1, 0, -1})}}, {1, 3}, {3, 1, 5});
  expect_refused({"GatherElements", {grid(), ints({1, 4}, {0, 0, 0, 0})}}, "do not fit");
  expect_output<float>({"GatherND", {grid(), ints({2, 2}, {0, 1, -1, 2})}}, {2}, {1, 5});
  expect_output<float>({"GatherND", {grid(), ints({1, 1}, {1})}}, {1, 3}, {3, 4, 5});
  expect_output<float>({"GatherND", {grid(), ints({2, 1}, {2, 0})}, {{"batch_dims", int64_t{1}}}}, {2}, {2, 3});
  expect_refused({"GatherND", {grid(), ints({1, 2}, {0, 3})}}, "index 3 is outside");
  expect_refused({"GatherND", {grid(), ints({1, 3}, {0, 0, 0})}}, "rows of 3");
}

TEST(Scatter, ReductionsAndChecks) {
  const Tensor x = floats({3}, {1, 2, 3}), at = ints({2}, {1, 1}), updates = floats({2}, {10, 20});
  const auto with = [](const char* name) { return Attributes{{"reduction", std::string(name)}}; };
  expect_output<float>({"ScatterElements", {x, at, updates}}, {3}, {1, 20, 3});
  expect_output<float>({"ScatterElements", {x, at, updates}, with("add")}, {3}, {1, 32, 3});
  expect_output<float>({"ScatterND", {x, ints({2, 1}, {1, -1}), updates}, with("min")}, {3}, {1, 2, 3});
  expect_output<float>({"ScatterND", {grid(), ints({1, 1}, {1}), floats({1, 3}, {7, 8, 9})}}, {2, 3},
                       {0, 1, 2, 7, 8, 9});
  expect_refused({"ScatterElements", {x, ints({1}, {3}), floats({1}, {1})}}, "index 3");
  expect_refused({"ScatterND", {x, ints({2, 1}, {0, 1}), floats({1}, {1})}}, "updates must have shape [2]");
  expect_refused({"ScatterND", {x, at, updates}}, "do not fit");
  expect_refused({"ScatterElements", {x, at, updates}, with("xor")}, "'xor'");
}

TEST(Generate, ConstantsRangesAndMasks) {
  expect_output<int64_t>({"Range", {ints({}, {10}), ints({}, {4}), ints({}, {-3})}}, {2}, {10, 7});
  expect_output<float>({"Range", {floats({}, {0}), floats({}, {1}), floats({}, {0.4f})}}, {3}, {0, 0.4f, 0.8f});
  expect_refused({"Range", {ints({}, {0}), ints({}, {1}), ints({}, {0})}}, "step of Range is 0");
  expect_refused({"Range", {ints({}, {INT64_MIN}), ints({}, {INT64_MAX}), ints({}, {1})}}, "too long");
  expect_output<float>({"ConstantOfShape", {ints({2}, {1, 2})}}, {1, 2}, {0, 0});
  expect_refused({"ConstantOfShape", {ints({2}, {int64_t{1} << 40, 4096})}}, "larger than the limit");
  expect_output<float>({"OneHot", {ints({3}, {0, -1, 5}), ints({}, {2}), floats({2}, {0, 1})}}, {3, 2},
                       {1, 0, 0, 1, 0, 0});
  expect_output<int64_t>({"NonZero", {grid()}}, {2, 5}, {0, 0, 1, 1, 1, 1, 2, 0, 1, 2});
  expect_output<float>({"Trilu", {grid(), ints({}, {1})}}, {2, 3}, {0, 1, 2, 0, 0, 5});
  expect_output<float>({"EyeLike", {grid()}, {{"k", int64_t{1}}}}, {2, 3}, {0, 1, 0, 0, 0, 1});
  expect_output<float>({"EyeLike", {grid()}, {{"k", INT64_MIN}}}, {2, 3}, {0, 0, 0, 0, 0, 0});
  expect_output<int64_t>({"Constant", {}, {{"value_ints", Ints{4, 5}}}}, {2}, {4, 5});
}

TEST(Dropout, PassesThroughAtInference) {
  const auto outputs = run_op({"Dropout", {grid()}, {}, 2});
  ASSERT_TRUE(outputs.is_ok());
  EXPECT_TRUE(same_bits((*outputs)[0], grid()));
  EXPECT_EQ(test::values_of<bool>((*outputs)[1]), std::vector<bool>(6, true));
  expect_refused({"Dropout", {grid(), floats({}, {0.5f}), Tensor::scalar<bool>(true)}}, "training mode");
}

}  // namespace
}  // namespace octet
