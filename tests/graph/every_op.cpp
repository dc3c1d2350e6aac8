#include "graph/every_op.h"

namespace octet::test {
namespace {

void add_unary(std::vector<OpCase>& cases) {
  for (const char* op : {"Abs",
                         "Ceil",
                         "Clip",
                         "Cos",
                         "Elu",
                         "Erf",
                         "Exp",
                         "Floor",
                         "Gelu",
                         "HardSigmoid",
                         "HardSwish",
                         "Hardmax",
                         "Identity",
                         "IsInf",
                         "IsNaN",
                         "LeakyRelu",
                         "Log",
                         "LogSoftmax",
                         "LpNormalization",
                         "Mish",
                         "Neg",
                         "Reciprocal",
                         "Relu",
                         "Round",
                         "Selu",
                         "Sigmoid",
                         "Sign",
                         "Sin",
                         "Softmax",
                         "Softplus",
                         "Softsign",
                         "Sqrt",
                         "Tanh",
                         "ThresholdedRelu",
                         "Dropout",
                         "GlobalAveragePool",
                         "GlobalMaxPool",
                         "Size",
                         "Shape",
                         "Flatten",
                         "Transpose",
                         "Trilu",
                         "NonZero",
                         "Sum",
                         "Mean",
                         "Max",
                         "Min",
                         "ArgMax",
                         "ArgMin"})
    cases.push_back({20, "input %x: float32[N, 3, H, S]\n%y = " + std::string(op) + "(%x)\n"});
  cases.push_back({20, "input %x: bool[N, 3]\n%y = Not(%x)\n"});
}

void add_binary(std::vector<OpCase>& cases) {
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Pow", "Equal", "Greater", "GreaterOrEqual", "Less",
                         "LessOrEqual", "PRelu", "Max", "Min", "Mean", "Sum", "CastLike"})
    cases.push_back(
        {18, "input %x: float32[N, 3, H, S]\ninput %b: float32[3, 1, S]\n%y = " + std::string(op) + "(%x, %b)\n"});
  for (const char* op : {"And", "Or", "Xor"})
    cases.push_back({17, "input %x: bool[N, 1, S]\ninput %b: bool[3, 1]\n%y = " + std::string(op) + "(%x, %b)\n"});
  cases.push_back({17, "input %x: float32[N, S]\ninput %b: float32[S]\n%y = Mod(%x, %b) {fmod = 1}\n"});
  cases.push_back(
      {17, "input %c: bool[N, 1]\ninput %x: float32[S]\ninput %b: float32[1, 1, 1]\n%y = Where(%c, %x, %b)\n"});
  cases.push_back({17, "input %x: float32[N, S]\n%y = Cast(%x) {to = 10}\n"});
  cases.push_back({17, "input %x: float32[N, S]\nconst %l: float32[] = [0.0]\n%y = Clip(%x, %l)\n"});
}

void add_reductions(std::vector<OpCase>& cases) {
  for (const char* op : {"ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean",
                         "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"}) {
    const std::string x = "input %x: float32[N, 3, H, S]\n";
    const std::string call = "%y = " + std::string(op);
    cases.push_back({18, x + call + "(%x)\n"});
    cases.push_back({18, x + "const %a: int64[2] = [-1, 1]\n" + call + "(%x, %a) {keepdims = 0}\n"});
    cases.push_back({18, x + "const %a: int64[0] = []\n" + call + "(%x, %a) {noop_with_empty_axes = 1}\n"});
    if (std::string(op) != "ReduceSum") cases.push_back({13, x + call + "(%x) {axes = [2, 3]}\n"});
  }
  const std::string x = "input %x: float32[N, 3, H, S]\n";
  cases.push_back({17, x + "%y = ArgMax(%x) {axis = 2, keepdims = 0}\n"});
  cases.push_back({17, x + "const %a: int64[] = [1]\n%y = CumSum(%x, %a)\n"});
}

void add_windows(std::vector<OpCase>& cases) {
  const std::string x = "input %x: float32[N, 4, H, 9]\n";
  const std::string w = "input %w: float32[6, 4, 3, 3]\n";
  for (const char* attributes :
       {"", " {pads = [1, 1, 1, 1], strides = [2, 2]}", " {dilations = [2, 3], pads = [0, 1, 2, 3]}",
        " {auto_pad = \"SAME_LOWER\", strides = [2, 3]}", " {auto_pad = \"VALID\", strides = [2, 1]}"})
    cases.push_back({17, x + w + "%y = Conv(%x, %w)" + attributes + "\n"});
  cases.push_back(
      {17, x + "input %w: float32[8, 2, 1, 2]\ninput %b: float32[8]\n%y = Conv(%x, %w, %b) {group = 2}\n"});
  cases.push_back({17, "input %x: float32[N, 4, 9]\ninput %w: float32[2, 4, 3]\n%y = Conv(%x, %w)\n"});
  const std::string t = "input %w: float32[4, 3, 3, 2]\n";
  for (const char* attributes :
       {"", " {strides = [2, 3], pads = [1, 0, 1, 1]}", " {strides = [2, 3], output_padding = [1, 2], group = 2}",
        " {strides = [2, 2], output_shape = [13, 18]}", " {strides = [2, 2], auto_pad = \"SAME_UPPER\"}",
        " {dilations = [2, 1]}"})
    cases.push_back({17, x + t + "%y = ConvTranspose(%x, %w)" + attributes + "\n"});
  for (const char* op : {"MaxPool", "AveragePool"})
    for (const char* attributes :
         {"kernel_shape = [3, 3]", "kernel_shape = [3, 2], strides = [2, 2], pads = [1, 0, 1, 1], ceil_mode = 1",
          "kernel_shape = [2, 2], strides = [3, 3], ceil_mode = 1",
          "kernel_shape = [1, 1], strides = [2, 4], ceil_mode = 1", "kernel_shape = [2, 3], dilations = [2, 2]",
          "kernel_shape = [3, 3], strides = [2, 2], auto_pad = \"SAME_UPPER\"",
          "kernel_shape = [3, 3], strides = [2, 2], auto_pad = \"VALID\", ceil_mode = 1"})
      cases.push_back({19, x + "%y = " + op + "(%x) {" + attributes + "}\n"});
  cases.push_back({17, x + "%y, %i = MaxPool(%x) {kernel_shape = [2, 2]}\n"});
  cases.push_back({17, x + "%y = LRN(%x) {size = 3}\n"});
}

void add_linear(std::vector<OpCase>& cases) {
  cases.push_back({17, "input %x: float32[N, S, 5]\ninput %b: float32[5, 7]\n%y = MatMul(%x, %b)\n"});
  cases.push_back({17, "input %x: float32[N, 1, S, 5]\ninput %b: float32[3, 5, S]\n%y = MatMul(%x, %b)\n"});
  cases.push_back({17, "input %x: float32[5]\ninput %b: float32[N, 5, 7]\n%y = MatMul(%x, %b)\n"});
  cases.push_back({17, "input %x: float32[N, 5]\ninput %b: float32[5]\n%y = MatMul(%x, %b)\n"});
  cases.push_back({17,
                   "input %x: float32[5, N]\ninput %b: float32[7, 5]\ninput %c: float32[7]\n"
                   "%y = Gemm(%x, %b, %c) {transA = 1, transB = 1}\n"});
  cases.push_back({17,
                   "input %x: float32[N, S, 5]\ninput %b: float32[N, 7, 5]\n"
                   "%y = Einsum(%x, %b) {equation = \"nsd,ntd->nst\"}\n"});
  cases.push_back({17,
                   "input %x: float32[N, S, 5]\ninput %b: float32[5, 7]\n"
                   "%y = Einsum(%x, %b) {equation = \"...d,dt->...t\"}\n"});
  cases.push_back({17, "input %x: uint8[N, 5]\ninput %b: int8[5, 7]\n%y = MatMulInteger(%x, %b)\n"});
  cases.push_back({17,
                   "input %x: uint8[N, 2, H, 9]\ninput %w: int8[6, 2, 3, 3]\n"
                   "%y = ConvInteger(%x, %w) {strides = [2, 1]}\n"});
  const std::string scales = "const %s: float32[] = [0.5]\nconst %z: uint8[] = [3]\nconst %v: int8[] = [0]\n";
  cases.push_back({17, "input %x: uint8[N, 5]\ninput %b: int8[5, 7]\n" + scales +
                           "%y = QLinearMatMul(%x, %s, %z, %b, %s, %v, %s, %z)\n"});
  cases.push_back({17, "input %x: uint8[N, 2, H, 9]\ninput %w: int8[6, 2, 3, 3]\n" + scales +
                           "%y = QLinearConv(%x, %s, %z, %w, %s, %v, %s, %z) {pads = [1, 1, 1, 1]}\n"});
}

void add_normalizations(std::vector<OpCase>& cases) {
  const std::string x =
      "input %x: float32[N, 4, H, 9]\ninput %p: float32[4]\ninput %q: float32[4]\n"
      "input %m: float32[4]\nconst %v: float32[4] = [1.0, 2.0, 3.0, 4.0]\n";
  cases.push_back({17, x + "%y = BatchNormalization(%x, %p, %q, %m, %v)\n"});
  cases.push_back({17, x + "%y = InstanceNormalization(%x, %p, %q)\n"});
  cases.push_back({21, x + "%y = GroupNormalization(%x, %p, %q) {num_groups = 2}\n"});
  cases.push_back(
      {17, "input %x: float32[N, S, 8]\ninput %p: float32[8]\n%y, %m, %i = LayerNormalization(%x, %p)\n"});
}

void add_shape_ops(std::vector<OpCase>& cases) {
  const std::string x = "input %x: float32[N, 4, 1, S]\n";
  const auto list = [](const std::string& name, int n, const std::string& elements) {
    return "const %" + name + ": int64[" + std::to_string(n) + "] = [" + elements + "]\n";
  };
  cases.push_back({17, x + list("s", 2, "-1, 8") + "%y = Reshape(%x, %s)\n"});
  cases.push_back({17, x + list("s", 3, "0, 2, -1") + "%y = Reshape(%x, %s)\n"});
  cases.push_back({17, x + "%y = Flatten(%x) {axis = 2}\n"});
  cases.push_back({17, x + "%y = Flatten(%x) {axis = -1}\n"});
  cases.push_back({17, x + list("a", 1, "-2") + "%y = Squeeze(%x, %a)\n"});
  cases.push_back({17, x + list("a", 2, "-1, 0") + "%y = Unsqueeze(%x, %a)\n"});
  cases.push_back({17, x + "%y = Transpose(%x) {perm = [2, 0, 3, 1]}\n"});
  cases.push_back({17, x + list("s", 5, "3, 1, 1, 7, 1") + "%y = Expand(%x, %s)\n"});
  cases.push_back({17, x + list("r", 4, "2, 1, 3, 0") + "%y = Tile(%x, %r)\n"});
  cases.push_back({17, x + "%y = Shape(%x) {start = -3, end = -1}\n"});
  cases.push_back({17, x + "%s = Shape(%x)\n%y = ConstantOfShape(%s) {value = tensor(int8[1] [5])}\n"});
  cases.push_back({17, "%y = Constant() {value_floats = [1.0, 2.0]}\n"});
  cases.push_back({17,
                   "const %a: float32[] = [1.0]\nconst %b: float32[] = [8.0]\nconst %c: float32[] = [2.0]\n"
                   "%y = Range(%a, %b, %c)\n"});
  cases.push_back({17, "input %x: float32[S, 5]\n%y = EyeLike(%x) {dtype = 7}\n"});
  cases.push_back({17, x + "%s = Shape(%x)\n" + list("i", 2, "3, 0") + list("m", 1, "-1") +
                           "%g = Gather(%s, %i)\n%t = Concat(%g, %m) {axis = 0}\n%y = Reshape(%x, %t)\n"});
}

void add_index_ops(std::vector<OpCase>& cases) {
  const std::string x = "input %x: float32[N, 6, S]\n";
  const auto list = [](const std::string& name, int n, const std::string& elements) {
    return "const %" + name + ": int64[" + std::to_string(n) + "] = [" + elements + "]\n";
  };
  cases.push_back({17, x + "input %b: float32[N, 6, 3]\n%y = Concat(%x, %b, %x) {axis = -1}\n"});
  cases.push_back({17, x + list("s", 3, "1, 2, 3") + "%y, %z, %w = Split(%x, %s) {axis = 1}\n"});
  cases.push_back({18, "input %x: float32[N, 7]\n%y, %z, %w = Split(%x) {axis = 1, num_outputs = 3}\n"});
  for (const char* ends : {"9223372036854775807, 3", "-1, 100", "1, -2"})
    cases.push_back(
        {17, x + list("s", 2, "0, 1") + list("e", 2, ends) + list("a", 2, "2, 1") + "%y = Slice(%x, %s, %e, %a)\n"});
  cases.push_back({17, x + list("s", 2, "-1, 5") + list("e", 2, "-9223372036854775808, 0") + list("a", 2, "2, 1") +
                           list("t", 2, "-1, -2") + "%y = Slice(%x, %s, %e, %a, %t)\n"});
  cases.push_back({17, x + list("p", 6, "0, 1, 2, 0, -2, 3") + "%y = Pad(%x, %p)\n"});
  cases.push_back({18, x + list("p", 4, "1, 0, 1, 2") + list("a", 2, "-1, 0") + "%y = Pad(%x, %p, _, %a)\n"});
  cases.push_back({17, x + list("i", 2, "5, -6") + "%y = Gather(%x, %i) {axis = 1}\n"});
  cases.push_back({17, x + "const %i: int64[] = [1]\n%y = Gather(%x, %i) {axis = 1}\n"});
  cases.push_back(
      {17, "input %x: float32[3, 2]\nconst %i: int64[2, 2] = [0, 1, 1, 2]\n%y = GatherElements(%x, %i)\n"});
  cases.push_back({17, "input %x: float32[3, 2, S]\nconst %i: int64[2, 2] = [0, 1, 2, 0]\n%y = GatherND(%x, %i)\n"});
  cases.push_back({17,
                   "input %x: float32[3, 2]\nconst %i: int64[1, 2] = [0, 1]\ninput %u: float32[1, 2]\n"
                   "%y = ScatterElements(%x, %i, %u)\n"});
  cases.push_back({17,
                   "input %x: float32[3, S]\nconst %i: int64[1, 1] = [2]\ninput %u: float32[1, S]\n"
                   "%y = ScatterND(%x, %i, %u)\n"});
  cases.push_back(
      {17,
       "const %i: int64[2, 2] = [0, 1, 1, 2]\nconst %d: int64[] = [4]\nconst %v: float32[2] = [0.0, 1.0]\n"
       "%y = OneHot(%i, %d, %v) {axis = 1}\n"});
  cases.push_back({17, x + list("k", 1, "4") + "%y, %i = TopK(%x, %k) {axis = 1}\n"});
  cases.push_back({17,
                   "input %b: float32[1, 5, 4]\ninput %s: float32[1, 2, 5]\nconst %m: int64[1] = [3]\n"
                   "%y = NonMaxSuppression(%b, %s, %m)\n"});
}

void add_resizing(std::vector<OpCase>& cases) {
  const std::string x = "input %x: float32[N, 4, H, 10]\n";
  for (const char* scales : {"1.0, 1.0, 2.0, 3.0", "1.0, 1.0, 0.5, 0.7", "1.0, 1.0, 1.5, 0.33333334"})
    cases.push_back({17, x + "const %s: float32[4] = [" + scales + "]\n%y = Resize(%x, _, %s)\n"});
  cases.push_back({18, x + "const %s: int64[2] = [7, 5]\n%y = Resize(%x, _, _, %s) {axes = [2, 3]}\n"});
  for (const char* policy : {"not_larger", "not_smaller"})
    cases.push_back({18,
                     "input %x: float32[1, 1, 7, 10]\nconst %s: int64[2] = [6, 6]\n%y = Resize(%x, _, _, %s) "
                     "{axes = [2, 3], keep_aspect_ratio_policy = \"" +
                         std::string(policy) + "\"}\n"});
  cases.push_back({13, x + "const %s: float32[4] = [1.0, 1.0, 2.0, 2.0]\n%y = Upsample(%x, %s)\n"});
  cases.push_back({17, x + "%y = DepthToSpace(%x) {blocksize = 2}\n"});
  cases.push_back({17, x + "%y = SpaceToDepth(%x) {blocksize = 2}\n"});
}

void add_quantization(std::vector<OpCase>& cases) {
  const std::string p =
      "const %s: float32[3] = [0.5, 0.25, 1.0]\nconst %z: int8[3] = [0, 1, -1]\n"
      "const %one: float32[] = [0.1]\n";
  cases.push_back({17, "input %x: float32[N, 3, S]\n" + p + "%y = QuantizeLinear(%x, %s, %z)\n"});
  cases.push_back({17, "input %x: float32[N, 3, S]\n" + p + "%y = QuantizeLinear(%x, %one)\n"});
  cases.push_back({21, "input %x: float32[N, 3, S]\n" + p + "%y = QuantizeLinear(%x, %one) {output_dtype = 5}\n"});
  cases.push_back({17, "input %x: int8[N, 3, S]\n" + p + "%y = DequantizeLinear(%x, %s, %z) {axis = 1}\n"});
  cases.push_back({17, "input %x: float32[N, 3, S]\n%y, %s, %z = DynamicQuantizeLinear(%x)\n"});
}

}  // namespace

std::vector<OpCase> every_op() {
  std::vector<OpCase> cases;
  add_unary(cases);
  add_binary(cases);
  add_reductions(cases);
  add_windows(cases);
  add_linear(cases);
  add_normalizations(cases);
  add_shape_ops(cases);
  add_index_ops(cases);
  add_resizing(cases);
  add_quantization(cases);
  return cases;
}

}  // namespace octet::test
