#include <gtest/gtest.h>

#include <algorithm>

#include "graph/infer_case.h"

namespace octet {
namespace {

using test::infer;

std::string reshape(const std::string& x, const std::string& target, const std::string& attributes = "") {
  const auto n = std::to_string(std::count(target.begin(), target.end(), ',') + 1);
  return infer("input %x: float32" + x + "\nconst %s: int64[" + n + "] = [" + target + "]\n%y = Reshape(%x, %s)" +
               (attributes.empty() ? "" : " {" + attributes + "}") + "\n");
}

TEST(InferReshape, SymbolicBatch) {
  EXPECT_EQ(reshape("[N, 64, 1, 1]", "-1, 64"), "float32[N, 64]");
  EXPECT_EQ(reshape("[N, 64, 1, 1]", "0, -1"), "float32[N, 64]");
  EXPECT_EQ(reshape("[N, 64, 7, 7]", "-1"), "float32[3136*N]");
  EXPECT_EQ(reshape("[N, 64, 7, 7]", "-1, 32"), "float32[98*N, 32]");
  EXPECT_EQ(reshape("[N, C, H, W]", "0, 0, -1"), "float32[N, C, H*W]");
  EXPECT_EQ(reshape("[N, C, H, W]", "0, -1"), "float32[N, C*H*W]");
  EXPECT_EQ(reshape("[?, 64, 7, 7]", "0, -1"), "float32[?, 3136]");
  EXPECT_EQ(reshape("[?, 64, 7, 7]", "-1, 64"), "float32[?, 64]");
  EXPECT_EQ(reshape("[N, 100]", "-1, 64"), "float32[((9*N/16)+N), 64]");
}

TEST(InferReshape, ZeroSizes) {
  EXPECT_EQ(reshape("[0, 3]", "3, 0", "allowzero = 1"), "float32[3, 0]");
  EXPECT_EQ(reshape("[0, 3]", "-1, 3"), "float32[0, 3]");
  EXPECT_NE(reshape("[0, 3]", "0, -1", "allowzero = 1").find("allowzero"), std::string::npos);
}

TEST(InferReshape, Contradictions) {
  EXPECT_NE(reshape("[2, 3]", "4, 2").find("shape [2, 3] cannot take the shape [4, 2]"), std::string::npos);
  EXPECT_NE(reshape("[2, 3]", "4, -1").find("cannot take the shape [4, -1]"), std::string::npos);
  EXPECT_NE(reshape("[2, 3]", "-1, -1").find("more than one -1"), std::string::npos);
  EXPECT_NE(reshape("[2, 3]", "-2, 3").find("-2"), std::string::npos);
  EXPECT_NE(reshape("[N, 3]", "0, 4").find("[N, 3] cannot take the shape [N, 4]"), std::string::npos);
  EXPECT_NE(reshape("[2, 3]", "2, 3, 0").find("does not have"), std::string::npos);
}

TEST(InferReshape, FollowsShapeChains) {
  // x.view(x.size(0), -1), as PyTorch exports it.
  EXPECT_EQ(infer("input %x: float32[N, 64, 2, 3]\nconst %zero: int64[] = [0]\nconst %axes: int64[1] = [0]\n"
                  "const %rest: int64[1] = [-1]\n%s = Shape(%x)\n%n = Gather(%s, %zero) {axis = 0}\n"
                  "%u = Unsqueeze(%n, %axes)\n%t = Concat(%u, %rest) {axis = 0}\n%y = Reshape(%x, %t)\n"),
            "float32[N, 384]");
  // Channel shuffle: [N, g, C/g, H, W] with every size computed.
  EXPECT_EQ(infer("input %x: float32[N, 8, H, W]\nconst %i1: int64[] = [1]\nconst %two: int64[] = [2]\n"
                  "const %ax: int64[1] = [0]\nconst %g: int64[1] = [2]\n%s = Shape(%x)\n"
                  "%c = Gather(%s, %i1)\n%h = Div(%c, %two)\n%hu = Unsqueeze(%h, %ax)\n"
                  "%n = Shape(%x) {start = 0, end = 1}\n%hw = Shape(%x) {start = -2}\n"
                  "%t = Concat(%n, %g, %hu, %hw) {axis = 0}\n%y = Reshape(%x, %t)\n"),
            "float32[N, 2, 4, H, W]");
  // An unknown entry is solved for, if it is the only one.
  EXPECT_EQ(infer("input %x: float32[N, 8]\ninput %k: int64[1]\nconst %four: int64[1] = [4]\n"
                  "%t = Concat(%k, %four) {axis = 0}\n%y = Reshape(%x, %t)\n"),
            "float32[2*N, 4]");
  EXPECT_EQ(infer("input %x: float32[N, 8]\ninput %t: int64[3]\n%y = Reshape(%x, %t)\n"), "float32[?, ?, ?]");
  EXPECT_EQ(infer("input %x: float32[N, 8]\ninput %t: int64[R]\n%y = Reshape(%x, %t)\n"), "float32?");
}

TEST(InferShapeOps, FlattenSqueezeTranspose) {
  const std::string x = "input %x: float32[N, 4, 1, 6]\n";
  EXPECT_EQ(infer(x + "%y = Flatten(%x)\n"), "float32[N, 24]");
  EXPECT_EQ(infer(x + "%y = Flatten(%x) {axis = -1}\n"), "float32[4*N, 6]");
  EXPECT_EQ(infer(x + "%y = Flatten(%x) {axis = 0}\n"), "float32[1, 24*N]");
  EXPECT_EQ(infer(x + "%y = Flatten(%x) {axis = 4}\n"), "float32[24*N, 1]");
  EXPECT_EQ(infer(x + "const %a: int64[1] = [-2]\n%y = Squeeze(%x, %a)\n"), "float32[N, 4, 6]");
  EXPECT_EQ(infer(x + "%y = Squeeze(%x)\n"), "float32?");  // N may be 1
  EXPECT_EQ(infer("input %x: float32[1, 4, 1]\n%y = Squeeze(%x)\n"), "float32[4]");
  EXPECT_NE(infer(x + "const %a: int64[1] = [1]\n%y = Squeeze(%x, %a)\n").find("cannot be removed"),
            std::string::npos);
  EXPECT_EQ(infer(x + "const %a: int64[2] = [0, -1]\n%y = Unsqueeze(%x, %a)\n"), "float32[1, N, 4, 1, 6, 1]");
  EXPECT_NE(infer(x + "const %a: int64[2] = [0, 0]\n%y = Unsqueeze(%x, %a)\n").find("twice"), std::string::npos);
  EXPECT_EQ(infer(x + "%y = Transpose(%x) {perm = [0, 2, 3, 1]}\n"), "float32[N, 1, 6, 4]");
  EXPECT_EQ(infer(x + "%y = Transpose(%x)\n"), "float32[6, 1, 4, N]");
  EXPECT_NE(infer(x + "%y = Transpose(%x) {perm = [0, 0, 1, 2]}\n").find("twice"), std::string::npos);
  EXPECT_NE(infer(x + "%y = Transpose(%x) {perm = [0, 1]}\n").find("perm"), std::string::npos);
}

TEST(InferShapeOps, ExpandAndTile) {
  EXPECT_EQ(infer("input %x: float32[1, 1, 8]\ninput %z: float32[N, 5]\n%s = Shape(%z)\nconst %one: int64[1] = [1]\n"
                  "%t = Concat(%s, %one) {axis = 0}\n%y = Expand(%x, %t)\n"),
            "float32[N, 5, 8]");
  // expand(x, [-1, 5, 8]) in PyTorch's spelling: where the request equals -1 it takes one.
  EXPECT_EQ(
      infer("input %x: float32[N, 1, 8]\nconst %r: int64[3] = [-1, 5, 8]\nconst %three: int64[1] = [3]\n"
            "const %m: int64[] = [-1]\n%ones = ConstantOfShape(%three) {value = tensor(int64[1] [1])}\n"
            "%minus = Mul(%ones, %m)\n%eq = Equal(%r, %minus)\n%t = Where(%eq, %ones, %r)\n%y = Expand(%x, %t)\n"),
      "float32[N, 5, 8]");
  EXPECT_NE(infer("input %x: float32[3]\nconst %t: int64[1] = [4]\n%y = Expand(%x, %t)\n").find("broadcast"),
            std::string::npos);
  EXPECT_EQ(infer("input %x: float32[N, 3]\nconst %r: int64[2] = [2, 4]\n%y = Tile(%x, %r)\n"), "float32[2*N, 12]");
  EXPECT_NE(infer("input %x: float32[N, 3]\nconst %r: int64[1] = [2]\n%y = Tile(%x, %r)\n").find("repeat"),
            std::string::npos);
}

TEST(InferShapeOps, MakersOfTensors) {
  EXPECT_EQ(infer("input %x: float32[N, 3, 4]\n%y = Shape(%x) {start = -2, end = 100}\n"), "int64[2]");
  EXPECT_EQ(infer("input %x: float32[N, 3, 4]\nconst %a: int64[1] = [0]\n%n = Size(%x)\n%s = Unsqueeze(%n, %a)\n"
                  "%y = ConstantOfShape(%s) {value = tensor(int32[1] [7])}\n"),
            "int32[12*N]");
  EXPECT_EQ(
      infer("const %a: int64[] = [10]\nconst %b: int64[] = [0]\nconst %c: int64[] = [-3]\n%y = Range(%a, %b, %c)\n"),
      "int64[4]");
  EXPECT_EQ(infer("input %x: float32[N, S]\nconst %a: int64[] = [0]\nconst %i: int64[] = [1]\n%s = Shape(%x)\n"
                  "%n = Gather(%s, %i)\n%y = Range(%a, %n, %i)\n"),
            "int64[S]");
  EXPECT_EQ(infer("input %x: float16[3, 4]\n%y = EyeLike(%x) {dtype = 7}\n"), "int64[3, 4]");
  EXPECT_EQ(infer("%y = Constant() {value_ints = [1, 2, 3]}\n"), "int64[3]");
  EXPECT_EQ(infer("%y = Constant() {value_float = 1.5}\n"), "float32[]");
}

}  // namespace
}  // namespace octet
