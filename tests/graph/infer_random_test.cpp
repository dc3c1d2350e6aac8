// Nodes made of random operators, shapes, constants and attributes, extremes included: inference must stay within
// bounds (the sanitizer builds see to that), end quickly and never give a shape that makes no sense.
#include <gtest/gtest.h>

#include <limits>

#include "graph/op_table.h"
#include "graph/shape_inference.h"
#include "octet/graph.h"

namespace octet {
namespace {

// splitmix64
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t bits() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  size_t below(size_t n) { return bits() % n; }
  // Mostly small, sometimes at the edge of what the type holds.
  int64_t integer() {
    constexpr int64_t kEdges[] = {INT64_MAX,        INT64_MIN,  INT64_MIN + 1, INT32_MAX,
                                  int64_t{1} << 31, -INT32_MAX, 1 << 20};
    return below(8) == 0 ? kEdges[below(std::size(kEdges))] : static_cast<int64_t>(below(9)) - 2;
  }
  float real() {
    constexpr float kEdges[] = {0.0F,
                                -1.0F,
                                1e38F,
                                0.5F,
                                1e-30F,
                                std::numeric_limits<float>::infinity(),
                                std::numeric_limits<float>::quiet_NaN()};
    return below(2) == 0 ? kEdges[below(std::size(kEdges))] : static_cast<float>(below(5));
  }

 private:
  uint64_t state_;
};

constexpr DType kTypes[] = {DType::kFloat32, DType::kFloat32, DType::kInt64, DType::kInt64,
                            DType::kInt32,   DType::kBool,    DType::kInt8,  DType::kFloat16};

std::vector<int64_t> integers(Random& random) {
  std::vector<int64_t> list(random.below(9));
  for (int64_t& v : list) v = random.integer();
  return list;
}

Dim random_dim(Random& random) {
  constexpr const char* kSymbols[] = {"N", "H", "a + b", "N*H", "((", "*"};
  switch (random.below(8)) {
    case 0: return Dim::unknown();
    case 1: return {static_cast<int64_t>(random.below(4)), kSymbols[random.below(std::size(kSymbols))]};
    case 2: return {INT64_MAX - static_cast<int64_t>(random.below(3)), random.below(2) == 0 ? "N" : ""};
    default: return Dim::of(static_cast<int64_t>(random.below(9)));
  }
}

Tensor random_constant(Random& random) {
  const std::vector<int64_t> list = integers(random);
  const auto n = static_cast<int64_t>(list.size());
  if (random.below(3) == 0) {
    std::vector<float> floats;
    for (size_t i = 0; i < list.size(); ++i) floats.push_back(random.real());
    return Tensor::from<float>({n}, floats);
  }
  if (n == 1 && random.below(2) == 0) return Tensor::scalar<int64_t>(list[0]);
  if (n % 2 == 0 && random.below(4) == 0) return Tensor::from<int64_t>({n / 2, 2}, list);
  return Tensor::from<int64_t>({n}, list);
}

ValueId random_value(Random& random, Graph& graph) {
  if (graph.value_count() != 0 && random.below(2) == 0)
    return static_cast<ValueId>(random.below(graph.value_count()));
  if (random.below(12) == 0) return kNoValue;
  if (random.below(2) == 0) return graph.add_constant("c", random_constant(random));
  std::optional<Shape> shape;
  if (random.below(12) != 0) {
    shape.emplace();
    const size_t rank = random.below(20) == 0 ? 64 : random.below(6);
    for (size_t i = 0; i < rank; ++i) shape->push_back(random_dim(random));
  }
  const ValueId id = graph.add_value("x", kTypes[random.below(std::size(kTypes))], std::move(shape));
  graph.inputs.push_back(id);
  return id;
}

Attribute random_attribute(Random& random, const AttrInfo& info) {
  constexpr const char* kStrings[] = {
      "SAME_UPPER", "VALID", "not_larger", "tf_crop_and_resize", "ij,jk->ik", "...i,...i", "add", "->", ",,,", ""};
  switch (info.type) {
    case AttrType::kInt: return random.integer();
    case AttrType::kFloat: return random.real();
    case AttrType::kString: return std::string(kStrings[random.below(std::size(kStrings))]);
    case AttrType::kTensor: return random_constant(random);
    case AttrType::kInts: return integers(random);
    case AttrType::kFloats: return std::vector<float>{random.real(), random.real()};
    case AttrType::kStrings: return std::vector<std::string>{"a"};
  }
  return int64_t{0};
}

void add_random_node(Random& random, Graph& graph) {
  const OpInfo& op = all_ops()[random.below(all_ops().size())];
  const auto least = static_cast<size_t>(op.min_inputs);
  const size_t most = op.max_inputs < 0 ? least + 3 : static_cast<size_t>(op.max_inputs);
  std::vector<ValueId> inputs;
  for (size_t n = least + random.below(most - least + 1); n > 0; --n) inputs.push_back(random_value(random, graph));
  std::vector<std::string> outputs(static_cast<size_t>(op.max_outputs < 0 ? 3 : op.max_outputs), "y");
  Attributes attributes;
  for (const AttrInfo& info : op.attributes)
    if (random.below(2) == 0) attributes.emplace(info.name, random_attribute(random, info));
  graph.add_node(std::string(op.op_type), std::move(inputs), std::move(outputs), std::move(attributes));
}

TEST(InferRandom, AnyGraphIsHandled) {
  int accepted = 0;
  for (uint64_t seed = 0; seed < 20000; ++seed) {
    Random random(seed * 7919);
    Graph graph;
    graph.opset = 13 + static_cast<int>(random.below(10));
    for (size_t n = 1 + random.below(6); n > 0; --n) add_random_node(random, graph);
    const Status inferred = infer_shapes(graph);
    if (!inferred.is_ok()) {
      EXPECT_NE(inferred.message().find("node '"), std::string::npos) << inferred.message();
      continue;
    }
    ++accepted;
    for (size_t i = 0; i < graph.value_count(); ++i) {
      const auto& shape = graph.value(static_cast<ValueId>(i)).shape;
      if (!shape) continue;
      EXPECT_LE(shape->size(), 64U);
      for (const Dim& d : *shape) EXPECT_GE(d.coefficient, -1);
    }
  }
  EXPECT_GT(accepted, 1000);  // otherwise the graphs are too wild to reach much
}

}  // namespace
}  // namespace octet
