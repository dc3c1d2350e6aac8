#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graph/text.h"

namespace octet {
namespace {

constexpr char kSample[] =
    "graph \"net\" opset 17, com.acme 2\n"
    "input %x: float32[N, 3, 2*H, ?]\n"
    "input %unknown\n"
    "input %t: float32\n"
    "const %w: float32[2, 2] = [1.0, -0.5, 1e-30, 3.0]\n"
    "const %k: int64[] = [-9223372036854775808]\n"
    "const %n: int4[3] = [-8, 7, 0]\n"
    "const %h: float16[2] = [15360, 65535]\n"
    "const %b: bool[2] = [1, 0]\n"
    "const %empty: float32[0, 4] = []\n"
    "%a: float32[N, \"odd, name\", 3*\"2 x\", (H-1)], _, %c: ?[4] = com.acme::Thing(%x, _, %w) {alpha = 1.0, "
    "axes = [1, -2], empty = ints[], floats = [0.5, 1.0], name = \"a \\\"b\\\" \\\\ c\\n\\x01\", none = floats[], "
    "one = 7, t = tensor(int8[2] [1, -1]), words = [\"p\", \"q\"]} # first/node:0\n"
    "%\"odd name\" = Relu(%a) # \"second node\"\n"
    "output %\"odd name\"\n"
    "output %c\n";

TEST(TextForm, RoundTrip) {
  auto graph = parse_text(kSample);
  ASSERT_TRUE(graph.is_ok()) << graph.status().message();
  EXPECT_EQ(to_text(*graph), kSample);
}

TEST(TextForm, ReadsWhatItSays) {
  const Graph g = parse_text(kSample).value();
  EXPECT_EQ(g.name, "net");
  EXPECT_EQ(g.opset, 17);
  EXPECT_EQ(g.other_opsets.at("com.acme"), 2);
  const Value& x = g.value(g.find_value("x"));
  EXPECT_EQ(x.shape, (Shape{Dim::named("N"), Dim::of(3), {2, "H"}, Dim::unknown()}));
  EXPECT_FALSE(g.value(g.find_value("t")).shape.has_value());
  const Node& node = g.nodes[0];
  EXPECT_EQ(node.domain, "com.acme");
  EXPECT_EQ(node.inputs[1], kNoValue);
  EXPECT_EQ(node.outputs[1], kNoValue);
  EXPECT_EQ(node.attr_float("alpha", 0), 1.0F);
  EXPECT_EQ(node.attr_ints("axes"), (std::vector<int64_t>{1, -2}));
  EXPECT_EQ(node.attr_string("name", ""), "a \"b\" \\ c\n\x01");
  EXPECT_TRUE(std::holds_alternative<std::vector<float>>(node.attributes.at("none")));
  EXPECT_EQ(node.attr_tensor("t")->data<int8_t>()[1], -1);
  EXPECT_EQ(*to_int64s(*g.value(g.find_value("k")).constant), (std::vector<int64_t>{INT64_MIN}));
  EXPECT_EQ(g.value(g.find_value("h")).constant->data<uint16_t>()[0], 15360);
  const Value& a = g.value(node.outputs[0]);
  EXPECT_EQ((*a.shape)[1], Dim::named("odd, name"));
  EXPECT_EQ((*a.shape)[2], (Dim{3, "2 x"}));
}

TEST(TextForm, FloatsKeepTheirBits) {
  Graph g;
  const std::vector<float> values{0.1F,
                                  -0.0F,
                                  1e38F,
                                  std::numeric_limits<float>::denorm_min(),
                                  std::numeric_limits<float>::infinity(),
                                  -std::numeric_limits<float>::infinity(),
                                  16777217.0F,
                                  3.0F};
  g.add_constant("c", Tensor::from<float>({8}, values));
  g.outputs = {0};
  const auto again = parse_text(to_text(g));
  ASSERT_TRUE(again.is_ok()) << again.status().message() << to_text(g);
  EXPECT_TRUE(same_bits(*again->value(0).constant, *g.value(0).constant)) << to_text(g);
  Graph nan;
  nan.add_constant("c", Tensor::from<float>({1}, {std::nanf("")}));
  nan.outputs = {0};
  EXPECT_TRUE(std::isnan(parse_text(to_text(nan))->value(0).constant->data<float>()[0]));
}

TEST(TextForm, LargeConstantsAreHashedAndRefused) {
  Graph g;
  std::vector<int8_t> values(300, 1);
  g.add_constant("c", Tensor::from<int8_t>({300}, values));
  g.outputs = {0};
  const std::string text = to_text(g);
  EXPECT_NE(text.find("const %c: int8[300] = hash "), std::string::npos) << text;
  values[299] = 2;
  Graph other;
  other.add_constant("c", Tensor::from<int8_t>({300}, values));
  other.outputs = {0};
  EXPECT_NE(to_text(other), text);
  const auto parsed = parse_text(text);
  ASSERT_FALSE(parsed.is_ok());
  EXPECT_EQ(parsed.status().message(), "line 2: the elements of this tensor were not written out, only their hash");
}

TEST(TextForm, Errors) {
  const auto error = [](const std::string& line) {
    const auto parsed = parse_text("graph \"g\" opset 13\n// a comment\n\ninput %x: float32[2]\n" + line);
    return parsed.is_ok() ? std::string("none") : parsed.status().message();
  };
  EXPECT_EQ(error("output %x"), "none");
  EXPECT_EQ(error("output %y"), "line 5: '%y' is not defined above");
  EXPECT_EQ(error("input %x"), "line 5: '%x' is defined twice");
  EXPECT_EQ(error("%x = Relu(%x)"), "line 5: '%x' is defined twice");
  EXPECT_EQ(error("%y = Relu(%y)"), "line 5: '%y' is not defined above");
  EXPECT_EQ(error("const %c: float33[2] = [1, 2]"), "line 5: 'float33' is not a type");
  EXPECT_EQ(error("const %c: int8[2] = [1]"), "line 5: expected 2 elements");
  EXPECT_EQ(error("const %c: int8[1] = [1, 2]"), "line 5: expected ']' after 1 elements");
  EXPECT_EQ(error("const %c: int8[1] = [300]"), "line 5: a number is out of range");
  EXPECT_EQ(error("const %c: int4[1] = [8]"), "line 5: an element does not fit int4");
  EXPECT_EQ(error("const %c: int8[N] = [1]"), "line 5: a tensor needs a type and a shape of numbers");
  EXPECT_NE(error("const %c: int8[9223372036854775807, 9223372036854775807] = [1]").find("line 5"),
            std::string::npos);
  EXPECT_NE(error("%y = Relu(%x) {a = }").find("expected a number"), std::string::npos);
  EXPECT_NE(error("%y = Relu(%x) {a = 1, a = 2}").find("given twice"), std::string::npos);
  EXPECT_NE(error("%y = Relu(%x) nonsense").find("left at the end"), std::string::npos);
  EXPECT_NE(error("%y = (%x)").find("operator"), std::string::npos);
  EXPECT_NE(error("%y = Relu(%x) # \"open").find("not closed"), std::string::npos);
  EXPECT_NE(error("%y = Relu(%x) {s = \"\\q\"}").find("backslash"), std::string::npos);
  EXPECT_NE(error("%y = Relu(%x").find("',' or ')'"), std::string::npos);
}

}  // namespace
}  // namespace octet
