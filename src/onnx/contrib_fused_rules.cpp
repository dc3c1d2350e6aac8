// Float operators that ONNX Runtime's optimizer writes in place of several. Source: its docs/ContribOperators.md.
#include <cmath>
#include <numbers>

#include "onnx/contrib_rules.h"

namespace octet {
namespace {

using enum AttrType;

constexpr AttrInfo kConv[] = {
    {"activation", kString}, {"activation_params", kFloats}, {"auto_pad", kString}, {"dilations", kInts},
    {"group", kInt},         {"kernel_shape", kInts},        {"pads", kInts},       {"strides", kInts}};
constexpr AttrInfo kGemm[] = {{"activation", kString},
                              {"activation_alpha", kFloat},
                              {"activation_beta", kFloat},
                              {"activation_gamma", kFloat},
                              {"alpha", kFloat},
                              {"beta", kFloat},
                              {"transA", kInt},
                              {"transB", kInt}};
constexpr AttrInfo kMatMul[] = {
    {"alpha", kFloat}, {"transA", kInt}, {"transB", kInt}, {"transBatchA", kInt}, {"transBatchB", kInt}};
constexpr AttrInfo kAlpha[] = {{"alpha", kFloat}};

// Lets the result pass through an activation that is named in an attribute, with its numbers in their order.
Status activate(UpgradeContext& context, Node& node, const std::string& name, const std::vector<float>& numbers) {
  const auto number = [&](size_t i, float fallback) { return i < numbers.size() ? numbers[i] : fallback; };
  if (name.empty()) return Status::ok();
  Attributes attributes;
  std::vector<ValueId> bounds;
  if (name == "LeakyRelu" || name == "Elu") {
    attributes["alpha"] = number(0, name == "Elu" ? 1.0f : 0.01f);
  } else if (name == "HardSigmoid") {
    attributes["alpha"] = number(0, 0.2f);
    attributes["beta"] = number(1, 0.5f);
  } else if (name == "Clip") {
    if (numbers.size() != 2) return data_corrupt("the activation Clip takes two numbers");
    if (context.graph.opset < 11) {
      attributes = {{"min", numbers[0]}, {"max", numbers[1]}};
    } else {
      const DType dtype = context.dtype_of(node.inputs[0]);
      OCTET_ASSIGN(const ValueId low, context.add_scalar(node, "min", numbers[0], dtype));
      OCTET_ASSIGN(const ValueId high, context.add_scalar(node, "max", numbers[1], dtype));
      bounds = {low, high};
    }
  } else if (name != "Relu" && name != "Sigmoid" && name != "Tanh" && name != "Softplus" && name != "Softsign") {
    return unsupported("the activation '" + name + "' is not supported");
  }
  put_after(context, node, "activation", name, std::move(bounds), std::move(attributes));
  return Status::ok();
}

// X, W, bias, and Z, which is added before the activation.
Status fused_conv(UpgradeContext& context, Node& node) {
  const std::string activation = node.attr_string("activation", "");
  const std::vector<float> numbers = node.attr_floats("activation_params");
  node.attributes.erase("activation");
  node.attributes.erase("activation_params");
  const ValueId z = node.has_input(3) ? node.inputs[3] : kNoValue;
  node.op_type = "Conv";
  node.inputs.resize(node.has_input(2) ? 3 : 2);
  if (z != kNoValue) put_after(context, node, "add", "Add", {z});
  return activate(context, node, activation, numbers);
}

Status fused_gemm(UpgradeContext& context, Node& node) {
  const std::string activation = node.attr_string("activation", "");
  std::vector<float> numbers;
  for (const char* key : {"activation_alpha", "activation_beta", "activation_gamma"}) {
    if (node.attributes.count(key) != 0) numbers.push_back(node.attr_float(key, 0));
    node.attributes.erase(key);
  }
  node.attributes.erase("activation");
  node.op_type = "Gemm";
  return activate(context, node, activation, numbers);
}

Result<ValueId> transposed(UpgradeContext& context, const Node& node, const std::string& key, ValueId id) {
  if (node.attr_int(key, 0) == 0) return id;
  OCTET_ASSIGN(const int64_t rank, rank_of(context, id, key));
  if (rank < 2) return data_corrupt(key + " needs a matrix, but '" + context.graph.value(id).name + "' is a vector");
  std::vector<int64_t> perm(static_cast<size_t>(rank));
  for (int64_t d = 0; d < rank; ++d) perm[static_cast<size_t>(d)] = d;
  std::swap(perm[perm.size() - 2], perm[perm.size() - 1]);
  return put_before(context, node, key, "Transpose", {id}, {{"perm", perm}});
}

// alpha * A x B, each transposed in its last two dimensions where asked for.
Status fused_matmul(UpgradeContext& context, Node& node) {
  if (node.attr_int("transBatchA", 0) != 0 || node.attr_int("transBatchB", 0) != 0)
    return unsupported("transBatchA and transBatchB are not supported");
  OCTET_ASSIGN(const ValueId a, transposed(context, node, "transA", node.inputs[0]));
  OCTET_ASSIGN(const ValueId b, transposed(context, node, "transB", node.inputs[1]));
  const float alpha = node.attr_float("alpha", 1);
  const DType dtype = context.dtype_of(node.inputs[0]);
  node.op_type = "MatMul";
  node.inputs = {a, b};
  node.attributes.clear();
  if (alpha == 1) return Status::ok();
  OCTET_ASSIGN(const ValueId factor, context.add_scalar(node, "alpha", alpha, dtype));
  put_after(context, node, "scale", "Mul", {factor});
  return Status::ok();
}

// node becomes Mul(a, b).
void become_product(Node& node, ValueId a, ValueId b) {
  node.op_type = "Mul";
  node.inputs = {a, b};
  node.attributes.clear();
}

// Since opset 20 Gelu is an operator of ai.onnx; before, it is spelt out.
Status gelu_of(UpgradeContext& context, Node& node, ValueId x) {
  if (context.graph.opset >= 20) {
    node.op_type = "Gelu";
    node.inputs = {x};
    return Status::ok();
  }
  const DType dtype = context.dtype_of(node.inputs[0]);
  OCTET_ASSIGN(const ValueId root, context.add_scalar(node, "sqrt2", std::numbers::sqrt2_v<float>, dtype));
  OCTET_ASSIGN(const ValueId one, context.add_scalar(node, "one", 1, dtype));
  OCTET_ASSIGN(const ValueId half, context.add_scalar(node, "half", 0.5f, dtype));
  const ValueId scaled = put_before(context, node, "scale", "Div", {x, root});
  const ValueId erf = put_before(context, node, "erf", "Erf", {scaled});
  const ValueId sum = put_before(context, node, "add", "Add", {erf, one});
  const ValueId product = put_before(context, node, "mul", "Mul", {x, sum});
  become_product(node, product, half);
  return Status::ok();
}

Status gelu(UpgradeContext& context, Node& node) { return gelu_of(context, node, node.inputs[0]); }

Status bias_gelu(UpgradeContext& context, Node& node) {
  return gelu_of(context, node, put_before(context, node, "bias", "Add", {node.inputs[0], node.inputs[1]}));
}

// x (1/2 + tanh(x (c + 0.044715 c x^2)) / 2) with c = sqrt(2 / pi); the bias is optional.
Status fast_gelu(UpgradeContext& context, Node& node) {
  ValueId x = node.inputs[0];
  if (node.has_input(1)) x = put_before(context, node, "bias", "Add", {x, node.inputs[1]});
  if (context.graph.opset >= 20) {
    node.op_type = "Gelu";
    node.inputs = {x};
    node.attributes["approximate"] = std::string("tanh");
    return Status::ok();
  }
  const DType dtype = context.dtype_of(node.inputs[0]);
  const double c = std::sqrt(2 / std::numbers::pi);
  OCTET_ASSIGN(const ValueId linear, context.add_scalar(node, "linear", static_cast<float>(c), dtype));
  OCTET_ASSIGN(const ValueId cubic, context.add_scalar(node, "cubic", static_cast<float>(0.044715 * c), dtype));
  OCTET_ASSIGN(const ValueId half, context.add_scalar(node, "half", 0.5f, dtype));
  const ValueId square = put_before(context, node, "square", "Mul", {x, x});
  const ValueId scaled = put_before(context, node, "square_scale", "Mul", {square, cubic});
  const ValueId sum = put_before(context, node, "square_add", "Add", {scaled, linear});
  const ValueId inner = put_before(context, node, "inner", "Mul", {x, sum});
  const ValueId tanh = put_before(context, node, "tanh", "Tanh", {inner});
  const ValueId halved = put_before(context, node, "halve", "Mul", {tanh, half});
  const ValueId factor = put_before(context, node, "factor", "Add", {halved, half});
  become_product(node, x, factor);
  return Status::ok();
}

// x sigmoid(alpha x)
Status quick_gelu(UpgradeContext& context, Node& node) {
  const ValueId x = node.inputs[0];
  OCTET_ASSIGN(const ValueId alpha,
               context.add_scalar(node, "alpha", node.attr_float("alpha", 1.702f), context.dtype_of(x)));
  const ValueId scaled = put_before(context, node, "scale", "Mul", {x, alpha});
  become_product(node, x, put_before(context, node, "sigmoid", "Sigmoid", {scaled}));
  return Status::ok();
}

constexpr ContribRule kRules[] = {
    {{"BiasGelu", 2, 2, 1, 1, {}}, 0, bias_gelu},
    {{"FastGelu", 1, 2, 1, 1, {}}, 2, fast_gelu},
    {{"FusedConv", 2, 4, 1, 1, kConv}, 4 | 8, fused_conv},
    {{"FusedGemm", 2, 3, 1, 1, kGemm}, 4, fused_gemm},
    {{"FusedMatMul", 2, 2, 1, 1, kMatMul}, 0, fused_matmul},
    {{"Gelu", 1, 1, 1, 1, {}}, 0, gelu},
    {{"QuickGelu", 1, 1, 1, 1, kAlpha}, 0, quick_gelu},
};

}  // namespace

std::span<const ContribRule> fused_contrib_rules() { return kRules; }

}  // namespace octet
