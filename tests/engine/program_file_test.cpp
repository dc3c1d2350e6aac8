// The .octet file: round trips, and every kind of damage.
#include "engine/program_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/files.h"
#include "engine/checksum.h"
#include "engine/graph_codec.h"
#include "engine/test_programs.h"
#include "kernels/cpu/features.h"
#include "octet/runtime.h"

namespace octet::engine {
namespace {

using test::island_network;
using test::residual_network;

Result<Program> parse(const std::string& bytes) {
  return parse_program({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, nullptr);
}

struct TempDir {
  std::string path = ::testing::TempDir() + "octet_program_XXXXXX";
  TempDir() { EXPECT_NE(::mkdtemp(path.data()), nullptr); }
  ~TempDir() { std::filesystem::remove_all(path); }
};

TEST(ProgramFile, RoundTripGivesTheSameBytes) {
  for (test::ProgramBuilder builder : {residual_network(), island_network(true)}) {
    const std::string bytes = serialize_program(builder.finish());
    EXPECT_EQ(bytes, serialize_program(builder.finish()));
    Result<Program> again = parse(bytes);
    ASSERT_TRUE(again.is_ok()) << again.status().message();
    EXPECT_EQ(serialize_program(*again), bytes);
    EXPECT_EQ(again->name, builder.program.name);
    EXPECT_EQ(again->tensors.size(), builder.program.tensors.size());
    EXPECT_EQ(again->notes.back().nodes, builder.program.notes.back().nodes);
  }
}

TEST(ProgramFile, SaveAndLoadThroughAMapping) {
  const TempDir dir;
  const std::string path = dir.path + "/net.octet";
  ASSERT_TRUE(save_program(residual_network().finish(), path).is_ok());
  Result<Program> loaded = load_program(path);
  ASSERT_TRUE(loaded.is_ok()) << loaded.status().message();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(loaded->constants.data()) % kDataAlignment, 0u);
  // Replacing the file leaves the loaded program alone.
  const std::vector<uint8_t> before(loaded->constants.begin(), loaded->constants.end());
  ASSERT_TRUE(save_program(island_network().finish(), path).is_ok());
  EXPECT_TRUE(std::equal(before.begin(), before.end(), loaded->constants.begin()));
  EXPECT_EQ(load_program(path)->name, "island");
}

TEST(ProgramFile, DoesNotSaveABrokenProgram) {
  const TempDir dir;
  Program program = residual_network().finish();
  program.tensors[1].pixel_stride = 1;
  EXPECT_EQ(save_program(program, dir.path + "/net.octet").code(), StatusCode::kDataCorrupt);
  EXPECT_FALSE(std::filesystem::exists(dir.path + "/net.octet"));
}

void expect_error(const std::string& bytes, StatusCode code, const std::string& words) {
  const Status status = parse(bytes).status();
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_NE(status.message().find(words), std::string::npos) << status.message();
}

TEST(ProgramFile, SaysWhatIsWrong) {
  const TempDir dir;
  EXPECT_EQ(load_program(dir.path + "/none.octet").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(load_program(dir.path).status().code(), StatusCode::kInvalidArgument);
  ASSERT_TRUE(write_file_atomically(dir.path + "/empty.octet", "").is_ok());
  EXPECT_NE(load_program(dir.path + "/empty.octet").status().message().find("empty"), std::string::npos);
  expect_error("PK\x03\x04 a zip file", StatusCode::kDataCorrupt, "not an .octet file");
  const std::string good = serialize_program(residual_network().finish());
  expect_error(good.substr(0, 60), StatusCode::kDataCorrupt, "ends inside its header");
  expect_error(good.substr(0, good.size() - 1), StatusCode::kDataCorrupt, "bytes");
  expect_error(good + "x", StatusCode::kDataCorrupt, "goes on after its end");
}

std::string with_header(std::string file, const std::function<void(FileHeader&)>& change) {
  FileHeader header;
  std::memcpy(&header, file.data(), sizeof(header));
  change(header);
  std::memcpy(file.data(), &header, sizeof(header));
  set_checksums(file);
  return file;
}

TEST(ProgramFile, RefusesOtherVersionsAndOtherCpus) {
  const std::string good = serialize_program(residual_network().finish());
  const auto newer = [](FileHeader& h) {
    h.format_version = kFormatVersion + 1;
    std::strcpy(h.octet_version, "9.8.7");
  };
  expect_error(with_header(good, newer), StatusCode::kUnsupported, "9.8.7");
  expect_error(with_header(good, [](FileHeader& h) { h.format_version = 0; }), StatusCode::kUnsupported,
               "older format");
  cpu::limit_cpu_features_for_testing(0);
  expect_error(with_header(good, [](FileHeader& h) { h.features = cpu::kAvx512Vnni; }), StatusCode::kUnsupported,
               "compile it again on this machine");
  cpu::limit_cpu_features_for_testing(~0u);
  EXPECT_TRUE(parse(good).is_ok());
}

TEST(ProgramFile, EveryTruncationIsRefused) {
  for (const std::string& good :
       {serialize_program(residual_network().finish()), serialize_program(island_network().finish())}) {
    for (size_t size = 0; size < good.size(); size += size < 2048 ? 1 : 61)
      ASSERT_EQ(parse(good.substr(0, size)).status().code(), StatusCode::kDataCorrupt) << size;
    // Also when the header agrees.
    for (size_t size = sizeof(FileHeader); size < good.size(); size += 97) {
      const Result<Program> cut =
          parse(with_header(good.substr(0, size), [&](FileHeader& h) { h.file_bytes = size; }));
      ASSERT_FALSE(cut.is_ok()) << size;
    }
  }
}

TEST(ProgramFile, EveryFlippedByteIsNoticed) {
  std::string file = serialize_program(residual_network().finish());
  for (size_t i = 0; i < file.size(); i += i < 4096 ? 3 : 59) {
    file[i] = static_cast<char>(file[i] ^ (1 << i % 8));
    // The zeros between the parts belong to nobody.
    FileHeader header;
    std::memcpy(&header, file.data(), sizeof(header));
    const bool gap = i >= sizeof(header) + header.program_bytes && i < header.data_offset;
    ASSERT_TRUE((gap && i >= sizeof(header)) || !parse(file).is_ok()) << i;
    file[i] = static_cast<char>(file[i] ^ (1 << i % 8));
  }
  EXPECT_TRUE(parse(file).is_ok());
}

// Past the checksums: whatever is accepted must run without a wrong access (AddressSanitizer watches in its build).
TEST(ProgramFile, DamageBehindTheChecksumsIsRefusedOrHarmless) {
  const int64_t limit = tensor_byte_limit();
  set_tensor_byte_limit(int64_t{1} << 24);
  std::mt19937 random(5);
  int accepted = 0;
  for (const std::string& good :
       {serialize_program(residual_network().finish()), serialize_program(island_network().finish())}) {
    FileHeader header;
    std::memcpy(&header, good.data(), sizeof(header));
    for (int round = 0; round < 1500; ++round) {
      std::string file = good;
      const size_t at = sizeof(header) + random() % header.program_bytes;
      file[at] = static_cast<char>(round % 2 == 0 ? file[at] ^ (1 << random() % 8) : random());
      set_checksums(file);
      Result<std::shared_ptr<const Engine>> engine = Engine::from_bytes(file);
      if (!engine.is_ok()) {
        EXPECT_NE(engine.status().code(), StatusCode::kInternal) << engine.status().message();
        EXPECT_FALSE(engine.status().message().empty());
        continue;
      }
      ++accepted;
      Result<std::unique_ptr<Session>> session = Session::create(*engine);
      if (!session.is_ok()) continue;
      const Result<std::vector<Tensor>> outputs = (*session)->run(test::random_inputs((*engine)->program(), 1, 1));
      EXPECT_NE(outputs.status().code(), StatusCode::kInternal) << outputs.status().message();
    }
  }
  EXPECT_GT(accepted, 100);  // names, notes, scales: else the test would test nothing
  set_tensor_byte_limit(limit);
}

TEST(Checksum, SeesEveryBitAndTheLength) {
  std::vector<uint8_t> data(203);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i * 7);
  for (size_t size : {0, 1, 7, 8, 31, 32, 33, 100, 203}) {
    const uint64_t sum = checksum(data.data(), size);
    for (size_t bit = 0; bit < size * 8; ++bit) {
      data[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
      ASSERT_NE(checksum(data.data(), size), sum) << bit;
      data[bit / 8] ^= static_cast<uint8_t>(1 << bit % 8);
    }
    EXPECT_TRUE(size == 0 || checksum(data.data(), size - 1) != sum);
  }
}

TEST(GraphCodec, KeepsEveryKindOfAttributeAndShape) {
  Graph g;
  g.name = "all";
  g.opset = 17;
  g.other_opsets["com.example"] = 2;
  const ValueId a = g.add_value("a", DType::kFloat32, Shape{Dim::named("N"), Dim::of(3), Dim::unknown(), {64, "M"}});
  const ValueId b = g.add_value("no shape");
  const ValueId c = g.add_constant("four bits", Tensor::from<int8_t>({2}, {-8, 7}));
  g.inputs = {a, b};
  Attributes attributes{{"f", 1.5f},
                        {"i", int64_t{-3}},
                        {"s", std::string("text\0more", 9)},
                        {"t", Tensor::from<int64_t>({2, 1}, {5, 6})},
                        {"is", std::vector<int64_t>{1, 2}},
                        {"fs", std::vector<float>{}},
                        {"ss", std::vector<std::string>{"", "x"}}};
  g.add_node("Some", {a, kNoValue, c}, {"out"}, attributes, "node");
  g.outputs = {g.nodes[0].outputs[0]};
  Writer writer;
  writer(g);
  const std::string bytes = writer.take();
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  Graph again;
  Reader reader(data, bytes.size());
  reader(again);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(reader.left(), 0u);
  EXPECT_EQ(again.opset, 17);
  EXPECT_EQ(again.other_opsets, g.other_opsets);
  EXPECT_EQ(again.value(a).shape, g.value(a).shape);
  EXPECT_FALSE(again.value(b).shape.has_value());
  EXPECT_TRUE(same_bits(*again.value(c).constant, *g.value(c).constant));
  const Node& node = again.nodes.at(0);
  EXPECT_EQ(node.inputs, g.nodes[0].inputs);
  EXPECT_EQ(node.attr_string("s", ""), std::string("text\0more", 9));
  EXPECT_TRUE(same_bits(*node.attr_tensor("t"), *g.nodes[0].attr_tensor("t")));
  EXPECT_EQ(node.attr_ints("is"), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(node.attributes.size(), attributes.size());
  for (size_t size = 0; size < bytes.size(); ++size) {
    Graph part;
    Reader cut(data, size);
    cut(part);
    ASSERT_FALSE(cut.ok() && cut.left() == 0 && part.outputs == g.outputs) << size;
  }
}

}  // namespace
}  // namespace octet::engine
