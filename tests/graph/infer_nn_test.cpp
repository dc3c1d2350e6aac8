// Matrix products, normalisations, reductions, resizing and quantization.
#include <gtest/gtest.h>

#include "graph/infer_case.h"

namespace octet {
namespace {

using test::infer;

std::string two(const std::string& a, const std::string& b, const std::string& call) {
  return infer("input %a: " + a + "\ninput %b: " + b + "\n%y = " + call + "\n");
}

TEST(InferLinear, MatMul) {
  EXPECT_EQ(two("float32[N, 5, 4]", "float32[4, 7]", "MatMul(%a, %b)"), "float32[N, 5, 7]");
  EXPECT_EQ(two("float32[N, 12, S, 64]", "float32[N, 12, 64, S]", "MatMul(%a, %b)"), "float32[N, 12, S, S]");
  EXPECT_EQ(two("float32[4]", "float32[N, 4, 7]", "MatMul(%a, %b)"), "float32[N, 7]");
  EXPECT_EQ(two("float32[N, 4]", "float32[4]", "MatMul(%a, %b)"), "float32[N]");
  EXPECT_EQ(two("float32[4]", "float32[4]", "MatMul(%a, %b)"), "float32[]");
  EXPECT_NE(two("float32[N, 5]", "float32[4, 7]", "MatMul(%a, %b)").find("[5] and [4]"), std::string::npos);
  EXPECT_NE(two("float32[]", "float32[4, 7]", "MatMul(%a, %b)").find("rank"), std::string::npos);
  EXPECT_EQ(two("uint8[N, 4]", "int8[4, 7]", "MatMulInteger(%a, %b)"), "int32[N, 7]");
}

TEST(InferLinear, Gemm) {
  EXPECT_EQ(two("float32[N, 4]", "float32[7, 4]", "Gemm(%a, %b) {transB = 1}"), "float32[N, 7]");
  EXPECT_EQ(two("float32[4, N]", "float32[4, 7]", "Gemm(%a, %b) {transA = 1}"), "float32[N, 7]");
  EXPECT_NE(two("float32[N, 4]", "float32[7, 4]", "Gemm(%a, %b)").find("inner sizes [4] and [7]"), std::string::npos);
  EXPECT_NE(two("float32[N, 2, 4]", "float32[4, 7]", "Gemm(%a, %b)").find("rank"), std::string::npos);
  const std::string bias = "input %a: float32[2, 4]\ninput %b: float32[4, 7]\ninput %c: float32";
  EXPECT_EQ(infer(bias + "[7]\n%y = Gemm(%a, %b, %c)\n"), "float32[2, 7]");
  EXPECT_NE(infer(bias + "[6]\n%y = Gemm(%a, %b, %c)\n").find("broadcast"), std::string::npos);
  EXPECT_NE(infer(bias + "[3, 2, 7]\n%y = Gemm(%a, %b, %c)\n").find("bias"), std::string::npos);
}

TEST(InferLinear, Einsum) {
  EXPECT_EQ(two("float32[N, S, 8]", "float32[N, T, 8]", "Einsum(%a, %b) {equation = \"bsd,btd->bst\"}"),
            "float32[N, S, T]");
  EXPECT_EQ(two("float32[2, 3]", "float32[3, 4]", "Einsum(%a, %b) {equation = \"ij, jk\"}"), "float32[2, 4]");
  EXPECT_EQ(two("float32[5, 2, 3]", "float32[3, 4]", "Einsum(%a, %b) {equation = \"...ij,jk->...ik\"}"),
            "float32[5, 2, 4]");
  EXPECT_EQ(infer("input %a: float32[3, 3]\n%y = Einsum(%a) {equation = \"ii->i\"}\n"), "float32[3]");
  EXPECT_NE(two("float32[2, 3]", "float32[4, 4]", "Einsum(%a, %b) {equation = \"ij,jk->ik\"}").find("letter 'j'"),
            std::string::npos);
  EXPECT_NE(two("float32[2, 3]", "float32[4, 4]", "Einsum(%a, %b) {equation = \"ij->ij\"}").find("1 terms"),
            std::string::npos);
  EXPECT_NE(two("float32[2, 3]", "float32[3, 4]", "Einsum(%a, %b) {equation = \"ij,jk->iz\"}").find("letter"),
            std::string::npos);
  EXPECT_NE(two("float32[2, 3]", "float32[3, 4]", "Einsum(%a, %b) {equation = \"i\\x01,jk->ik\"}").find("unexpected"),
            std::string::npos);
}

TEST(InferNormalize, ShapesStayAndParametersMustFit) {
  const std::string x = "input %x: float32[N, 4, 8, 8]\ninput %p: float32[4]\ninput %q: float32[3]\n";
  EXPECT_EQ(infer(x + "%y = BatchNormalization(%x, %p, %p, %p, %p)\n"), "float32[N, 4, 8, 8]");
  EXPECT_EQ(infer(x + "%y, %m, %v = BatchNormalization(%x, %p, %p, %p, %p) {training_mode = 1}\n"),
            "float32[N, 4, 8, 8], float32[4], float32[4]");
  EXPECT_NE(infer(x + "%y = BatchNormalization(%x, %p, %p, %q, %p)\n").find("input 3"), std::string::npos);
  EXPECT_EQ(infer(x + "%y = InstanceNormalization(%x, %p, %p)\n"), "float32[N, 4, 8, 8]");
  EXPECT_NE(infer(x + "%y = GroupNormalization(%x, %p, %p) {num_groups = 3}\n", 21).find("3 groups"),
            std::string::npos);
  EXPECT_EQ(infer("input %x: float16[N, S, 8]\ninput %p: float16[8]\n%y, %m, %s = LayerNormalization(%x, %p, %p)\n"),
            "float16[N, S, 8], float32[N, S, 1], float32[N, S, 1]");
  EXPECT_NE(
      infer("input %x: float32[N, S, 8]\ninput %p: float32[7]\n%y = LayerNormalization(%x, %p)\n").find("error"),
      std::string::npos);
  EXPECT_EQ(infer(x + "%y = Softmax(%x) {axis = 1}\n"), "float32[N, 4, 8, 8]");
  EXPECT_NE(infer(x + "%y = Softmax(%x) {axis = 4}\n").find("axis 4"), std::string::npos);
}

TEST(InferReduce, AxesAsAttributeAndAsInput) {
  const std::string x = "input %x: float32[N, 4, H, 8]\n";
  EXPECT_EQ(infer(x + "%y = ReduceMean(%x) {axes = [2, -1]}\n", 13), "float32[N, 4, 1, 1]");
  EXPECT_EQ(infer(x + "%y = ReduceMean(%x) {axes = [2, 3], keepdims = 0}\n", 13), "float32[N, 4]");
  EXPECT_EQ(infer(x + "const %a: int64[2] = [2, 3]\n%y = ReduceMax(%x, %a) {keepdims = 0}\n", 18), "float32[N, 4]");
  EXPECT_EQ(infer(x + "const %a: int64[1] = [1]\n%y = ReduceSum(%x, %a)\n", 13), "float32[N, 1, H, 8]");
  EXPECT_EQ(infer(x + "%y = ReduceL2(%x)\n"), "float32[1, 1, 1, 1]");
  EXPECT_EQ(infer(x + "%y = ReduceSum(%x) {keepdims = 0}\n"), "float32[]");
  EXPECT_EQ(infer(x + "%y = ReduceSum(%x) {noop_with_empty_axes = 1}\n"), "float32[N, 4, H, 8]");
  EXPECT_EQ(infer(x + "input %a: int64[2]\n%y = ReduceSum(%x, %a)\n"), "float32[?, ?, ?, ?]");
  EXPECT_NE(infer(x + "%y = ReduceMean(%x) {axes = [4]}\n", 13).find("axis 4"), std::string::npos);
  EXPECT_EQ(infer(x + "%y = ArgMax(%x) {axis = 1}\n"), "int64[N, 1, H, 8]");
  EXPECT_EQ(infer(x + "%y = ArgMin(%x) {axis = -1, keepdims = 0}\n"), "int64[N, 4, H]");
}

TEST(InferResize, ScalesAndSizes) {
  const std::string x = "input %x: float32[N, 4, H, 10]\n";
  EXPECT_EQ(infer(x + "const %s: float32[4] = [1.0, 1.0, 2.0, 2.0]\n%y = Resize(%x, _, %s)\n"),
            "float32[N, 4, 2*H, 20]");
  EXPECT_EQ(infer(x + "const %s: float32[4] = [1.0, 1.0, 0.5, 0.7]\n%y = Resize(%x, _, %s)\n"),
            "float32[N, 4, (H/2), 7]");
  EXPECT_EQ(infer(x + "const %s: float32[2] = [3.0, 1.5]\n%y = Resize(%x, _, %s) {axes = [2, 3]}\n", 18),
            "float32[N, 4, 3*H, 15]");
  EXPECT_EQ(infer(x + "const %s: int64[4] = [1, 4, 7, 9]\n%y = Resize(%x, _, _, %s)\n"), "float32[1, 4, 7, 9]");
  EXPECT_EQ(infer("input %x: float32[1, 1, 20, 10]\nconst %s: int64[2] = [8, 8]\n"
                  "%y = Resize(%x, _, _, %s) {axes = [2, 3], keep_aspect_ratio_policy = \"not_larger\"}\n",
                  18),
            "float32[1, 1, 8, 4]");
  EXPECT_EQ(infer("input %x: float32[1, 1, 20, 10]\nconst %s: int64[2] = [8, 8]\n"
                  "%y = Resize(%x, _, _, %s) {axes = [2, 3], keep_aspect_ratio_policy = \"not_smaller\"}\n",
                  18),
            "float32[1, 1, 16, 8]");
  EXPECT_NE(infer(x + "const %s: float32[4] = [1.0, 1.0, nan, 2.0]\n%y = Resize(%x, _, %s)\n").find("scale"),
            std::string::npos);
  EXPECT_NE(infer(x + "const %s: float32[4] = [1.0, 1.0, 1.0, 1e30]\n%y = Resize(%x, _, %s)\n").find("out of range"),
            std::string::npos);
  EXPECT_NE(infer(x + "%y = Resize(%x)\n").find("neither"), std::string::npos);
  // Upsampling to the size of another feature map: Concat(Shape(x)[:2], Shape(other)[2:]).
  EXPECT_EQ(infer(x + "input %o: float32[N, 9, A, B]\n%a = Shape(%x) {end = 2}\n%b = Shape(%o) {start = 2}\n"
                      "%t = Concat(%a, %b) {axis = 0}\n%y = Resize(%x, _, _, %t)\n"),
            "float32[N, 4, A, B]");
  EXPECT_EQ(infer(x + "const %s: float32[4] = [1.0, 1.0, 2.0, 2.0]\n%y = Upsample(%x, %s)\n"),
            "float32[N, 4, 2*H, 20]");
}

TEST(InferResize, DepthAndSpace) {
  EXPECT_EQ(infer("input %x: float32[N, 12, H, 3]\n%y = DepthToSpace(%x) {blocksize = 2}\n"),
            "float32[N, 3, 2*H, 6]");
  EXPECT_EQ(infer("input %x: float32[N, 3, 2*H, 6]\n%y = SpaceToDepth(%x) {blocksize = 2}\n"),
            "float32[N, 12, H, 3]");
  EXPECT_NE(infer("input %x: float32[N, 10, 2, 3]\n%y = DepthToSpace(%x) {blocksize = 2}\n").find("divide"),
            std::string::npos);
  EXPECT_NE(infer("input %x: float32[N, 10, 2, 3]\n%y = DepthToSpace(%x)\n").find("blocksize"), std::string::npos);
}

TEST(InferQuantize, Types) {
  const std::string x =
      "input %x: float32[N, 4, 8]\ninput %s: float32[4]\ninput %z: int8[4]\ninput %one: float32[]\n";
  EXPECT_EQ(infer(x + "%y = QuantizeLinear(%x, %s, %z)\n"), "int8[N, 4, 8]");
  EXPECT_EQ(infer(x + "%y = QuantizeLinear(%x, %one)\n"), "uint8[N, 4, 8]");
  EXPECT_EQ(infer(x + "%y = QuantizeLinear(%x, %one) {output_dtype = 22}\n", 21), "int4[N, 4, 8]");
  EXPECT_NE(infer(x + "%y = QuantizeLinear(%x, %s, %z) {output_dtype = 2}\n", 21).find("uint8"), std::string::npos);
  EXPECT_NE(infer(x + "%y = QuantizeLinear(%x, %s, %z) {axis = 2}\n").find("axis 2"), std::string::npos);
  EXPECT_NE(infer(x + "%y = QuantizeLinear(%x, %one, %z)\n").find("same shape"), std::string::npos);
  EXPECT_EQ(
      infer("input %x: int8[N, 4]\ninput %s: float32[]\ninput %z: int8[1]\n%y = DequantizeLinear(%x, %s, %z)\n"),
      "float32[N, 4]");
  EXPECT_EQ(infer("input %x: int8[N, 4]\ninput %s: float16[]\n%y = DequantizeLinear(%x, %s)\n"), "float16[N, 4]");
  EXPECT_NE(infer("input %x: int8[N, 4]\ninput %s: float32[]\ninput %z: uint8[]\n%y = DequantizeLinear(%x, %s, %z)\n")
                .find("zero point is uint8"),
            std::string::npos);
  EXPECT_EQ(infer("input %x: float32[N, 4]\n%y, %s, %z = DynamicQuantizeLinear(%x)\n"),
            "uint8[N, 4], float32[], uint8[]");
}

}  // namespace
}  // namespace octet
