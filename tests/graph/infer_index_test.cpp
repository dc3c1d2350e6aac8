#include <gtest/gtest.h>

#include <algorithm>

#include "graph/infer_case.h"

namespace octet {
namespace {

using test::infer;

std::string list(const std::string& name, const std::string& elements) {
  const auto n = std::count(elements.begin(), elements.end(), ',') + 1;
  return "const %" + name + ": int64[" + std::to_string(n) + "] = [" + elements + "]\n";
}

std::string slice(const std::string& x, const std::string& starts, const std::string& ends, const std::string& axes,
                  const std::string& steps) {
  return infer("input %x: float32" + x + "\n" + list("s", starts) + list("e", ends) + list("a", axes) +
               list("t", steps) + "%y = Slice(%x, %s, %e, %a, %t)\n");
}

TEST(InferSlice, StaticSizes) {
  EXPECT_EQ(slice("[10, 20]", "2", "8", "1", "1"), "float32[10, 6]");
  EXPECT_EQ(slice("[10, 20]", "0, 1", "9223372036854775807, -1", "0, 1", "3, 2"), "float32[4, 9]");
  EXPECT_EQ(slice("[10, 20]", "-1", "-9223372036854775808", "0", "-1"), "float32[10, 20]");
  EXPECT_EQ(slice("[10, 20]", "-1", "-9223372036854775808", "0", "-3"), "float32[4, 20]");
  EXPECT_EQ(slice("[10, 20]", "8", "2", "0", "-2"), "float32[3, 20]");
  EXPECT_EQ(slice("[10, 20]", "8", "2", "0", "1"), "float32[0, 20]");
  EXPECT_EQ(slice("[10, 20]", "100", "200", "0", "1"), "float32[0, 20]");
  EXPECT_EQ(slice("[10, 20]", "100", "-100", "0", "-9223372036854775808"), "float32[1, 20]");
  EXPECT_EQ(slice("[0, 20]", "0", "5", "0", "1"), "float32[0, 20]");
  EXPECT_EQ(infer("input %x: float32[10, 20]\n" + list("s", "1, 2") + list("e", "4, 4") + "%y = Slice(%x, %s, %e)\n"),
            "float32[3, 2]");
}

TEST(InferSlice, SymbolicSizes) {
  EXPECT_EQ(slice("[N, S]", "1", "9223372036854775807", "1", "1"), "float32[N, (S-1)]");
  EXPECT_EQ(slice("[N, S]", "0", "-1", "1", "1"), "float32[N, (S-1)]");
  EXPECT_EQ(slice("[N, S]", "0", "2147483647", "1", "2"), "float32[N, ((S+1)/2)]");
  EXPECT_EQ(slice("[N, S]", "-1", "-9223372036854775808", "1", "-1"), "float32[N, S]");
  EXPECT_EQ(slice("[N, S]", "-2", "9223372036854775807", "1", "1"), "float32[N, 2]");
  EXPECT_EQ(slice("[N, S]", "0", "1", "1", "1"), "float32[N, 1]");
  EXPECT_EQ(slice("[N, S]", "0", "5", "1", "1"), "float32[N, ?]");  // min(S, 5)
  // Position embeddings: table[:, :S] with S from another tensor.
  EXPECT_EQ(infer("input %x: int64[N, S]\ninput %table: float32[1, 512, 8]\nconst %one: int64[1] = [1]\n"
                  "const %zero: int64[1] = [0]\n%s = Shape(%x)\n%e = Gather(%s, %one)\n"
                  "%y = Slice(%table, %zero, %e, %one)\n"),
            "float32[1, S, 8]");
  // Cut off and put back.
  EXPECT_EQ(
      infer("input %x: float32[N, S]\n" + list("s", "1") + list("e", "9999999999") + list("a", "1") + list("z", "0") +
            "%t = Slice(%x, %s, %e, %a)\n%h = Slice(%x, %z, %s, %a)\n"
            "%y = Concat(%t, %h) {axis = 1}\n"),
      "float32[N, S]");
}

TEST(InferSlice, Contradictions) {
  EXPECT_NE(slice("[10, 20]", "0", "5", "2", "1").find("axis 2"), std::string::npos);
  EXPECT_NE(slice("[10, 20]", "0", "5", "0", "0").find("step"), std::string::npos);
  EXPECT_NE(slice("[10, 20]", "0, 0", "5", "0", "1").find("same length"), std::string::npos);
  EXPECT_NE(slice("[10, 20]", "0, 0", "5, 5", "0, -2", "1, 1").find("twice"), std::string::npos);
}

TEST(InferConcatSplit, Sizes) {
  EXPECT_EQ(infer("input %a: float32[N, 3, H]\ninput %b: float32[N, 5, H]\n%y = Concat(%a, %b, %a) {axis = 1}\n"),
            "float32[N, 11, H]");
  EXPECT_EQ(infer("input %a: float32[N, H]\ninput %b: float32[4, 2]\n%y = Concat(%a, %b) {axis = -1}\n"),
            "float32[4, (H+2)]");
  EXPECT_NE(
      infer("input %a: float32[2, 3]\ninput %b: float32[3, 3]\n%y = Concat(%a, %b) {axis = 1}\n").find("axis 0"),
      std::string::npos);
  EXPECT_NE(infer("input %a: float32[2, 3]\n%y = Concat(%a)\n").find("'axis' is missing"), std::string::npos);
  const std::string x = "input %x: float32[N, 10]\n";
  EXPECT_EQ(infer(x + list("s", "3, 7") + "%y, %z = Split(%x, %s) {axis = 1}\n"), "float32[N, 3], float32[N, 7]");
  EXPECT_EQ(infer(x + "%y, %z = Split(%x) {axis = 1}\n"), "float32[N, 5], float32[N, 5]");
  EXPECT_EQ(infer(x + "%y, %z, %w = Split(%x) {axis = 1, num_outputs = 3}\n", 18),
            "float32[N, 4], float32[N, 4], float32[N, 2]");
  EXPECT_NE(infer(x + "%y, %z, %w = Split(%x) {axis = 1}\n", 13).find("3 parts"), std::string::npos);
  EXPECT_NE(infer(x + list("s", "3, 6") + "%y, %z = Split(%x, %s) {axis = 1}\n").find("add up to 9"),
            std::string::npos);
  EXPECT_NE(infer(x + list("s", "-3, 13") + "%y, %z = Split(%x, %s) {axis = 1}\n").find("negative"),
            std::string::npos);
}

TEST(InferPad, PadsAndAxes) {
  const std::string x = "input %x: float32[N, 3, H, 8]\n";
  EXPECT_EQ(infer(x + list("p", "0, 0, 1, 2, 0, 0, 3, 4") + "%y = Pad(%x, %p)\n"), "float32[N, 3, (H+4), 14]");
  EXPECT_EQ(infer(x + list("p", "1, -2") + list("a", "-1") + "%y = Pad(%x, %p, _, %a)\n", 18), "float32[N, 3, H, 7]");
  EXPECT_EQ(infer(x + "input %p: int64[8]\n%y = Pad(%x, %p)\n"), "float32[?, ?, ?, ?]");
  EXPECT_NE(infer(x + list("p", "0, 0, 1, 2") + "%y = Pad(%x, %p)\n").find("two pads"), std::string::npos);
  EXPECT_NE(infer(x + list("p", "0, -2, 0, 0, 0, -2, 0, 0") + "%y = Pad(%x, %p)\n").find("negative pads"),
            std::string::npos);
}

TEST(InferGather, Shapes) {
  const std::string x = "input %x: float32[N, 8, 9]\n";
  EXPECT_EQ(infer(x + "input %i: int64[2, K]\n%y = Gather(%x, %i) {axis = 1}\n"), "float32[N, 2, K, 9]");
  EXPECT_EQ(infer(x + "const %i: int64[] = [-1]\n%y = Gather(%x, %i) {axis = 1}\n"), "float32[N, 9]");
  EXPECT_NE(infer(x + "const %i: int64[] = [8]\n%y = Gather(%x, %i) {axis = 1}\n").find("index 8"),
            std::string::npos);
  EXPECT_EQ(infer(x + "input %i: int64[N, 8, 2]\n%y = GatherElements(%x, %i) {axis = 2}\n"), "float32[N, 8, 2]");
  EXPECT_EQ(infer(x + "input %i: int64[5, 2]\n%y = GatherND(%x, %i)\n"), "float32[5, 9]");
  EXPECT_EQ(infer(x + "input %i: int64[N, 5, 1]\n%y = GatherND(%x, %i) {batch_dims = 1}\n"), "float32[N, 5, 9]");
  EXPECT_NE(infer(x + "input %i: int64[5, 4]\n%y = GatherND(%x, %i)\n").find("depth 4"), std::string::npos);
  EXPECT_EQ(infer(x + "input %i: int64[5, 1]\ninput %u: float32[5, 8, 9]\n%y = ScatterND(%x, %i, %u)\n"),
            "float32[N, 8, 9]");
  EXPECT_NE(infer(x + "input %i: int64[5, 1]\n%y = ScatterElements(%x, %i, %i)\n").find("same rank"),
            std::string::npos);
}

TEST(InferIndexOps, Others) {
  EXPECT_EQ(infer("input %i: int64[N, 3]\nconst %d: int64[] = [10]\ninput %v: float32[2]\n"
                  "%y = OneHot(%i, %d, %v) {axis = 1}\n"),
            "float32[N, 10, 3]");
  EXPECT_EQ(infer("input %x: float32[N, 100]\nconst %k: int64[1] = [7]\n%y, %i = TopK(%x, %k)\n"),
            "float32[N, 7], int64[N, 7]");
  EXPECT_NE(infer("input %x: float32[N, 5]\nconst %k: int64[1] = [7]\n%y, %i = TopK(%x, %k)\n").find("k = 7"),
            std::string::npos);
  EXPECT_EQ(infer("input %x: bool[N, 5]\n%y = NonZero(%x)\n"), "int64[2, ?]");
  EXPECT_EQ(infer("input %b: float32[1, 30, 4]\ninput %s: float32[1, 5, 30]\n%y = NonMaxSuppression(%b, %s)\n"),
            "int64[?, 3]");
  EXPECT_NE(infer("input %b: float32[1, 30, 4]\ninput %s: float32[1, 5, 31]\n%y = NonMaxSuppression(%b, %s)\n")
                .find("number of boxes"),
            std::string::npos);
  EXPECT_EQ(infer("input %x: float32[N, 5, 5]\n%y = Trilu(%x)\n"), "float32[N, 5, 5]");
}

}  // namespace
}  // namespace octet
