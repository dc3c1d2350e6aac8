#include <algorithm>

#include "graph/infer/conv.h"
#include "graph/infer/elementwise.h"
#include "graph/infer/index_ops.h"
#include "graph/infer/linear.h"
#include "graph/infer/normalize.h"
#include "graph/infer/quantize.h"
#include "graph/infer/reduce.h"
#include "graph/infer/resize.h"
#include "graph/infer/shape_ops.h"

namespace octet {
namespace {

struct Row {
  std::string_view op_type;
  InferFn infer;
};

// Sorted by name, which find_infer relies on.
constexpr Row kRows[] = {
    {"Abs", infer_same},
    {"Add", infer_arithmetic},
    {"And", infer_logic},
    {"ArgMax", infer_arg_extreme},
    {"ArgMin", infer_arg_extreme},
    {"AveragePool", infer_average_pool},
    {"BatchNormalization", infer_batch_norm},
    {"Cast", infer_cast},
    {"CastLike", infer_cast_like},
    {"Ceil", infer_identity},
    {"Clip", infer_same},
    {"Concat", infer_concat},
    {"Constant", infer_constant},
    {"ConstantOfShape", infer_constant_of_shape},
    {"Conv", infer_conv},
    {"ConvInteger", infer_conv_integer},
    {"ConvTranspose", infer_conv_transpose},
    {"Cos", infer_same},
    {"CumSum", infer_cum_sum},
    {"DepthToSpace", infer_depth_to_space},
    {"DequantizeLinear", infer_dequantize},
    {"Div", infer_arithmetic},
    {"Dropout", infer_dropout},
    {"DynamicQuantizeLinear", infer_dynamic_quantize},
    {"Einsum", infer_einsum},
    {"Elu", infer_same},
    {"Equal", infer_compare},
    {"Erf", infer_same},
    {"Exp", infer_same},
    {"Expand", infer_expand},
    {"EyeLike", infer_eye_like},
    {"Flatten", infer_flatten},
    {"Floor", infer_identity},
    {"Gather", infer_gather},
    {"GatherElements", infer_gather_elements},
    {"GatherND", infer_gather_nd},
    {"Gelu", infer_same},
    {"Gemm", infer_gemm},
    {"GlobalAveragePool", infer_global_pool},
    {"GlobalMaxPool", infer_global_pool},
    {"Greater", infer_compare},
    {"GreaterOrEqual", infer_compare},
    {"GroupNormalization", infer_channel_norm},
    {"HardSigmoid", infer_same},
    {"HardSwish", infer_same},
    {"Hardmax", infer_along_axis},
    {"Identity", infer_identity},
    {"InstanceNormalization", infer_channel_norm},
    {"IsInf", infer_is_special},
    {"IsNaN", infer_is_special},
    {"LRN", infer_lrn},
    {"LayerNormalization", infer_layer_norm},
    {"LeakyRelu", infer_same},
    {"Less", infer_compare},
    {"LessOrEqual", infer_compare},
    {"Log", infer_same},
    {"LogSoftmax", infer_along_axis},
    {"LpNormalization", infer_along_axis},
    {"MatMul", infer_matmul},
    {"MatMulInteger", infer_matmul_integer},
    {"Max", infer_arithmetic},
    {"MaxPool", infer_max_pool},
    {"Mean", infer_arithmetic},
    {"Min", infer_arithmetic},
    {"Mish", infer_same},
    {"Mod", infer_arithmetic},
    {"Mul", infer_arithmetic},
    {"Neg", infer_negate},
    {"NonMaxSuppression", infer_non_max_suppression},
    {"NonZero", infer_non_zero},
    {"Not", infer_logic},
    {"OneHot", infer_one_hot},
    {"Or", infer_logic},
    {"PRelu", infer_prelu},
    {"Pad", infer_pad},
    {"Pow", infer_pow},
    {"QLinearConv", infer_qlinear_conv},
    {"QLinearMatMul", infer_qlinear_matmul},
    {"QuantizeLinear", infer_quantize},
    {"Range", infer_range},
    {"Reciprocal", infer_same},
    {"ReduceL1", infer_reduce},
    {"ReduceL2", infer_reduce},
    {"ReduceLogSum", infer_reduce},
    {"ReduceLogSumExp", infer_reduce},
    {"ReduceMax", infer_reduce},
    {"ReduceMean", infer_reduce},
    {"ReduceMin", infer_reduce},
    {"ReduceProd", infer_reduce},
    {"ReduceSum", infer_reduce},
    {"ReduceSumSquare", infer_reduce},
    {"Relu", infer_same},
    {"Reshape", infer_reshape},
    {"Resize", infer_resize},
    {"Round", infer_identity},
    {"ScatterElements", infer_scatter_elements},
    {"ScatterND", infer_scatter_nd},
    {"Selu", infer_same},
    {"Shape", infer_shape},
    {"Sigmoid", infer_same},
    {"Sign", infer_same},
    {"Sin", infer_same},
    {"Size", infer_size},
    {"Slice", infer_slice},
    {"Softmax", infer_along_axis},
    {"Softplus", infer_same},
    {"Softsign", infer_same},
    {"SpaceToDepth", infer_space_to_depth},
    {"Split", infer_split},
    {"Sqrt", infer_same},
    {"Squeeze", infer_squeeze},
    {"Sub", infer_arithmetic},
    {"Sum", infer_arithmetic},
    {"Tanh", infer_same},
    {"ThresholdedRelu", infer_same},
    {"Tile", infer_tile},
    {"TopK", infer_top_k},
    {"Transpose", infer_transpose},
    {"Trilu", infer_trilu},
    {"Unsqueeze", infer_unsqueeze},
    {"Upsample", infer_upsample},
    {"Where", infer_where},
    {"Xor", infer_logic},
};

constexpr bool sorted_by_name() {
  for (size_t i = 1; i < std::size(kRows); ++i)
    if (kRows[i - 1].op_type >= kRows[i].op_type) return false;
  return true;
}
static_assert(sorted_by_name(), "kRows must be sorted by name without repeats");

}  // namespace

InferFn find_infer(std::string_view op_type) {
  const Row* end = std::end(kRows);
  const Row* found = std::lower_bound(std::begin(kRows), end, op_type,
                                      [](const Row& row, std::string_view name) { return row.op_type < name; });
  return found != end && found->op_type == op_type ? found->infer : nullptr;
}

}  // namespace octet
