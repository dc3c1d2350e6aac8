#include "yaml/yaml_reader.h"

#include <gtest/gtest.h>

namespace octet {
namespace {

YamlNode parsed(const std::string& text) {
  auto node = parse_yaml(text, "r.yaml");
  EXPECT_TRUE(node.is_ok()) << node.status().message();
  return node.is_ok() ? *node : YamlNode();
}

std::string parse_error(const std::string& text) {
  const auto node = parse_yaml(text, "r.yaml");
  return node.is_ok() ? "none" : node.status().message();
}

struct Options {
  std::string method = "max";
  double percentile = 99.9;
  int batches = 8;
  bool per_channel = true;
  std::vector<std::string> skip;
};

Status read_options(const std::string& text, Options* out) {
  OCTET_ASSIGN(const YamlNode root, parse_yaml(text, "r.yaml"));
  OCTET_ASSIGN(YamlMap map, YamlMap::open(root, "the recipe"));
  OCTET_RETURN_IF_ERROR(map.read("method", &out->method));
  OCTET_RETURN_IF_ERROR(map.read("percentile", &out->percentile));
  OCTET_RETURN_IF_ERROR(map.read("num_batches", &out->batches));
  OCTET_RETURN_IF_ERROR(map.read("per_channel", &out->per_channel));
  OCTET_RETURN_IF_ERROR(map.read("skip_modules", &out->skip));
  return map.finish();
}

std::string option_error(const std::string& text) {
  Options options;
  return read_options(text, &options).message();
}

TEST(YamlMapTest, ReadsTypedValues) {
  Options o;
  ASSERT_TRUE(
      read_options("method: entropy\npercentile: 99\nnum_batches: 4\nper_channel: off\nskip_modules: [a, b]\n", &o)
          .is_ok());
  EXPECT_EQ(o.method, "entropy");
  EXPECT_EQ(o.percentile, 99.0);
  EXPECT_EQ(o.batches, 4);
  EXPECT_FALSE(o.per_channel);
  EXPECT_EQ(o.skip, (std::vector<std::string>{"a", "b"}));
}

TEST(YamlMapTest, AbsentAndNullKeepTheDefault) {
  Options o;
  ASSERT_TRUE(read_options("method:\nskip_modules: one\n", &o).is_ok());
  EXPECT_EQ(o.method, "max");
  EXPECT_EQ(o.batches, 8);
  EXPECT_EQ(o.skip, std::vector<std::string>{"one"});  // a scalar is a list of one
  ASSERT_TRUE(read_options("", &o).is_ok());
}

TEST(YamlMapTest, ErrorsNameFileAndLine) {
  EXPECT_EQ(option_error("method: max\npercentil: 99\n"),
            "r.yaml:2: unknown key 'percentil' in the recipe. Did you mean 'percentile'?");
  EXPECT_NE(option_error("zzz: 1\n").find("r.yaml:1: unknown key 'zzz' in the recipe. Known keys: "),
            std::string::npos);
  EXPECT_EQ(option_error("\n\nnum_batches: many\n"), "r.yaml:3: expected a whole number, got 'many'");
  EXPECT_EQ(option_error("num_batches: 3000000000\n"), "r.yaml:1: the number is too large");
  EXPECT_EQ(option_error("num_batches: 99999999999999999999\n"),
            "r.yaml:1: expected a whole number, got '99999999999999999999'");
  EXPECT_EQ(option_error("num_batches: 4.5\n"), "r.yaml:1: expected a whole number, got '4.5'");
  EXPECT_EQ(option_error("percentile: .nan\n"), "r.yaml:1: expected a number, got '.nan'");
  EXPECT_EQ(option_error("percentile: 1e999\n"), "r.yaml:1: expected a number, got '1e999'");
  EXPECT_EQ(option_error("per_channel: 2\n"), "r.yaml:1: expected true or false, got '2'");
  EXPECT_EQ(option_error("method: [a]\n"), "r.yaml:1: expected text here");
  EXPECT_EQ(option_error("skip_modules:\n  - a\n  - [b]\n"), "r.yaml:3: expected text here");
  EXPECT_NE(option_error("- a\n").find("'the recipe' must be a map"), std::string::npos);
}

TEST(YamlParse, SyntaxErrorsAndDuplicates) {
  EXPECT_NE(parse_error("a: [1, 2\nb: 3\n").find("r.yaml:2: this is not valid YAML"), std::string::npos)
      << parse_error("a: [1, 2\nb: 3\n");
  EXPECT_EQ(parse_error("a: 1\nb: 2\na: 3\n"), "r.yaml:3: the key 'a' is given twice");
  EXPECT_NE(parse_error("? [1]\n: 2\n").find("plain text"), std::string::npos);
  EXPECT_NE(parse_error("a: *nowhere\n").find("r.yaml:1"), std::string::npos);
}

TEST(YamlParse, HostileDocuments) {
  EXPECT_EQ(parse_yaml(std::string((4 << 20) + 1, ' '), "r.yaml").status().code(), StatusCode::kResourceLimit);
  EXPECT_NE(parse_error(std::string(100000, '[')), "none");
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "[";
  deep += "1";
  for (int i = 0; i < 100; ++i) deep += "]";
  EXPECT_NE(parse_error(deep).find("nested too deeply"), std::string::npos);
  // Ten levels of ten aliases each would be 10^10 nodes.
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string below = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int k = 0; k < 10; ++k) bomb += (k != 0 ? ", " : "") + below;
    bomb += "]\n";
  }
  EXPECT_NE(parse_error(bomb).find("too large"), std::string::npos);
  EXPECT_NE(parse_error("a: &a [*a]\n"), "none");  // an alias to itself
}

TEST(YamlNodeTest, Lists) {
  const YamlNode root = parsed("n: [1, 2.5, -3e2]\nm: 4\nempty:\nwords: x\n");
  const auto& entries = root.entries();
  EXPECT_EQ(*entries[0].second.as_doubles(), (std::vector<double>{1, 2.5, -300}));
  EXPECT_EQ(*entries[1].second.as_doubles(), std::vector<double>{4});
  EXPECT_TRUE(entries[2].second.as_sequence()->empty());
  EXPECT_EQ(entries[3].second.as_doubles().status().message(), "r.yaml:4: expected a number, got 'x'");
  EXPECT_EQ(entries[1].second.place(), "r.yaml:2");
}

TEST(YamlLoad, AbsentFile) { EXPECT_EQ(load_yaml("/no/such.yaml").status().code(), StatusCode::kNotFound); }

}  // namespace
}  // namespace octet
