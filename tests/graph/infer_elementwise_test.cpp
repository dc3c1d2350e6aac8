#include <gtest/gtest.h>

#include "graph/infer_case.h"

namespace octet {
namespace {

using test::infer;

std::string binary(const std::string& a, const std::string& b, const std::string& op = "Add") {
  return infer("input %a: " + a + "\ninput %b: " + b + "\n%y = " + op + "(%a, %b)\n");
}

TEST(InferElementwise, Broadcasting) {
  EXPECT_EQ(binary("float32[N, 4, 1]", "float32[5]"), "float32[N, 4, 5]");
  EXPECT_EQ(binary("float32[N, 4]", "float32[N, 1]"), "float32[N, 4]");
  EXPECT_EQ(binary("float32[N, 4]", "float32[]"), "float32[N, 4]");
  EXPECT_EQ(binary("float32[N, 4]", "float32[8, 4]"), "float32[8, 4]");  // N is 1 or 8
  EXPECT_EQ(binary("float32[N, 4]", "float32[M, 4]"), "float32[?, 4]");
  EXPECT_EQ(binary("float32[?, 4]", "float32[1, 1]"), "float32[?, 4]");
  EXPECT_EQ(binary("float32[0, 4]", "float32[1, 4]"), "float32[0, 4]");
  EXPECT_EQ(binary("float32", "float32[4]"), "float32?");
  const std::string error = binary("float32[N, 3]", "float32[N, 4]");
  EXPECT_NE(error.find("node 'Add' (Add): the sizes 3 and 4 do not broadcast (inputs: 'a' float32[N, 3]"),
            std::string::npos)
      << error;
  EXPECT_NE(binary("float32[3]", "int32[3]").find("float32 meets int32"), std::string::npos);
}

TEST(InferElementwise, Types) {
  EXPECT_EQ(binary("float32[N, 1]", "float32[3]", "Greater"), "bool[N, 3]");
  EXPECT_EQ(binary("float32[N, 1]", "int64[3]", "Pow"), "float32[N, 3]");
  EXPECT_EQ(binary("bool[N, 1]", "bool[3]", "And"), "bool[N, 3]");
  EXPECT_NE(binary("int32[N, 1]", "int32[3]", "Or").find("bool"), std::string::npos);
  EXPECT_EQ(binary("float32[N, 3, 4]", "float32[3, 1]", "PRelu"), "float32[N, 3, 4]");
  EXPECT_NE(binary("float32[1, 3]", "float32[2, 3]", "PRelu").find("slope"), std::string::npos);
  EXPECT_EQ(infer("input %x: float32[N, 3]\n%y = Cast(%x) {to = 10}\n"), "float16[N, 3]");
  EXPECT_NE(infer("input %x: float32[N, 3]\n%y = Cast(%x) {to = 8}\n").find("ONNX type 8"), std::string::npos);
  EXPECT_EQ(binary("float32[N, 1]", "int8[3]", "CastLike"), "int8[N, 1]");
  EXPECT_EQ(infer("input %c: bool[N, 1]\ninput %a: float16[3]\ninput %b: float16[]\n%y = Where(%c, %a, %b)\n"),
            "float16[N, 3]");
  EXPECT_EQ(infer("input %x: float32[N, 3]\n%y = IsNaN(%x)\n"), "bool[N, 3]");
  EXPECT_EQ(infer("input %x: float32[N, 3]\n%y, %m = Dropout(%x)\n"), "float32[N, 3], bool[N, 3]");
  EXPECT_EQ(infer("input %x: float32[N, 3]\ninput %a: float32[3]\n%y = Max(%x, %a, %a)\n"), "float32[N, 3]");
}

// The size a chain of integer arithmetic gives, read off a ConstantOfShape: `body` computes %v, an int64[1].
std::string size_from(const std::string& body) {
  return infer(
      "input %x: float32[N, 6]\nconst %i0: int64[1] = [0]\nconst %i1: int64[1] = [1]\n%s = Shape(%x)\n"
      "%n = Gather(%s, %i0)\n%six = Gather(%s, %i1)\n" +
      body + "%y = ConstantOfShape(%v)\n");
}

TEST(InferFollow, Arithmetic) {
  const std::string two = "const %two: int64[1] = [2]\n";
  EXPECT_EQ(size_from("%v = Mul(%n, %six)\n"), "float32[6*N]");
  EXPECT_EQ(size_from("%a = Add(%n, %six)\n%v = Sub(%a, %n)\n"), "float32[6]");
  EXPECT_EQ(size_from(two + "%v = Div(%n, %two)\n"), "float32[(N/2)]");
  EXPECT_EQ(size_from(two + "%a = Mul(%n, %six)\n%v = Div(%a, %two)\n"), "float32[3*N]");
  EXPECT_EQ(size_from("const %f: int64[1] = [4]\n%v = Mod(%six, %f)\n"), "float32[2]");
  EXPECT_EQ(size_from("%m = Neg(%n)\n%v = Neg(%m)\n"), "float32[N]");
  EXPECT_EQ(size_from("%v = Max(%six, %i1)\n"), "float32[6]");
  EXPECT_EQ(size_from("%a = Add(%n, %six)\n%v = Max(%n, %a)\n"), "float32[(N+6)]");
  EXPECT_EQ(size_from("%v = Max(%six, %n)\n"), "float32[?]");
  EXPECT_EQ(size_from("%p = ReduceProd(%s) {keepdims = 1}\n%v = Identity(%p)\n"), "float32[6*N]");
  EXPECT_EQ(size_from("%v = ReduceSum(%s, %i0)\n"), "float32[(N+6)]");
  EXPECT_EQ(size_from("%e = Equal(%n, %n)\n%v = Where(%e, %six, %n)\n"), "float32[6]");
  EXPECT_EQ(size_from("%e = Equal(%n, %six)\n%v = Where(%e, %six, %n)\n"), "float32[?]");
  EXPECT_EQ(size_from("%z = Sub(%n, %six)\n%v = Mul(%z, %i0)\n"), "float32[0]");
}

TEST(InferFollow, ThroughTypes) {
  // Sizes scaled in floats and cast back, as older exporters write an interpolation.
  EXPECT_EQ(size_from("const %f: float32[1] = [2.0]\n%c = Cast(%n) {to = 1}\n%m = Mul(%c, %f)\n%r = Floor(%m)\n"
                      "%v = Cast(%r) {to = 7}\n"),
            "float32[2*N]");
  EXPECT_EQ(size_from("const %f: float32[1] = [0.5]\n%c = Cast(%n) {to = 1}\n%m = Mul(%c, %f)\n%r = Floor(%m)\n"
                      "%v = Cast(%r) {to = 7}\n"),
            "float32[?]");
  // What does not fit the type is not followed: 6 * 100 in int8.
  EXPECT_EQ(size_from("const %h: int8[1] = [100]\n%c = Cast(%six) {to = 3}\n%m = Mul(%c, %h)\n"
                      "%v = Cast(%m) {to = 7}\n"),
            "float32[?]");
  EXPECT_EQ(size_from("const %big: int64[1] = [9223372036854775807]\n%v = Mul(%big, %six)\n"), "float32[?]");
  EXPECT_EQ(size_from("const %low: int64[1] = [-9223372036854775808]\nconst %m: int64[1] = [-1]\n"
                      "%v = Div(%low, %m)\n"),
            "float32[?]");
  EXPECT_EQ(size_from("const %z: int64[1] = [0]\n%v = Div(%six, %z)\n"), "float32[?]");
}

}  // namespace
}  // namespace octet
