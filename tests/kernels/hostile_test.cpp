// Every operator on nonsense: random ranks, sizes (zero included), types, attributes and counts. Whatever comes, it
// must be refused in a sentence or give tensors; sanitizers watch the memory.
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

DType any_dtype(Random& random) {
  return static_cast<DType>(1 + random() % static_cast<uint64_t>(DType::kBool));
}

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
    t.data<uint8_t>()[i] = static_cast<uint8_t>(dtype == DType::kBool ? bits & 1 : bits % 5 == 0 ? bits >> 8 : bits & 3);
  }
  return t;
}

std::string odd_word(Random& random) {
  static const std::vector<std::string> kWords = {
      "",        "none",     "add",   "mul",   "edge",     "reflect",  "wrap",       "DCR",       "CRD",
      "linear",  "nearest",  "cubic", "floor", "SAME_UPPER", "VALID",  "NOTSET",     "asymmetric", "align_corners",
      "ij,jk->", "ii->i",    "...",   "tanh",  "i,i",      "stretch",  "not_larger", "tf_crop_and_resize"};
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

TEST(Hostile, NonsenseIsRefusedOrAnswered) {
  const int64_t limit = tensor_byte_limit();
  set_tensor_byte_limit(int64_t{1} << 18);
  for (const OpInfo& op : all_ops()) {
    Random random(20240607);
    int answered = 0;
    for (int i = 0; i < 400; ++i) {
      const test::OpCall call = odd_call(random, op);
      const auto outputs = test::run_op(call);
      if (!outputs.is_ok()) {
        EXPECT_FALSE(outputs.status().message().empty()) << op.op_type;
        EXPECT_NE(outputs.status().code(), StatusCode::kInternal) << op.op_type << ": " << outputs.status().message();
        continue;
      }
      ++answered;
      for (const Tensor& t : *outputs) EXPECT_LE(t.nbytes(), int64_t{1} << 18) << op.op_type;
    }
    RecordProperty(std::string(op.op_type), answered);
  }
  set_tensor_byte_limit(limit);
}

}  // namespace
}  // namespace octet
