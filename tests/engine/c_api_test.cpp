#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "engine/test_programs.h"

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

}  // namespace
}  // namespace octet::engine
