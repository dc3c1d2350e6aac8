// Checkpoints of enemies: objects that would run code, numbers that lie, bytes that are damaged. Nothing may be
// executed, nothing read or allocated beyond what the file holds.
#include <functional>

#include "support/random_graph.h"
#include "zoo/pickle.h"
#include "zoo/weight_fixture.h"

namespace octet::test {
namespace {

std::string checkpoint(const std::string& object) { return zip_checkpoint(object, {{"0", std::string(88, '\1')}}); }

TEST_F(WeightFiles, ObjectsThatCouldRunCodeAreRefusedByName) {
  const std::string command = pickle_text("touch /tmp/octet-was-here");
  for (const char* target : {"os.system", "posix.system", "builtins.eval", "torch.load", "argparse.Namespace",
                             "numpy.core.multiarray.scalar", "torch._utils._rebuild_qtensor"}) {
    const std::string name(target);
    const size_t dot = name.rfind('.');
    const std::string global = pickle_global(name.substr(0, dot), name.substr(dot + 1));
    const std::string sentence = refusal(checkpoint(global + "(" + command + "tR"), StatusCode::kUnsupported);
    EXPECT_NE(sentence.find("'" + name + "'"), std::string::npos) << sentence;
    // By STACK_GLOBAL, too.
    const std::string stacked = pickle_text(name.substr(0, dot)) + pickle_text(name.substr(dot + 1)) + "\x93";
    EXPECT_NE(refusal(checkpoint(stacked + "(" + command + "tR"), StatusCode::kUnsupported).find(name),
              std::string::npos);
  }
  // Control characters do not reach the terminal.
  EXPECT_EQ(refusal(checkpoint(pickle_global("os\x1b[2J", "x") + ")R")).find('\x1b'), std::string::npos);
}

TEST_F(WeightFiles, InstructionsThatNoStateDictNeeds) {
  const std::string ordered = pickle_global("collections", "OrderedDict");
  const std::string instructions[] = {
      "(" + ordered + ")i",        // INST
      ordered + ")\x81",           // NEWOBJ
      ordered + ")}\x92",          // NEWOBJ_EX
      "(o",                        // OBJ
      std::string("\x82\x01", 2),  // EXT1
      "I12\n",
      "S'a'\n",
      "Pkey\n",  // text forms of protocol 0
      "\x97",    // NEXT_BUFFER
  };
  for (const std::string& bytes : instructions)
    EXPECT_NE(refusal(checkpoint(bytes), StatusCode::kUnsupported).find("instruction 0x"), std::string::npos)
        << bytes;
  EXPECT_NE(refusal(stored_zip({{"a/data.pkl", "\x80\x09}."}})).find("protocol 9"), std::string::npos);
}

TEST_F(WeightFiles, MalformedPickles) {
  const std::string ordered = pickle_global("collections", "OrderedDict");
  const std::string bad[] = {
      "",  // STOP without an object
      "0",
      "t",
      "e",
      "R",
      "b",
      "Q",
      "2",  // take from an empty stack
      "}(K\x01u",
      "]s",
      "}a",
      "K\x01K\x02s",
      "NN\x93",
      "(K\x01(0",  // takes what is below a mark
      "h\x05",
      "jAAAA",
      "q\x01",  // the memo
      "K\x01)R",
      ordered + "}R",
      ordered + "K\x01\x85R",
      ordered + "]K\x01" + "a\x85R",
      pickle_global("torch._utils", "_rebuild_tensor_v2") + ")R",
      pickle_global("torch._utils", "_rebuild_tensor_v2") + "(NNNNtR",
      pickle_global("torch._utils", "_rebuild_parameter") + "(NNNtR",
      pickle_global("torch", "FloatStorage") + ")R",
      "K\x01Q",
      "(NNNNNtQ",
      "K\x01}b",
      "X\xff\xff\xff\xff",
      std::string("\x8d\xff\xff\xff\xff\xff\xff\xff\xff", 9),
      "T\xff\xff\xff\x7f",
      "cos",
      "c" + std::string(5000, 'a') + "\nb\n",
  };
  for (const std::string& bytes : bad) EXPECT_FALSE(refusal(checkpoint(bytes)).empty()) << bytes;
}

TEST_F(WeightFiles, NumbersThatLie) {
  const int64_t huge = INT64_MAX;
  struct Lie {
    const char* what;
    void (*tell)(PthTensor& t);
  };
  const Lie lies[] = {
      {"offset", [](PthTensor& t) { t.offset = 17; }},
      {"negative offset", [](PthTensor& t) { t.offset = -1; }},
      {"huge offset", [](PthTensor& t) { t.offset = INT64_MAX; }},
      {"stride", [](PthTensor& t) { t.strides[0] = 20; }},
      {"negative stride", [](PthTensor& t) { t.strides[1] = -1; }},
      {"huge stride", [](PthTensor& t) { t.strides[0] = INT64_MAX; }},
      {"negative size", [](PthTensor& t) { t.sizes[0] = -2; }},
      {"huge size", [](PthTensor& t) { t.sizes[0] = INT64_MAX; }},
      {"rank", [](PthTensor& t) { t.sizes.push_back(1); }},
      {"storage", [](PthTensor& t) { t.storage_numel = 23; }},
      {"huge storage", [](PthTensor& t) { t.storage_numel = INT64_MAX; }},
      {"negative storage", [](PthTensor& t) { t.storage_numel = -1; }},
      {"short storage", [](PthTensor& t) { t.storage_numel = 5; }},
      {"missing storage", [](PthTensor& t) { t.key = "7"; }},
      {"path", [](PthTensor& t) { t.key = "../../etc/passwd"; }},
      {"type", [](PthTensor& t) { t.storage_type = "DoubleStorage"; }},
  };
  for (const Lie& lie : lies) {
    std::vector<PthTensor> all = tensors();
    lie.tell(all[0]);
    const bool big = std::string_view(lie.what) == "type";
    EXPECT_FALSE(refusal(zip_checkpoint(pickle_dict(all), {{"0", storage()}})).empty()) << lie.what;
    if (big) continue;
    EXPECT_FALSE(refusal(legacy_checkpoint(pickle_dict(all), {{"0", storage()}}, 4)).empty()) << lie.what;
  }
  // A view that repeats one number without end is not expanded: its shape does not fit.
  std::vector<PthTensor> all = tensors();
  all[0].sizes = {huge / 8, 1, 1, 1};
  all[0].strides = {0, 0, 0, 0};
  EXPECT_FALSE(refusal(zip_checkpoint(pickle_dict(all), {{"0", storage()}})).empty());
}

TEST_F(WeightFiles, BigEndianAndTruncatedLegacyFiles) {
  const std::string good = legacy_checkpoint(pickle_dict(tensors()), {{"0", storage()}}, 4);
  ASSERT_EQ(refusal(good), "");
  std::string big = good;
  const size_t at = big.find("little_endian") + 13;
  ASSERT_EQ(big[at], '\x88');
  big[at] = '\x89';
  EXPECT_NE(refusal(big).find("big-endian"), std::string::npos);
  for (size_t n = 0; n < good.size(); n += 3) EXPECT_NE(refusal(good.substr(0, n)), "") << n;
}

// The same few bytes ask for ever more memory: refused, or small.
TEST_F(WeightFiles, AFewBytesDoNotBecomeManyObjects) {
  // A list of 100,000 pairs, made into dicts again and again.
  std::string bytes = "](";
  for (int i = 0; i < 100'000; ++i) bytes += "NN\x86";
  bytes +=
      "e\x85q\x01"
      "0" +
      pickle_global("collections", "OrderedDict") +
      "q\x02"
      "0";
  for (int i = 0; i < 5'000; ++i) bytes += "h\x02h\x01R0";
  EXPECT_NE(refusal(checkpoint(bytes + "}")).find("too many"), std::string::npos);
  // A list that contains itself, as the root and as the state dict.
  EXPECT_FALSE(refusal(checkpoint("]q\x01h\x01"
                                  "a"))
                   .empty());
  EXPECT_FALSE(refusal(checkpoint("}q\x01" + pickle_text("state_dict") + "h\x01s")).empty());
}

// Every mutation loads or is refused; sanitizers see to the rest.
void survive(const std::function<std::string(const std::string&)>& load, const std::string& good, int rounds) {
  Random random(77);
  for (int i = 0; i < rounds; ++i) {
    std::string bytes = good;
    for (int64_t k = random.integer(1, 4); k > 0; --k) {
      const auto at = static_cast<size_t>(random.integer(0, static_cast<int64_t>(bytes.size()) - 1));
      switch (random.integer(0, 4)) {
        case 0: bytes[at] = static_cast<char>(random.integer(0, 255)); break;
        case 1: bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.integer(0, 7))); break;
        case 2: bytes.resize(at + 1); break;
        case 3: bytes.insert(at, bytes.substr(at, static_cast<size_t>(random.integer(1, 8)))); break;
        default: bytes.erase(at, static_cast<size_t>(random.integer(1, 8))); break;
      }
      if (bytes.empty()) bytes = "x";
    }
    load(bytes);
  }
}

TEST_F(WeightFiles, MutatedFiles) {
  const auto load = [this](const std::string& bytes) { return refusal(bytes); };
  survive(load, zip_checkpoint(pickle_dict(tensors()), {{"0", storage()}}), 1000);
  survive(load, legacy_checkpoint(pickle_dict(tensors()), {{"0", storage()}}, 4), 1000);
  const std::string path = (folder_ / "good.safetensors").string();
  ASSERT_TRUE(save_safetensors(small_network(), path).is_ok());
  survive(load, read(path), 1000);
}

TEST_F(WeightFiles, MutatedPickles) {
  const auto parse = [](const std::string& bytes) {
    const auto pickle = zoo::read_pickle(bytes);
    return pickle.is_ok() ? "" : pickle.status().message();
  };
  const std::string good = pickle_whole(pickle_dict(tensors()));
  ASSERT_EQ(parse(good), "");
  survive(parse, good, 20000);
  for (size_t n = 0; n < good.size(); ++n) EXPECT_NE(parse(good.substr(0, n)), "") << n;
}

}  // namespace
}  // namespace octet::test
