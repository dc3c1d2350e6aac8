#include <filesystem>

#include "octet/tensor.h"
#include "onnx/models.h"
#include "onnx/save.h"
#include "support/compare.h"
#include "support/random_graph.h"

namespace octet::test {
namespace {

namespace fs = std::filesystem;

// A model whose only initializer is two floats in `location`.
onnx::ModelProto external_model(const std::string& location, const std::string& offset = "",
                                const std::string& length = "", int type = 1, int64_t count = 2) {
  onnx::ModelProto model = empty_model(21);
  auto& tensor = *model.mutable_graph()->add_initializer();
  tensor.set_name("t");
  tensor.set_data_type(type);
  tensor.add_dims(count);
  tensor.set_data_location(onnx::TensorProto::EXTERNAL);
  const std::pair<const char*, std::string> entries[] = {
      {"location", location}, {"offset", offset}, {"length", length}};
  for (const auto& [key, value] : entries) {
    if (value.empty()) continue;
    auto& entry = *tensor.add_external_data();
    entry.set_key(key);
    entry.set_value(value);
  }
  add_node(model, "Identity", {"t"}, {"y"});
  add_output(model, "y");
  return model;
}

std::string floats(std::vector<float> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

class ExternalData : public ::testing::Test {
 protected:
  ExternalData() {
    folder_.write("model/weights.bin", floats({9, 1, 2, 9}));
    folder_.write("model/sub/deep.bin", floats({3, 4}));
    folder_.write("outside.bin", floats({5, 6}));
  }
  Result<Graph> load(const onnx::ModelProto& model) {
    folder_.write("model/m.onnx", model.SerializeAsString());
    return load_onnx(folder_.file("model/m.onnx"));
  }
  std::string error(const onnx::ModelProto& model) { return load(model).status().message(); }
  TemporaryFolder folder_;
};

TEST_F(ExternalData, RangesAreRead) {
  Result<Graph> graph = load(external_model("weights.bin", "4", "8"));
  ASSERT_TRUE(graph.is_ok()) << graph.status().message();
  EXPECT_TRUE(same_bits(*graph->value(graph->find_value("t")).constant, Tensor::from<float>({2}, {1, 2})));
  graph = load(external_model("sub/deep.bin"));
  ASSERT_TRUE(graph.is_ok()) << graph.status().message();
  EXPECT_TRUE(same_bits(*graph->value(graph->find_value("t")).constant, Tensor::from<float>({2}, {3, 4})));
  // INT4: three codes in two bytes.
  folder_.write("model/four.bin", "\xf1\x08");
  graph = load(external_model("four.bin", "", "2", 22, 3));
  ASSERT_TRUE(graph.is_ok()) << graph.status().message();
  EXPECT_EQ(graph->value(graph->find_value("t")).constant->data<int8_t>()[2], -8);
}

TEST_F(ExternalData, WrittenBackInside) {
  Result<Graph> graph = load(external_model("weights.bin", "4", "8"));
  ASSERT_TRUE(graph.is_ok());
  const onnx::ModelProto out = written(*graph);
  EXPECT_EQ(out.graph().initializer(0).raw_data(), floats({1, 2}));
  EXPECT_EQ(out.graph().initializer(0).external_data_size(), 0);
  EXPECT_FALSE(out.graph().initializer(0).has_data_location());
}

TEST_F(ExternalData, NothingOutsideOfTheFolder) {
  EXPECT_HAS(error(external_model("../outside.bin")), "leads out of the model's folder");
  EXPECT_HAS(error(external_model("sub/../../outside.bin")), "leads out of the model's folder");
  EXPECT_HAS(error(external_model(folder_.file("outside.bin"))), "not named relative to the model's folder");
  EXPECT_HAS(error(external_model("/etc/passwd")), "not named relative");
  fs::create_symlink(folder_.file("outside.bin"), folder_.file("model/link.bin"));
  EXPECT_HAS(error(external_model("link.bin")), "link that leads out of the model's folder");
  fs::create_directory_symlink(folder_.path(), folder_.file("model/up"));
  EXPECT_HAS(error(external_model("up/outside.bin")), "link that leads out of the model's folder");
  fs::create_symlink("weights.bin", folder_.file("model/inner.bin"));
  EXPECT_TRUE(load(external_model("inner.bin", "4", "8")).is_ok());
}

TEST_F(ExternalData, RangesAreChecked) {
  EXPECT_HAS(error(external_model("weights.bin", "12", "8")), "which has only 16");
  EXPECT_HAS(error(external_model("weights.bin", "9223372036854775807", "8")), "which has only 16");
  EXPECT_HAS(error(external_model("weights.bin", "99999999999999999999", "8")), "not a byte count");
  EXPECT_HAS(error(external_model("weights.bin", "-4", "8")), "not a byte count");
  EXPECT_HAS(error(external_model("weights.bin", "4x", "8")), "not a byte count");
  EXPECT_HAS(error(external_model("weights.bin", "0", "12")), "needs 8 bytes, but its external data has 12");
  EXPECT_HAS(error(external_model("weights.bin", "0", "", 1, int64_t{1} << 40)), "which has only 16");
}

TEST_F(ExternalData, MissingAndOddFiles) {
  EXPECT_EQ(load(external_model("nothing.bin")).status().code(), StatusCode::kNotFound);
  EXPECT_HAS(error(external_model("nothing.bin")), "initializer 't'");
  EXPECT_HAS(error(external_model("sub")), "not a regular file");
  EXPECT_HAS(error(external_model("")), "no file is named");
  EXPECT_HAS(error(external_model(std::string("weights.bin\0x", 13))), "not named relative");
  const Status forbidden = parse(external_model("weights.bin")).status();
  EXPECT_HAS(forbidden.message(), "only when the model is loaded by its path");
}

TEST_F(ExternalData, OneFileClaimedOverAndOverIsRefused) {
  onnx::ModelProto model = external_model("weights.bin", "", "16", 1, 4);
  for (int i = 0; i < 100; ++i) {
    auto& copy = *model.mutable_graph()->add_initializer();
    copy = model.graph().initializer(0);
    copy.set_name("t" + std::to_string(i));
  }
  EXPECT_EQ(load(model).status().code(), StatusCode::kResourceLimit);
}

TEST_F(ExternalData, LargeModelsAreSavedBesideTheirWeights) {
  const Graph graph = random_cnn(3);
  const std::string path = folder_.file("big.onnx");
  ASSERT_TRUE(save_onnx_with_limit(graph, path, 100).is_ok());
  ASSERT_TRUE(fs::exists(path + ".data"));
  Result<Graph> loaded = load_onnx(path);
  ASSERT_TRUE(loaded.is_ok()) << loaded.status().message();
  Result<std::string> inside = serialize_onnx(graph);
  Result<std::string> again = serialize_onnx(*loaded);
  ASSERT_TRUE(inside.is_ok() && again.is_ok());
  EXPECT_TRUE(*inside == *again);
  for (const auto& file : fs::directory_iterator(folder_.path()))
    EXPECT_EQ(file.path().string().find(".tmp"), std::string::npos);
}

TEST_F(ExternalData, FailedSavesLeaveNothing) {
  const Graph graph = random_cnn(3);
  EXPECT_EQ(save_onnx_with_limit(graph, folder_.file("no/such/folder.onnx"), 100).code(), StatusCode::kIoError);
  EXPECT_EQ(save_onnx(graph, folder_.file("no/such/folder.onnx")).code(), StatusCode::kIoError);
  fs::create_directories(folder_.file("taken.onnx.data"));
  EXPECT_FALSE(save_onnx_with_limit(graph, folder_.file("taken.onnx"), 100).is_ok());
  EXPECT_FALSE(fs::exists(folder_.file("taken.onnx")));
  for (const auto& file : fs::directory_iterator(folder_.path()))
    EXPECT_EQ(file.path().string().find(".tmp"), std::string::npos);
}

}  // namespace
}  // namespace octet::test
