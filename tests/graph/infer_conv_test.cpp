#include <gtest/gtest.h>

#include "graph/infer_case.h"

namespace octet {
namespace {

using test::infer;

std::string conv(const std::string& x, const std::string& w, const std::string& attributes,
                 const std::string& op = "Conv") {
  return infer("input %x: float32" + x + "\ninput %w: float32" + w + "\n%y = " + op + "(%x, %w) {" + attributes +
               "}\n");
}

std::string pool(const std::string& x, const std::string& attributes, const std::string& op = "MaxPool") {
  return infer("input %x: float32" + x + "\n%y = " + op + "(%x) {" + attributes + "}\n");
}

TEST(InferConv, FollowsTheFormula) {
  EXPECT_EQ(conv("[N, 3, 224, 224]", "[64, 3, 7, 7]", "pads = [3, 3, 3, 3], strides = [2, 2]"),
            "float32[N, 64, 112, 112]");
  EXPECT_EQ(conv("[1, 8, 10, 11]", "[8, 1, 3, 3]", "group = 8, dilations = [2, 3]"), "float32[1, 8, 6, 5]");
  EXPECT_EQ(conv("[N, 4, 50]", "[6, 4, 5]", "pads = [2, 1]"), "float32[N, 6, 49]");
  EXPECT_EQ(conv("[N, 1, 4, 5, 6]", "[2, 1, 1, 2, 3]", "strides = [1, 2, 2]"), "float32[N, 2, 4, 2, 2]");
}

TEST(InferConv, AutoPad) {
  EXPECT_EQ(conv("[N, 3, 15, 16]", "[4, 3, 3, 3]", "auto_pad = \"SAME_UPPER\", strides = [2, 2]"),
            "float32[N, 4, 8, 8]");
  EXPECT_EQ(conv("[N, 3, 15, 16]", "[4, 3, 3, 3]", "auto_pad = \"VALID\", strides = [2, 2]"), "float32[N, 4, 7, 7]");
}

TEST(InferConv, SymbolicImage) {
  // (H + 2 - 3) / 2 + 1 = (H + 1) / 2; the same expression gives the same symbol, so the branches can be added.
  EXPECT_EQ(conv("[N, 3, H, 2*W]", "[4, 3, 3, 3]", "pads = [1, 1, 1, 1], strides = [2, 2]"),
            "float32[N, 4, ((H+1)/2), W]");
  EXPECT_EQ(conv("[N, 3, H, H]", "[4, 3, 3, 3]", ""), "float32[N, 4, (H-2), (H-2)]");
  EXPECT_EQ(infer("input %x: float32[N, 4, H, H]\ninput %w: float32[4, 4, 3, 3]\ninput %v: float32[4, 4, 1, 1]\n"
                  "%a = Conv(%x, %w) {pads = [1, 1, 1, 1], strides = [2, 2]}\n"
                  "%b = Conv(%x, %v) {strides = [2, 2]}\n%y = Add(%a, %b)\n"),
            "float32[N, 4, ((H+1)/2), ((H+1)/2)]");
}

TEST(InferConv, Contradictions) {
  const std::string channels = conv("[1, 4, 8, 8]", "[16, 3, 3, 3]", "");
  EXPECT_NE(channels.find("node 'Conv' (Conv)"), std::string::npos) << channels;
  EXPECT_NE(channels.find("'x' float32[1, 4, 8, 8], 'w' float32[16, 3, 3, 3]"), std::string::npos) << channels;
  EXPECT_NE(channels.find("3 input channels"), std::string::npos) << channels;
  EXPECT_NE(conv("[1, 3, 2, 8]", "[16, 3, 3, 3]", "").find("larger than the padded input"), std::string::npos);
  EXPECT_NE(conv("[1, 3, 8]", "[16, 3, 3, 3]", "").find("same rank"), std::string::npos);
  EXPECT_NE(conv("[1, 3, 8, 8]", "[16, 3, 3, 3]", "strides = [0, 1]").find("'strides'"), std::string::npos);
  EXPECT_NE(conv("[1, 3, 8, 8]", "[16, 3, 3, 3]", "pads = [1, 1]").find("'pads'"), std::string::npos);
  EXPECT_NE(conv("[1, 3, 8, 8]", "[16, 3, 3, 3]", "kernel_shape = [3, 1]").find("differs"), std::string::npos);
  EXPECT_NE(conv("[1, 6, 8, 8]", "[15, 3, 3, 3]", "group = 2").find("do not split"), std::string::npos);
  EXPECT_NE(conv("[1, 3, 8, 8]", "[16, 3, 3, 3]", "group = 0").find("'group'"), std::string::npos);
  EXPECT_NE(infer("input %x: float32[1, 3, 8, 8]\ninput %w: float32[4, 3, 1, 1]\ninput %b: float32[3]\n"
                  "%y = Conv(%x, %w, %b)\n")
                .find("bias"),
            std::string::npos);
  EXPECT_NE(
      infer("input %x: float32[1, 3, 8, 8]\ninput %w: float16[4, 3, 1, 1]\n%y = Conv(%x, %w)\n").find("one type"),
      std::string::npos);
}

TEST(InferConv, Extremes) {
  // Products near 2^63 are checked, not wrapped.
  EXPECT_NE(conv("[1, 3, 8, 8]", "[16, 3, 3, 3]", "dilations = [9223372036854775807, 1]").find("error"),
            std::string::npos);
  EXPECT_EQ(conv("[1, 3, 9223372036854775807, 8]", "[16, 3, 3, 3]", "pads = [2, 0, 2, 0]"), "float32[1, 16, ?, 6]");
}

TEST(InferConv, QuantizedAndInteger) {
  EXPECT_EQ(infer("input %x: uint8[N, 3, 8, 8]\ninput %w: int8[4, 3, 3, 3]\n%y = ConvInteger(%x, %w)\n"),
            "int32[N, 4, 6, 6]");
  EXPECT_EQ(infer("input %x: uint8[N, 3, 8, 8]\ninput %s: float32[]\ninput %z: uint8[]\ninput %w: int8[4, 3, 3, 3]\n"
                  "input %ws: float32[4]\ninput %wz: int8[4]\ninput %ys: float32[]\ninput %yz: uint8[]\n"
                  "%y = QLinearConv(%x, %s, %z, %w, %ws, %wz, %ys, %yz)\n"),
            "uint8[N, 4, 6, 6]");
}

TEST(InferConvTranspose, Formula) {
  const auto transpose = [](const std::string& attributes) {
    return conv("[N, 8, 5, 7]", "[8, 3, 4, 4]", attributes, "ConvTranspose");
  };
  EXPECT_EQ(transpose("pads = [1, 1, 1, 1], strides = [2, 2]"), "float32[N, 3, 10, 14]");
  EXPECT_EQ(transpose("strides = [3, 3], output_padding = [1, 2], group = 2"), "float32[N, 6, 17, 24]");
  EXPECT_EQ(transpose("strides = [2, 2], output_shape = [11, 15]"), "float32[N, 3, 11, 15]");
  EXPECT_EQ(transpose("strides = [2, 3], auto_pad = \"SAME_UPPER\""), "float32[N, 3, 10, 21]");
  EXPECT_EQ(conv("[N, 8, H, 7]", "[8, 3, 4, 4]", "pads = [1, 1, 1, 1], strides = [2, 2]", "ConvTranspose"),
            "float32[N, 3, 2*H, 14]");
  EXPECT_NE(transpose("output_padding = [1, 0]").find("output_padding"), std::string::npos);
  EXPECT_NE(conv("[N, 4, 5, 7]", "[8, 3, 4, 4]", "", "ConvTranspose").find("8 input channels"), std::string::npos);
}

TEST(InferPool, CeilModeDropsWindowsThatStartInThePadding) {
  EXPECT_EQ(pool("[N, 4, 112, 112]", "kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]"),
            "float32[N, 4, 56, 56]");
  EXPECT_EQ(pool("[N, 4, 13, 8]", "kernel_shape = [3, 3], strides = [2, 2], ceil_mode = 1"), "float32[N, 4, 6, 4]");
  // ceil((2 - 1) / 2) + 1 = 2, but the second window would start at 2, outside: one remains.
  EXPECT_EQ(pool("[1, 1, 2, 2]", "kernel_shape = [1, 1], strides = [2, 2], ceil_mode = 1"), "float32[1, 1, 1, 1]");
  EXPECT_EQ(pool("[1, 1, 32, 32]", "kernel_shape = [5, 5], strides = [3, 3], dilations = [2, 2]", "AveragePool"),
            "float32[1, 1, 8, 8]");
  EXPECT_EQ(pool("[N, 4, H, H]", "kernel_shape = [2, 2], strides = [2, 2]"), "float32[N, 4, (H/2), (H/2)]");
  EXPECT_EQ(infer("input %x: float32[N, 4, 8, 8]\n%y, %i = MaxPool(%x) {kernel_shape = [2, 2]}\n"),
            "float32[N, 4, 7, 7], int64[N, 4, 7, 7]");
  EXPECT_NE(pool("[1, 1, 8, 8]", "strides = [2, 2]").find("kernel_shape"), std::string::npos);
}

TEST(InferPool, Global) {
  EXPECT_EQ(pool("[N, 4, H, 9]", "", "GlobalAveragePool"), "float32[N, 4, 1, 1]");
  EXPECT_EQ(pool("[N, 4, 9]", "", "GlobalMaxPool"), "float32[N, 4, 1]");
  EXPECT_NE(pool("[N]", "", "GlobalMaxPool").find("rank"), std::string::npos);
}

}  // namespace
}  // namespace octet
