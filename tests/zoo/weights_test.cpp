// Trained weights by name: both forms of .pth, safetensors, and every way in which names do not fit.
#include <bit>
#include <cmath>
#include <cstring>

#include "zoo/randomized.h"
#include "zoo/weight_fixture.h"

namespace octet::test {
namespace {

TEST_F(WeightFiles, BothFormsOfPth) {
  for (const std::string& bytes : {zip_checkpoint(pickle_dict(tensors()), {{"0", storage()}}),
                                   legacy_checkpoint(pickle_dict(tensors()), {{"0", storage()}}, 4)}) {
    Graph graph = small_network();
    const Status status = load_weights(graph, write("a.pth", bytes));
    ASSERT_TRUE(status.is_ok()) << status.message();
    expect_loaded(graph);
  }
}

TEST_F(WeightFiles, NestedDictsPrefixesAndCounters) {
  std::vector<PthTensor> all = tensors("module.");
  all.push_back({"module.bn.num_batches_tracked", "LongStorage", "1", 1, 0, {}, {}});
  for (const char* nest : {"state_dict", "model", "state_dict_ema"}) {
    // {'epoch': 3, 'lr': 0.5, 'note': None, NEST: OrderedDict(...)}
    std::string object = "}(" + pickle_text("epoch") + "K\x03" + pickle_text("lr") + "G" + std::string(8, '\x3f') +
                         pickle_text("note") + "N" + pickle_text(nest) + pickle_dict(all) + "u";
    Graph graph = small_network();
    const Status status =
        load_weights(graph, write("a.pth", zip_checkpoint(object, {{"0", storage()}, {"1", std::string(8, '\0')}})));
    ASSERT_TRUE(status.is_ok()) << status.message();
    expect_loaded(graph);
  }
}

// The smoothed weights win, as in timm.
TEST_F(WeightFiles, SmoothedWeightsComeFirst) {
  std::vector<PthTensor> raw = tensors();
  for (PthTensor& t : raw) t.offset = 0;
  const std::string object = "}(" + pickle_text("state_dict") + pickle_dict(raw) + pickle_text("state_dict_ema") +
                             pickle_dict(tensors()) + "u";
  Graph graph = small_network();
  ASSERT_TRUE(load_weights(graph, write("a.pth", zip_checkpoint(object, {{"0", storage()}}))).is_ok());
  expect_loaded(graph);
}

TEST_F(WeightFiles, StridedViewsAreRead) {
  std::vector<PthTensor> all = tensors();
  all[0].sizes = {2, 3, 1, 1};
  all[0].strides = {1, 2, 7, 7};  // the transpose of 1 2 / 3 4 / 5 6
  all[2].strides = {0};           // one number twice
  all[5].strides = {1, 4};        // [4, 2] stored as [2, 4]
  Graph graph = small_network();
  const Status status = load_weights(graph, write("a.pth", zip_checkpoint(pickle_dict(all), {{"0", storage()}})));
  ASSERT_TRUE(status.is_ok()) << status.message();
  EXPECT_EQ(floats(graph, "conv.weight"), (std::vector<float>{1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(floats(graph, "bn.bias"), (std::vector<float>{9, 9}));
  EXPECT_EQ(floats(graph, "fc.weight"), (std::vector<float>{15, 16, 17, 18, 19, 20, 21, 22}));
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

TEST_F(WeightFiles, OtherFloatTypesAreConverted) {
  // 1, -2.5 and so on are exact in all types; 0x3c00 is 1 in float16, 0x3f80 in bfloat16.
  std::vector<PthTensor> all = tensors();
  all[1] = {"bn.weight", "HalfStorage", "h", 2, 0, {2}, {1}};
  all[2] = {"bn.bias", "BFloat16Storage", "b", 2, 0, {2}, {1}};
  all[3] = {"bn.running_mean", "DoubleStorage", "d", 2, 0, {2}, {1}};
  const Members storages = {{"0", storage()},
                            {"h", bytes_of<uint16_t>({0x3c00, 0xc100})},
                            {"b", bytes_of<uint16_t>({0x3f80, 0xc020})},
                            {"d", bytes_of<double>({1.0, -2.5})}};
  Graph graph = small_network();
  const Status status = load_weights(graph, write("a.pth", zip_checkpoint(pickle_dict(all), storages)));
  ASSERT_TRUE(status.is_ok()) << status.message();
  for (const char* name : {"bn.weight", "bn.bias", "bn.running_mean"})
    EXPECT_EQ(floats(graph, name), (std::vector<float>{1.0F, -2.5F})) << name;

  all[1].storage_type = "LongStorage";
  EXPECT_NE(refusal(zip_checkpoint(pickle_dict(all), {{"0", storage()},
                                                      {"h", std::string(16, '\1')},
                                                      {"b", std::string(16, '\1')},
                                                      {"d", std::string(16, '\1')}}))
                .find("'bn.weight' is of type int64"),
            std::string::npos);
}

TEST_F(WeightFiles, NamesThatDoNotFit) {
  std::vector<PthTensor> all = tensors();
  all[5].name = "head.fc.weight";
  all[0].sizes = {3, 2, 1, 1};
  all[0].strides = {2, 1, 1, 1};
  const std::string sentence =
      refusal(zip_checkpoint(pickle_dict(all), {{"0", storage()}}), StatusCode::kInvalidArgument);
  for (const char* part :
       {"do not fit 'small'", "missing: fc.weight (the file has 'head.fc.weight')",
        "not in the network: head.fc.weight", "conv.weight ([3, 2, 1, 1] in the file, [2, 3, 1, 1]", "refused'"})
    EXPECT_NE(sentence.find(part), std::string::npos) << part << " not in: " << sentence;
  EXPECT_EQ(std::count(sentence.begin(), sentence.end(), '\n'), 0);

  all.assign(1, all[5]);
  EXPECT_NE(refusal(zip_checkpoint(pickle_dict(all), {{"0", storage()}})).find("and 3 more"), std::string::npos);
}

TEST_F(WeightFiles, AFailedLoadChangesNothing) {
  std::vector<PthTensor> all = tensors();
  all.pop_back();
  Graph graph = small_network();
  EXPECT_FALSE(load_weights(graph, write("a.pth", zip_checkpoint(pickle_dict(all), {{"0", storage()}}))).is_ok());
  EXPECT_EQ(floats(graph, "conv.weight"), std::vector<float>(6, 0.0F));
}

TEST_F(WeightFiles, WeightsThatAreKept) {
  std::vector<PthTensor> all = tensors();
  all[5].sizes = {1, 2};  // another number of classes
  all.push_back({"auxiliary.weight", "FloatStorage", "0", 22, 0, {1}, {1}});
  const std::string path = write("a.pth", zip_checkpoint(pickle_dict(all), {{"0", storage()}}));
  Graph graph = small_network();
  EXPECT_FALSE(load_weights(graph, path).is_ok());
  const Status status = load_weights(graph, path, {{"fc.*", "auxiliary.*"}});
  ASSERT_TRUE(status.is_ok()) << status.message();
  EXPECT_EQ(floats(graph, "conv.weight"), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(floats(graph, "fc.weight"), std::vector<float>(8, 0.0F));
  EXPECT_NE(load_weights(graph, path, {{"fc.wieght"}}).message().find("Did you mean 'fc.weight'"), std::string::npos);
}

TEST_F(WeightFiles, SafetensorsComeBackBitForBit) {
  for (const char* name : {"mobilenet_v3_small", "vit_tiny", "unet_small"}) {
    const ZooOptions options{.classes = 3, .size = 32, .channels = 1, .seed = 8};
    Graph graph = built(name, options);
    randomize_norms(graph, 4);
    const std::string path = (folder_ / "w.safetensors").string();
    ASSERT_TRUE(save_safetensors(graph, path).is_ok());
    Graph other = built(name, {.classes = 3, .size = 32, .channels = 1, .seed = 9});
    const Status status = load_weights(other, path);
    ASSERT_TRUE(status.is_ok()) << status.message();
    ASSERT_EQ(other.value_count(), graph.value_count());
    for (size_t v = 0; v < graph.value_count(); ++v) {
      const Value& a = graph.value(static_cast<ValueId>(v));
      if (!a.constant) continue;
      EXPECT_TRUE(same_bits(*a.constant, *other.value(static_cast<ValueId>(v)).constant)) << a.name;
    }
  }
}

std::string safetensors(const std::string& header, const std::string& data) {
  const uint64_t size = header.size();
  return std::string(reinterpret_cast<const char*>(&size), 8) + header + data;
}

// Written by hand after the format's description, names in another order than the bytes.
const char* const kHeader = R"({"fc.weight":{"dtype":"F32","shape":[4,2],"data_offsets":[56,88]},)"
                            R"("__metadata__":{"format":"pt"},)"
                            R"("conv.weight":{"dtype":"F32","shape":[2,3,1,1],"data_offsets":[0,24]},)"
                            R"("bn.weight":{"dtype":"F32","shape":[2],"data_offsets":[24,32]},)"
                            R"("bn.bias":{"dtype":"F32","shape":[2],"data_offsets":[32,40]},)"
                            R"("bn.running_mean":{"dtype":"F32","shape":[2],"data_offsets":[40,48]},)"
                            R"("bn.running_var":{"dtype":"F32","shape":[2],"data_offsets":[48,56]}}  )";

TEST_F(WeightFiles, SafetensorsByHand) {
  Graph graph = small_network();
  const Status status = load_weights(graph, write("a.safetensors", safetensors(kHeader, storage())));
  ASSERT_TRUE(status.is_ok()) << status.message();
  expect_loaded(graph);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST_F(WeightFiles, DamagedSafetensors) {
  const auto sentence = [&](const std::string& from, const std::string& to) {
    return refusal(safetensors(replaced(kHeader, from, to), storage()), StatusCode::kDataCorrupt);
  };
  EXPECT_NE(sentence("[56,88]", "[56,92]").find("outside of the file"), std::string::npos);
  EXPECT_NE(sentence("[0,24]", "[24,0]").find("outside"), std::string::npos);
  EXPECT_NE(sentence("[0,24]", "[0,28]").find("damaged"), std::string::npos);
  EXPECT_NE(sentence("[24,32]", "[20,28]").find("belong to another"), std::string::npos);
  EXPECT_NE(sentence("[4,2]", "[4,2.0]").find("damaged"), std::string::npos);
  EXPECT_NE(sentence("[4,2]", "[-4,2]").find("damaged"), std::string::npos);
  EXPECT_NE(sentence("\"bn.bias\"", "\"bn.weight\"").find("JSON"), std::string::npos);  // twice
  EXPECT_NE(sentence("{\"format\":\"pt\"}", "[[[[[[1]]]]]]").find("JSON"), std::string::npos);
  EXPECT_NE(sentence("}}", "}").find("JSON"), std::string::npos);
  Graph graph = small_network();
  EXPECT_EQ(
      load_weights(graph, write("a", safetensors(replaced(kHeader, "[4,2]", "[4294967296,4294967296]"), storage())))
          .code(),
      StatusCode::kResourceLimit);
  EXPECT_NE(refusal(safetensors(std::string(kHeader).substr(0, 40), "").substr(0, 30)).find("truncated"),
            std::string::npos);
  EXPECT_NE(refusal(std::string("\xff\xff\xff\xff\xff\xff\xff\x7f{", 9) + std::string(20, ' ')).find("truncated"),
            std::string::npos);
}

TEST_F(WeightFiles, OtherFiles) {
  Graph graph = small_network();
  EXPECT_EQ(load_weights(graph, (folder_ / "none.pth").string()).code(), StatusCode::kNotFound);
  EXPECT_EQ(load_weights(graph, folder_.string()).code(), StatusCode::kInvalidArgument);
  for (const std::string& bytes : {std::string(), std::string("PK"), std::string("hello, this is text, not weights")})
    EXPECT_FALSE(refusal(bytes).empty());
  EXPECT_NE(refusal("version https://git-lfs.github.com/spec/v1\n").find("Git LFS"), std::string::npos);
  EXPECT_NE(refusal(stored_zip({{"a.npy", "x"}})).find("without data.pkl"), std::string::npos);
}

}  // namespace
}  // namespace octet::test
