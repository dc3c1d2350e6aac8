// Every operator on nonsense (random ranks, sizes, types, attributes and counts), and operators that nonsense hardly
// gets into on calls that are sound but for one or two changes. Whatever comes must be refused in a sentence or give
// tensors; sanitizers watch the memory.
#include <random>

#include "graph/op_table.h"
#include "kernels/run_op.h"

namespace octet {
namespace {

using Random = std::mt19937_64;

int64_t pick(Random& random, const std::vector<int64_t>& from) { return from[random() % from.size()]; }

int64_t odd_integer(Random& random) {
  return pick(random, {0, 1, 1, 2, 2, 3, 4, -1, -2, 7, 1000, -1000, INT32_MAX, INT64_MAX, INT64_MIN});
}

std::vector<int64_t> odd_integers(Random& random) {
  std::vector<int64_t> list(random() % 7);
  const bool mild = random() % 3 != 0;
  for (int64_t& v : list) v = mild ? pick(random, {0, 1, 1, 2, 3, -1}) : odd_integer(random);
  return list;
}

DType any_dtype(Random& random) { return static_cast<DType>(1 + random() % static_cast<uint64_t>(DType::kBool)); }

Tensor odd_tensor(Random& random, DType dtype) {
  if (random() % 4 == 0) {
    const std::vector<int64_t> list = odd_integers(random);
    return random() % 4 == 0 ? Tensor::scalar<int64_t>(odd_integer(random))
                             : Tensor::from<int64_t>({static_cast<int64_t>(list.size())}, list);
  }
  Dims dims(pick(random, {0, 1, 2, 3, 4, 4, 4, 5}));
  for (int64_t& d : dims) d = pick(random, {0, 1, 1, 2, 2, 3, 4});
  Tensor t(dtype, dims);
  for (int64_t i = 0; i < t.nbytes(); ++i) {
    const uint64_t bits = random();
    t.data<uint8_t>()[i] = static_cast<uint8_t>(dtype == DType::kBool ? bits & 1
                                                : bits % 5 == 0       ? bits >> 8
                                                                      : bits & 3);
  }
  return t;
}

std::string odd_word(Random& random) {
  static const std::vector<std::string> kWords = {"",           "none",
                                                  "add",        "mul",
                                                  "edge",       "reflect",
                                                  "wrap",       "DCR",
                                                  "CRD",        "linear",
                                                  "nearest",    "cubic",
                                                  "floor",      "SAME_UPPER",
                                                  "VALID",      "NOTSET",
                                                  "asymmetric", "align_corners",
                                                  "ij,jk->",    "ii->i",
                                                  "...",        "tanh",
                                                  "i,i",        "stretch",
                                                  "not_larger", "tf_crop_and_resize"};
  return kWords[random() % kWords.size()];
}

Attribute odd_attribute(Random& random, AttrType type) {
  switch (type) {
    case AttrType::kInt: return random() % 2 == 0 ? pick(random, {0, 1, 2, 1, 2}) : odd_integer(random);
    case AttrType::kFloat: return static_cast<float>(odd_integer(random));
    case AttrType::kString: return odd_word(random);
    case AttrType::kTensor: return odd_tensor(random, any_dtype(random));
    case AttrType::kInts: return odd_integers(random);
    case AttrType::kFloats: return std::vector<float>{0.5f, static_cast<float>(odd_integer(random))};
    case AttrType::kStrings: return std::vector<std::string>{odd_word(random)};
  }
  return int64_t{0};
}

test::OpCall odd_call(Random& random, const OpInfo& op) {
  test::OpCall call;
  call.op = std::string(op.op_type);
  call.opset = static_cast<int>(7 + random() % 16);
  call.outputs = static_cast<int>(random() % 4);
  const int most = op.max_inputs < 0 ? 4 : op.max_inputs;
  const int count = random() % 8 == 0 ? static_cast<int>(random() % 6)
                                      : op.min_inputs + static_cast<int>(random() % (most - op.min_inputs + 1));
  const DType common = random() % 2 == 0 ? DType::kFloat32 : any_dtype(random);
  for (int i = 0; i < count; ++i) {
    const DType dtype = random() % 4 == 0 ? any_dtype(random) : common;
    call.inputs.push_back(random() % 16 == 0 ? Tensor() : odd_tensor(random, dtype));
  }
  for (const AttrInfo& attribute : op.attributes)
    if (random() % 2 == 0) call.attributes[std::string(attribute.name)] = odd_attribute(random, attribute.type);
  return call;
}

constexpr int64_t kByteLimit = int64_t{1} << 18;

// Whether the call was answered with tensors.
bool survives(const test::OpCall& call) {
  const auto outputs = test::run_op(call);
  if (!outputs.is_ok()) {
    EXPECT_FALSE(outputs.status().message().empty()) << call.op;
    EXPECT_NE(outputs.status().code(), StatusCode::kInternal) << call.op << ": " << outputs.status().message();
    return false;
  }
  for (const Tensor& t : *outputs) EXPECT_LE(t.nbytes(), kByteLimit) << call.op;
  return true;
}

class Hostile : public ::testing::Test {
 protected:
  void SetUp() override { set_tensor_byte_limit(kByteLimit); }
  void TearDown() override { set_tensor_byte_limit(limit_); }

 private:
  int64_t limit_ = tensor_byte_limit();
};

TEST_F(Hostile, NonsenseIsRefusedOrAnswered) {
  for (const OpInfo& op : all_ops()) {
    Random random(20240607);
    for (int i = 0; i < 300; ++i) survives(odd_call(random, op));
  }
}

Tensor filled(const Dims& dims) {
  Tensor t(DType::kFloat32, dims);
  for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = 0.25f * static_cast<float>(i % 13 + 1);
  return t;
}

template <class T>
Tensor zeros(const Dims& dims) {
  const Tensor t(dtype_of<T>(), dims);
  return Tensor::from<T>(dims, std::vector<T>(static_cast<size_t>(t.numel()), T{0}));
}

using Ints = std::vector<int64_t>;

std::vector<test::OpCall> sound_calls() {
  const Tensor image = filled({1, 4, 5, 6}), two = filled({2}), scalar = filled({}), bytes = zeros<int8_t>({2, 3});
  const Tensor four = filled({4}), zero_point = zeros<int8_t>({}), unit = Tensor::scalar<float>(1);
  const Attributes window = {{"kernel_shape", Ints{3, 2}},
                             {"pads", Ints{1, 0, 1, 1}},
                             {"strides", Ints{2, 1}},
                             {"dilations", Ints{1, 2}},
                             {"ceil_mode", int64_t{1}}};
  const Attributes conv = {
      {"pads", Ints{1, 0, 1, 1}}, {"strides", Ints{2, 1}}, {"dilations", Ints{1, 2}}, {"group", int64_t{2}}};
  const Tensor conv_in8 = zeros<uint8_t>({1, 4, 5, 6}), conv_w8 = zeros<int8_t>({2, 2, 3, 2});
  const Tensor zero_u8 = zeros<uint8_t>({}), rows = zeros<int64_t>({2, 1});
  return {
      {"AveragePool", {image}, window},
      {"MaxPool", {image}, window, 2},
      {"Conv", {image, filled({2, 2, 3, 2}), two}, conv},
      {"ConvInteger", {conv_in8, conv_w8, zero_u8, zero_point}, conv},
      {"QLinearConv", {conv_in8, unit, zero_u8, conv_w8, unit, zero_point, unit, zero_u8}, conv},
      {"ConvTranspose", {image, filled({4, 1, 3, 2}), two}, conv},
      {"BatchNormalization", {image, four, four, four, four}},
      {"InstanceNormalization", {image, four, four}},
      {"GroupNormalization", {image, four, four}, {{"num_groups", int64_t{2}}}, 1, 21},
      {"LayerNormalization", {image, filled({6}), filled({6})}, {{"axis", int64_t{3}}}, 3},
      {"Gemm", {filled({2, 3}), filled({3, 4}), four}},
      {"MatMul", {filled({2, 2, 3}), filled({3, 4})}},
      {"MatMulInteger", {bytes, zeros<uint8_t>({3, 2}), zero_point, zero_u8}},
      {"QLinearMatMul", {bytes, unit, zero_point, zeros<int8_t>({3, 2}), unit, zero_point, unit, zero_point}},
      {"QuantizeLinear", {image, four, zeros<int8_t>({4})}, {{"axis", int64_t{1}}}},
      {"DequantizeLinear",
       {zeros<int8_t>({4, 6}), filled({2, 6}), zeros<int8_t>({2, 6})},
       {{"axis", int64_t{0}}, {"block_size", int64_t{2}}}},
      {"NonMaxSuppression", {filled({1, 5, 4}), filled({1, 2, 5}), Tensor::scalar<int64_t>(3), scalar, scalar}},
      {"TopK", {image, test::ints({1}, {2})}, {{"axis", int64_t{2}}}, 2},
      {"Resize", {image, Tensor(), test::floats({4}, {1, 1, 2, 1.5f})}, {{"mode", std::string("linear")}}},
      {"Resize", {image, Tensor(), Tensor(), test::ints({4}, {1, 4, 7, 3})}, {{"mode", std::string("cubic")}}},
      {"Pad", {image, test::ints({8}, {0, 0, 1, -1, 0, 2, 1, 1}), scalar}, {{"mode", std::string("constant")}}},
      {"Pad",
       {image, test::ints({4}, {1, 2, 3, 4}), scalar, test::ints({2}, {2, -1})},
       {{"mode", std::string("reflect")}}},
      {"Range", {test::ints({}, {0}), test::ints({}, {9}), test::ints({}, {2})}},
      {"OneHot", {test::ints({3}, {0, 1, -1}), test::ints({}, {4}), two}, {{"axis", int64_t{0}}}},
      {"Gather", {image, rows}, {{"axis", int64_t{2}}}},
      {"GatherElements", {filled({2, 3}), zeros<int64_t>({2, 2})}, {{"axis", int64_t{1}}}},
      {"GatherND", {filled({2, 3, 4}), zeros<int64_t>({2, 2, 1})}, {{"batch_dims", int64_t{1}}}},
      {"ScatterElements",
       {filled({2, 3}), zeros<int64_t>({2, 2}), filled({2, 2})},
       {{"axis", int64_t{1}}, {"reduction", std::string("add")}}},
      {"ScatterND", {filled({2, 3}), rows, filled({2, 3})}, {{"reduction", std::string("max")}}},
      {"Slice",
       {image, test::ints({2}, {0, 4}), test::ints({2}, {3, -9}), test::ints({2}, {1, -1}),
        test::ints({2}, {2, -1})}},
      {"Split", {image, test::ints({2}, {1, 3})}, {{"axis", int64_t{1}}}, 2},
      {"Reshape", {image, test::ints({3}, {0, -1, 6})}},
      {"Expand", {filled({4, 1}), test::ints({3}, {2, 1, 3})}},
      {"Tile", {filled({2, 3}), test::ints({2}, {2, 1})}},
      {"Transpose", {image}, {{"perm", Ints{0, 2, 3, 1}}}},
      {"DepthToSpace", {image}, {{"blocksize", int64_t{2}}, {"mode", std::string("CRD")}}},
      {"Einsum", {filled({2, 3}), filled({3, 4})}, {{"equation", std::string("ij,jk->ik")}}},
      {"Where", {zeros<bool>({2, 1}), two, scalar}},
      {"ReduceSum", {image, test::ints({2}, {1, -1})}},
      {"CumSum", {image, test::ints({}, {-1})}},
      {"Unsqueeze", {image, test::ints({2}, {0, -1})}},
  };
}

// The same elements in another shape: one dimension grows, shrinks, appears or goes.
Tensor resized(Random& random, const Tensor& t) {
  Dims dims = t.dims();
  const uint64_t change = random() % 4;
  if (dims.empty() || change == 0) dims.insert(dims.begin(), pick(random, {0, 1, 2}));
  else if (change == 1) dims.erase(dims.begin() + static_cast<int64_t>(random() % dims.size()));
  else dims[random() % dims.size()] = pick(random, {0, 1, 2, 3, 5});
  Tensor out(t.dtype(), dims);
  const char* src = t.data<char>();
  for (int64_t i = 0; i < out.nbytes(); ++i) out.data<char>()[i] = t.nbytes() == 0 ? 0 : src[i % t.nbytes()];
  return out;
}

void change_input(Random& random, Tensor& t) {
  if (!t.defined()) return;
  if (t.dtype() == DType::kInt64 && t.numel() > 0 && random() % 4 != 0) {
    t = t.clone();
    t.data<int64_t>()[random() % static_cast<uint64_t>(t.numel())] = odd_integer(random);
    return;
  }
  const uint64_t change = random() % 8;
  if (change == 0) t = Tensor();
  else if (change == 1) t = odd_tensor(random, any_dtype(random));
  else t = resized(random, t);
}

void change_attribute(Random& random, Attribute& attribute) {
  if (auto* list = std::get_if<Ints>(&attribute); list != nullptr && !list->empty() && random() % 4 != 0)
    (*list)[random() % list->size()] = odd_integer(random);
  else if (std::holds_alternative<Ints>(attribute)) attribute = odd_integers(random);
  else if (std::holds_alternative<int64_t>(attribute)) attribute = odd_integer(random);
  else if (std::holds_alternative<std::string>(attribute)) attribute = odd_word(random);
}

TEST_F(Hostile, SoundCallsWithAChangeAreRefusedOrAnswered) {
  for (const test::OpCall& sound : sound_calls()) {
    ASSERT_TRUE(survives(sound)) << sound.op << ": " << test::run_op(sound).status().message();
    Random random(20240607);
    int answered = 0;
    for (int i = 0; i < 400; ++i) {
      test::OpCall call = sound;
      for (uint64_t changes = 1 + random() % 2; changes > 0; --changes) {
        if (!call.attributes.empty() && random() % 2 == 0)
          change_attribute(random, std::next(call.attributes.begin(), random() % call.attributes.size())->second);
        else change_input(random, call.inputs[random() % call.inputs.size()]);
      }
      answered += survives(call) ? 1 : 0;
    }
    EXPECT_GT(answered, 4) << sound.op << ": the changes hardly get past its first check";
    EXPECT_LT(answered, 400) << sound.op;
  }
}

}  // namespace
}  // namespace octet
