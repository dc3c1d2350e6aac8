// octet zoo: what it lists and writes, and how it refuses.
#include <nlohmann/json.hpp>

#include "cli/cli_fixture.h"
#include "octet/zoo.h"

namespace octet {
namespace {

using test::expect_refusal;
using test::octet;
using test::Outcome;
using ZooCli = test::Cli;

TEST_F(ZooCli, ListsWhatTheLibraryHas) {
  const Outcome out = octet("zoo list --json");
  ASSERT_EQ(out.code, 0) << out.text;
  const auto j = nlohmann::json::parse(out.text);
  ASSERT_EQ(j.size(), zoo_networks().size());
  for (size_t i = 0; i < j.size(); ++i) {
    EXPECT_EQ(j[i]["name"], zoo_networks()[i].name);
    EXPECT_EQ(j[i]["parameters"], zoo_cost(zoo_networks()[i].name)->parameters);
  }
  const Outcome table = octet("zoo list");
  for (const char* word : {"resnet18", "11.69 M", "1814.1 M", "arXiv 1512.03385", "torchvision"})
    EXPECT_NE(table.text.find(word), std::string::npos) << word;
}

TEST_F(ZooCli, ExportsTrainsAgainAndDeploys) {
  const std::string shape = " --classes 4 --size 8 --channels 1 ";
  ASSERT_EQ(octet("zoo export resnet20_cifar --seed 3" + shape + "-o " + path("a.onnx")).code, 0);
  const auto graph = load_onnx(path("a.onnx"));
  ASSERT_TRUE(graph.is_ok()) << graph.status().message();
  ASSERT_TRUE(save_safetensors(*graph, path("a.safetensors")).is_ok());
  // The weights of the file win over the seed.
  const Outcome out = octet("zoo export resnet20_cifar --json --seed 4 --weights " + path("a.safetensors") + shape +
                            "-o " + path("b.onnx"));
  ASSERT_EQ(out.code, 0) << out.text;
  EXPECT_EQ(nlohmann::json::parse(out.text)["parameters"], zoo_cost("resnet20_cifar", {4, 8, 1, 0})->parameters);
  const auto again = load_onnx(path("b.onnx"));
  ASSERT_TRUE(again.is_ok());
  const auto weight = [](const Graph& g) { return *g.value(g.find_value("layer2.0.conv1.weight")).constant; };
  EXPECT_TRUE(same_bits(weight(*graph), weight(*again)));
  ASSERT_EQ(octet("zoo export resnet20_cifar --deploy" + shape + "-o " + path("c.onnx")).code, 0);
  const auto deployed = load_onnx(path("c.onnx"));
  ASSERT_TRUE(deployed.is_ok());
  for (const Node& node : deployed->nodes) EXPECT_FALSE(node.is("BatchNormalization"));
}

TEST_F(ZooCli, WrongUse) {
  expect_refusal(octet("zoo export resnet19 -o " + path("x.onnx")), 3, {"Did you mean 'resnet18'"});
  expect_refusal(octet("zoo export vit_tiny --size 100 -o " + path("x.onnx")), 2, {"vit_tiny", "multiple of 16"});
  expect_refusal(octet("zoo export resnet18 --weights " + path("none.pth") + " -o " + path("x.onnx")), 3,
                 {"none.pth"});
  expect_refusal(octet("zoo export resnet18 --weights " + model_ + " -o " + path("x.onnx")), 4,
                 {"net.onnx", "safetensors"});
  expect_refusal(octet("zoo export resnet20_cifar --keep 'fc.*' -o " + path("x.onnx")), 2, {"--weights"});
  ASSERT_EQ(octet("zoo export resnet20_cifar -o " + path("a.onnx")).code, 0);
  ASSERT_TRUE(save_safetensors(*load_onnx(path("a.onnx")), path("a.safetensors")).is_ok());
  const std::string weights = "zoo export resnet20_cifar --classes 3 --weights " + path("a.safetensors");
  expect_refusal(octet(weights + " -o " + path("x.onnx")), 2, {"linear.weight ([10, 64] in the file, [3, 64]"});
  EXPECT_FALSE(std::filesystem::exists(path("x.onnx")));
  EXPECT_EQ(octet(weights + " --keep 'linear.*' -o " + path("x.onnx")).code, 0);
  EXPECT_NE(octet("zoo").code, 0);
}

}  // namespace
}  // namespace octet
