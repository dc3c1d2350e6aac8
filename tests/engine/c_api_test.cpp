#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "engine/test_programs.h"
#include "octet/octet.h"

namespace octet::engine {
namespace {

TEST(CApi, AProgramInCUsesTheSharedLibrary) {
  std::string dir = ::testing::TempDir() + "octet_c_api_XXXXXX";
  ASSERT_NE(::mkdtemp(dir.data()), nullptr);
  const std::string file = dir + "/net.octet";
  ASSERT_TRUE(save_program(test::residual_network().finish(), file).is_ok());
  EXPECT_EQ(std::system((std::string(OCTET_C_API_PROGRAM) + " '" + file + "'").c_str()), 0);
  std::filesystem::remove_all(dir);
}

// A run that is refused leaves the pointers of the one that goes on alone: whoever gets 0 has its own results.
TEST(CApi, CallersOfOneSessionDoNotMixTheirPointers) {
  const std::string bytes = serialize_program(test::residual_network().finish());
  octet_engine* engine = octet_load_bytes(bytes.data(), bytes.size());
  ASSERT_NE(engine, nullptr) << octet_error();
  octet_session* session = octet_open(engine, 1);
  ASSERT_NE(session, nullptr);
  const auto size_of = [&](int o) {
    int64_t dims[8];
    const int rank = octet_output_dims(engine, o, dims, 8);
    size_t n = std::strcmp(octet_output_type(engine, o), "int8") == 0 ? 1 : 4;
    for (int d = 1; d < rank; ++d) n *= static_cast<size_t>(dims[d]);
    return n;
  };
  struct Buffers {
    std::vector<std::vector<char>> data;
    std::vector<void*> pointers;
  };
  const auto make_buffers = [&](Buffers& b) {
    for (int o = 0; o < octet_output_count(engine); ++o) b.data.emplace_back(size_of(o), 0x55);
    for (std::vector<char>& d : b.data) b.pointers.push_back(d.data());
  };
  int64_t dims[8];
  const int rank = octet_input_dims(engine, 0, dims, 8);
  size_t count = 1;
  for (int d = 1; d < rank; ++d) count *= static_cast<size_t>(dims[d]);
  std::vector<float> input(count);
  for (size_t i = 0; i < count; ++i) input[i] = static_cast<float>(i % 101) / 25.0f - 2.0f;
  const void* in[] = {input.data()};
  Buffers expected;
  make_buffers(expected);
  ASSERT_EQ(octet_run(session, 1, in, expected.pointers.data()), 0) << octet_error();

  std::atomic<int> wrong{0}, done{0}, codes{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&] {
      Buffers own;
      make_buffers(own);
      for (int i = 0; i < 3000; ++i) {
        for (std::vector<char>& d : own.data) std::fill(d.begin(), d.end(), 0x55);
        const int code = octet_run(session, 1, in, own.pointers.data());
        if (code == 0) wrong += own.data != expected.data, ++done;
        else codes += code != 2;
      }
    });
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(codes, 0);
  EXPECT_GT(done, 0);
  octet_close(session);
  octet_unload(engine);
}

}  // namespace
}  // namespace octet::engine
