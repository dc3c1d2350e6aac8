#include "graph/op_table.h"

#include <algorithm>

namespace octet {
namespace {

using enum AttrType;

// Attribute lists, shared by the operators that agree on them. They are the union over opsets 7 to 22: whether an
// attribute is legal in the graph's own opset is for the loader, which upgrades old forms.
constexpr AttrInfo kArg[] = {{"axis", kInt}, {"keepdims", kInt}, {"select_last_index", kInt}};
constexpr AttrInfo kAxis[] = {{"axis", kInt}};
constexpr AttrInfo kAxes[] = {{"axes", kInts}};
constexpr AttrInfo kAlpha[] = {{"alpha", kFloat}};
constexpr AttrInfo kPool[] = {{"auto_pad", kString}, {"ceil_mode", kInt},     {"count_include_pad", kInt},
                              {"dilations", kInts},  {"kernel_shape", kInts}, {"pads", kInts},
                              {"strides", kInts}};
constexpr AttrInfo kMaxPool[] = {{"auto_pad", kString},   {"ceil_mode", kInt}, {"dilations", kInts},
                                 {"kernel_shape", kInts}, {"pads", kInts},     {"storage_order", kInt},
                                 {"strides", kInts}};
constexpr AttrInfo kBatchNorm[] = {
    {"epsilon", kFloat}, {"momentum", kFloat}, {"spatial", kInt}, {"training_mode", kInt}};
constexpr AttrInfo kCast[] = {{"saturate", kInt}, {"to", kInt}};
constexpr AttrInfo kSaturate[] = {{"saturate", kInt}};
constexpr AttrInfo kClip[] = {{"max", kFloat}, {"min", kFloat}};
constexpr AttrInfo kConstant[] = {{"value", kTensor},         {"value_float", kFloat}, {"value_floats", kFloats},
                                  {"value_int", kInt},        {"value_ints", kInts},   {"value_string", kString},
                                  {"value_strings", kStrings}};
constexpr AttrInfo kValue[] = {{"value", kTensor}};
constexpr AttrInfo kConv[] = {{"auto_pad", kString},   {"dilations", kInts}, {"group", kInt},
                              {"kernel_shape", kInts}, {"pads", kInts},      {"strides", kInts}};
constexpr AttrInfo kConvTranspose[] = {{"auto_pad", kString},   {"dilations", kInts},      {"group", kInt},
                                       {"kernel_shape", kInts}, {"output_padding", kInts}, {"output_shape", kInts},
                                       {"pads", kInts},         {"strides", kInts}};
constexpr AttrInfo kCumSum[] = {{"exclusive", kInt}, {"reverse", kInt}};
constexpr AttrInfo kDepthToSpace[] = {{"blocksize", kInt}, {"mode", kString}};
constexpr AttrInfo kDequantize[] = {{"axis", kInt}, {"block_size", kInt}};
constexpr AttrInfo kQuantize[] = {{"axis", kInt}, {"block_size", kInt}, {"output_dtype", kInt}, {"saturate", kInt}};
constexpr AttrInfo kDropout[] = {{"ratio", kFloat}, {"seed", kInt}};
constexpr AttrInfo kEinsum[] = {{"equation", kString}};
constexpr AttrInfo kEyeLike[] = {{"dtype", kInt}, {"k", kInt}};
constexpr AttrInfo kGatherNd[] = {{"batch_dims", kInt}};
constexpr AttrInfo kGelu[] = {{"approximate", kString}};
constexpr AttrInfo kGemm[] = {{"alpha", kFloat}, {"beta", kFloat}, {"transA", kInt}, {"transB", kInt}};
constexpr AttrInfo kGroupNorm[] = {{"epsilon", kFloat}, {"num_groups", kInt}, {"stash_type", kInt}};
constexpr AttrInfo kHardSigmoid[] = {{"alpha", kFloat}, {"beta", kFloat}};
constexpr AttrInfo kEpsilon[] = {{"epsilon", kFloat}};
constexpr AttrInfo kIsInf[] = {{"detect_negative", kInt}, {"detect_positive", kInt}};
constexpr AttrInfo kLrn[] = {{"alpha", kFloat}, {"beta", kFloat}, {"bias", kFloat}, {"size", kInt}};
constexpr AttrInfo kLayerNorm[] = {{"axis", kInt}, {"epsilon", kFloat}, {"stash_type", kInt}};
constexpr AttrInfo kLpNorm[] = {{"axis", kInt}, {"p", kInt}};
constexpr AttrInfo kMod[] = {{"fmod", kInt}};
constexpr AttrInfo kNms[] = {{"center_point_box", kInt}};
constexpr AttrInfo kPad[] = {{"mode", kString}, {"pads", kInts}, {"value", kFloat}};
constexpr AttrInfo kReduce[] = {{"axes", kInts}, {"keepdims", kInt}, {"noop_with_empty_axes", kInt}};
constexpr AttrInfo kReshape[] = {{"allowzero", kInt}};
constexpr AttrInfo kResize[] = {{"antialias", kInt},
                                {"axes", kInts},
                                {"coordinate_transformation_mode", kString},
                                {"cubic_coeff_a", kFloat},
                                {"exclude_outside", kInt},
                                {"extrapolation_value", kFloat},
                                {"keep_aspect_ratio_policy", kString},
                                {"mode", kString},
                                {"nearest_mode", kString}};
constexpr AttrInfo kScatter[] = {{"axis", kInt}, {"reduction", kString}};
constexpr AttrInfo kReduction[] = {{"reduction", kString}};
constexpr AttrInfo kSelu[] = {{"alpha", kFloat}, {"gamma", kFloat}};
constexpr AttrInfo kShape[] = {{"end", kInt}, {"start", kInt}};
constexpr AttrInfo kSlice[] = {{"axes", kInts}, {"ends", kInts}, {"starts", kInts}};
constexpr AttrInfo kBlocksize[] = {{"blocksize", kInt}};
constexpr AttrInfo kSplit[] = {{"axis", kInt}, {"num_outputs", kInt}, {"split", kInts}};
constexpr AttrInfo kTopK[] = {{"axis", kInt}, {"k", kInt}, {"largest", kInt}, {"sorted", kInt}};
constexpr AttrInfo kPerm[] = {{"perm", kInts}};
constexpr AttrInfo kUpper[] = {{"upper", kInt}};
constexpr AttrInfo kUpsample[] = {{"mode", kString}, {"scales", kFloats}};

// {op, inputs from-to, outputs from-to, attributes}; sorted by name, which find_op relies on.
constexpr OpInfo kOps[] = {
    {"Abs", 1, 1, 1, 1, {}},
    {"Add", 2, 2, 1, 1, {}},
    {"And", 2, 2, 1, 1, {}},
    {"ArgMax", 1, 1, 1, 1, kArg},
    {"ArgMin", 1, 1, 1, 1, kArg},
    {"AveragePool", 1, 1, 1, 1, kPool},
    {"BatchNormalization", 5, 5, 1, 5, kBatchNorm},
    {"Cast", 1, 1, 1, 1, kCast},
    {"CastLike", 2, 2, 1, 1, kSaturate},
    {"Ceil", 1, 1, 1, 1, {}},
    {"Clip", 1, 3, 1, 1, kClip},
    {"Concat", 1, -1, 1, 1, kAxis},
    {"Constant", 0, 0, 1, 1, kConstant},
    {"ConstantOfShape", 1, 1, 1, 1, kValue},
    {"Conv", 2, 3, 1, 1, kConv},
    {"ConvInteger", 2, 4, 1, 1, kConv},
    {"ConvTranspose", 2, 3, 1, 1, kConvTranspose},
    {"Cos", 1, 1, 1, 1, {}},
    {"CumSum", 2, 2, 1, 1, kCumSum},
    {"DepthToSpace", 1, 1, 1, 1, kDepthToSpace},
    {"DequantizeLinear", 2, 3, 1, 1, kDequantize},
    {"Div", 2, 2, 1, 1, {}},
    {"Dropout", 1, 3, 1, 2, kDropout},
    {"DynamicQuantizeLinear", 1, 1, 3, 3, {}},
    {"Einsum", 1, -1, 1, 1, kEinsum},
    {"Elu", 1, 1, 1, 1, kAlpha},
    {"Equal", 2, 2, 1, 1, {}},
    {"Erf", 1, 1, 1, 1, {}},
    {"Exp", 1, 1, 1, 1, {}},
    {"Expand", 2, 2, 1, 1, {}},
    {"EyeLike", 1, 1, 1, 1, kEyeLike},
    {"Flatten", 1, 1, 1, 1, kAxis},
    {"Floor", 1, 1, 1, 1, {}},
    {"Gather", 2, 2, 1, 1, kAxis},
    {"GatherElements", 2, 2, 1, 1, kAxis},
    {"GatherND", 2, 2, 1, 1, kGatherNd},
    {"Gelu", 1, 1, 1, 1, kGelu},
    {"Gemm", 2, 3, 1, 1, kGemm},
    {"GlobalAveragePool", 1, 1, 1, 1, {}},
    {"GlobalMaxPool", 1, 1, 1, 1, {}},
    {"Greater", 2, 2, 1, 1, {}},
    {"GreaterOrEqual", 2, 2, 1, 1, {}},
    {"GroupNormalization", 3, 3, 1, 1, kGroupNorm},
    {"HardSigmoid", 1, 1, 1, 1, kHardSigmoid},
    {"HardSwish", 1, 1, 1, 1, {}},
    {"Hardmax", 1, 1, 1, 1, kAxis},
    {"Identity", 1, 1, 1, 1, {}},
    {"InstanceNormalization", 3, 3, 1, 1, kEpsilon},
    {"IsInf", 1, 1, 1, 1, kIsInf},
    {"IsNaN", 1, 1, 1, 1, {}},
    {"LRN", 1, 1, 1, 1, kLrn},
    {"LayerNormalization", 2, 3, 1, 3, kLayerNorm},
    {"LeakyRelu", 1, 1, 1, 1, kAlpha},
    {"Less", 2, 2, 1, 1, {}},
    {"LessOrEqual", 2, 2, 1, 1, {}},
    {"Log", 1, 1, 1, 1, {}},
    {"LogSoftmax", 1, 1, 1, 1, kAxis},
    {"LpNormalization", 1, 1, 1, 1, kLpNorm},
    {"MatMul", 2, 2, 1, 1, {}},
    {"MatMulInteger", 2, 4, 1, 1, {}},
    {"Max", 1, -1, 1, 1, {}},
    {"MaxPool", 1, 1, 1, 2, kMaxPool},
    {"Mean", 1, -1, 1, 1, {}},
    {"Min", 1, -1, 1, 1, {}},
    {"Mish", 1, 1, 1, 1, {}},
    {"Mod", 2, 2, 1, 1, kMod},
    {"Mul", 2, 2, 1, 1, {}},
    {"Neg", 1, 1, 1, 1, {}},
    {"NonMaxSuppression", 2, 5, 1, 1, kNms},
    {"NonZero", 1, 1, 1, 1, {}},
    {"Not", 1, 1, 1, 1, {}},
    {"OneHot", 3, 3, 1, 1, kAxis},
    {"Or", 2, 2, 1, 1, {}},
    {"PRelu", 2, 2, 1, 1, {}},
    {"Pad", 1, 4, 1, 1, kPad},
    {"Pow", 2, 2, 1, 1, {}},
    {"QLinearConv", 8, 9, 1, 1, kConv},
    {"QLinearMatMul", 8, 8, 1, 1, {}},
    {"QuantizeLinear", 2, 3, 1, 1, kQuantize},
    {"Range", 3, 3, 1, 1, {}},
    {"Reciprocal", 1, 1, 1, 1, {}},
    {"ReduceL1", 1, 2, 1, 1, kReduce},
    {"ReduceL2", 1, 2, 1, 1, kReduce},
    {"ReduceLogSum", 1, 2, 1, 1, kReduce},
    {"ReduceLogSumExp", 1, 2, 1, 1, kReduce},
    {"ReduceMax", 1, 2, 1, 1, kReduce},
    {"ReduceMean", 1, 2, 1, 1, kReduce},
    {"ReduceMin", 1, 2, 1, 1, kReduce},
    {"ReduceProd", 1, 2, 1, 1, kReduce},
    {"ReduceSum", 1, 2, 1, 1, kReduce},
    {"ReduceSumSquare", 1, 2, 1, 1, kReduce},
    {"Relu", 1, 1, 1, 1, {}},
    {"Reshape", 2, 2, 1, 1, kReshape},
    {"Resize", 1, 4, 1, 1, kResize},
    {"Round", 1, 1, 1, 1, {}},
    {"ScatterElements", 3, 3, 1, 1, kScatter},
    {"ScatterND", 3, 3, 1, 1, kReduction},
    {"Selu", 1, 1, 1, 1, kSelu},
    {"Shape", 1, 1, 1, 1, kShape},
    {"Sigmoid", 1, 1, 1, 1, {}},
    {"Sign", 1, 1, 1, 1, {}},
    {"Sin", 1, 1, 1, 1, {}},
    {"Size", 1, 1, 1, 1, {}},
    {"Slice", 1, 5, 1, 1, kSlice},
    {"Softmax", 1, 1, 1, 1, kAxis},
    {"Softplus", 1, 1, 1, 1, {}},
    {"Softsign", 1, 1, 1, 1, {}},
    {"SpaceToDepth", 1, 1, 1, 1, kBlocksize},
    {"Split", 1, 2, 1, -1, kSplit},
    {"Sqrt", 1, 1, 1, 1, {}},
    {"Squeeze", 1, 2, 1, 1, kAxes},
    {"Sub", 2, 2, 1, 1, {}},
    {"Sum", 1, -1, 1, 1, {}},
    {"Tanh", 1, 1, 1, 1, {}},
    {"ThresholdedRelu", 1, 1, 1, 1, kAlpha},
    {"Tile", 2, 2, 1, 1, {}},
    {"TopK", 1, 2, 2, 2, kTopK},
    {"Transpose", 1, 1, 1, 1, kPerm},
    {"Trilu", 1, 2, 1, 1, kUpper},
    {"Unsqueeze", 1, 2, 1, 1, kAxes},
    {"Upsample", 1, 2, 1, 1, kUpsample},
    {"Where", 3, 3, 1, 1, {}},
    {"Xor", 2, 2, 1, 1, {}},
};

constexpr bool sorted_by_name() {
  for (size_t i = 1; i < std::size(kOps); ++i)
    if (kOps[i - 1].op_type >= kOps[i].op_type) return false;
  return true;
}
static_assert(sorted_by_name(), "kOps must be sorted by name without repeats");

}  // namespace

const OpInfo* find_op(std::string_view domain, std::string_view op_type) {
  if (!domain.empty() && domain != "ai.onnx") return nullptr;
  const OpInfo* end = std::end(kOps);
  const OpInfo* found = std::lower_bound(std::begin(kOps), end, op_type,
                                         [](const OpInfo& op, std::string_view name) { return op.op_type < name; });
  return found != end && found->op_type == op_type ? found : nullptr;
}

std::span<const OpInfo> all_ops() { return kOps; }

}  // namespace octet
