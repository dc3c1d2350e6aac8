#include "graph/symbolic.h"

#include <gtest/gtest.h>

namespace octet {
namespace {

MaybeInt num(int64_t v) { return SymInt(v); }
MaybeInt sym(const std::string& s, int64_t c = 1) { return SymInt::term(c, s); }
std::string text(const MaybeInt& v) { return v ? v->to_string() : "?"; }
std::string text(const Dim& d) { return shape_to_string({d}); }

TEST(Symbolic, SumsAndProducts) {
  EXPECT_EQ(text(sym_add(sym("N"), num(3))), "N+3");
  EXPECT_EQ(text(sym_sub(sym_add(sym("N"), num(3)), sym("N"))), "3");
  EXPECT_EQ(text(sym_mul(sym("W", 2), sym("H", 3))), "6*H*W");
  EXPECT_EQ(text(sym_mul(sym_add(sym("N"), num(-1)), sym_add(sym("N"), num(1)))), "N*N-1");
  EXPECT_EQ(text(sym_mul(sym("N"), num(0))), "0");
  EXPECT_EQ(text(sym_sub(num(0), sym("N"))), "-N");
  EXPECT_EQ(text(sym_mul(std::nullopt, num(0))), "?");
}

TEST(Symbolic, ExactDivision) {
  EXPECT_EQ(text(sym_div_exact(sym("H*N", 6), sym("N", 3))), "2*H");
  EXPECT_EQ(text(sym_div_exact(sym("N", 6), num(4))), "?");
  EXPECT_EQ(text(sym_div_exact(sym("N"), sym("M"))), "?");
  EXPECT_EQ(text(sym_div_exact(sym("N"), num(0))), "?");
  EXPECT_EQ(text(sym_div_exact(num(INT64_MIN), num(-1))), "?");
  EXPECT_EQ(text(sym_div_exact(num(0), sym("N"))), "0");
}

TEST(Symbolic, OverflowIsUnknown) {
  EXPECT_EQ(text(sym_add(num(INT64_MAX), num(1))), "?");
  EXPECT_EQ(text(sym_mul(sym("N", INT64_MAX), num(2))), "?");
  EXPECT_EQ(text(sym_add(sym("N", INT64_MAX), sym("N"))), "?");
  EXPECT_EQ(text(sym_sub(num(0), num(INT64_MIN))), "?");
}

TEST(Symbolic, GrowthIsBounded) {
  MaybeInt sum = num(0);
  for (int i = 0; i < 8; ++i) sum = sym_add(sum, sym("s" + std::to_string(i)));
  EXPECT_TRUE(sum.has_value());
  EXPECT_FALSE(sym_add(sum, sym("t")).has_value());
  MaybeInt power = sym("N");
  for (int i = 1; i < 8; ++i) power = sym_mul(power, sym("N"));
  EXPECT_TRUE(power.has_value());
  EXPECT_FALSE(sym_mul(power, sym("N")).has_value());
}

TEST(SymbolTable, SumsBecomeSymbolsAndBack) {
  SymbolTable table;
  const Dim d = table.to_dim(sym_add(sym("H"), num(-1)));
  EXPECT_EQ(d, Dim::named("(H-1)"));
  EXPECT_EQ(text(sym_add(table.from_dim(d), num(1))), "H");
  // Common factors stay outside: 4*N*H - 4*N = 4 * (H-1) * N.
  const Dim e = table.to_dim(sym_sub(sym("H*N", 4), sym("N", 4)));
  EXPECT_EQ(e, (Dim{4, "(H-1)*N"}));
  EXPECT_EQ(text(table.from_dim(e)), "4*H*N-4*N");
  EXPECT_EQ(text(table.to_dim(num(-1))), "[?]");
  EXPECT_EQ(text(table.to_dim(std::nullopt)), "[?]");
  EXPECT_EQ(text(table.to_dim(sym("N", -2))), "[?]");
}

TEST(SymbolTable, FloorDivision) {
  SymbolTable table;
  EXPECT_EQ(text(table.floor_div(sym("N", 6), 3)), "2*N");
  EXPECT_EQ(text(table.floor_div(sym_add(sym("N", 4), num(3)), 4)), "N");
  EXPECT_EQ(text(table.floor_div(sym("N"), 2)), "(N/2)");
  EXPECT_EQ(text(table.floor_div(sym_add(sym("H"), num(-1)), 2)), "((H+1)/2)-1");
  EXPECT_EQ(text(table.ceil_div(sym("H"), 2)), "((H+1)/2)");
  EXPECT_EQ(text(table.floor_div(num(-7), 2)), "-4");
  EXPECT_EQ(text(table.ceil_div(num(-7), 2)), "-3");
  EXPECT_EQ(text(table.floor_div(sym("N"), 0)), "?");
  EXPECT_EQ(text(table.floor_div(num(INT64_MIN), INT64_MAX)), "-2");
}

TEST(SymbolTable, LongNamesAreShortened) {
  SymbolTable table;
  EXPECT_EQ(table.reserve("d0"), "d0");
  const std::string long_name(200, 'x');
  const std::string first = table.reserve(long_name);
  EXPECT_EQ(first, "d1");  // d0 is taken
  EXPECT_EQ(table.reserve(long_name), first);
  MaybeInt v = sym("H");
  for (int i = 0; i < 40; ++i) v = table.floor_div(sym_add(v, num(1)), 2);
  ASSERT_TRUE(v.has_value());
  EXPECT_LT(v->to_string().size(), 64U);
}

}  // namespace
}  // namespace octet
