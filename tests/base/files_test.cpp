#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "octet/status.h"

namespace octet {
namespace {

namespace fs = std::filesystem;

// A folder of its own for each test, removed afterwards.
class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "octet-files-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  fs::path folder_;
};

TEST_F(Files, RoundTripWithZeroBytes) {
  const std::string bytes("a\0b\nc", 5);
  ASSERT_TRUE(write_file_atomically(path("f"), bytes).is_ok());
  EXPECT_EQ(*read_file(path("f")), bytes);
  ASSERT_TRUE(write_file_atomically(path("f"), "").is_ok());
  EXPECT_EQ(*read_file(path("f")), "");
  EXPECT_EQ(entries(), 1U);  // no temporary files left
}

TEST_F(Files, OthersMayReadWhatWasWritten) {
  ASSERT_TRUE(write_file_atomically(path("f"), "x").is_ok());
  struct stat info {};
  ASSERT_EQ(::stat(path("f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0644U);
}

TEST_F(Files, AFailedWriteLeavesTheOldFile) {
  fs::create_directory(folder_ / "taken");  // rename cannot replace a folder
  std::ofstream(path("taken/inside")) << "old";
  const Status failed = write_file_atomically(path("taken"), "new");
  EXPECT_EQ(failed.code(), StatusCode::kIoError);
  EXPECT_NE(failed.message().find("cannot write '" + path("taken") + "'"), std::string::npos) << failed.message();
  EXPECT_EQ(*read_file(path("taken/inside")), "old");
  EXPECT_EQ(entries(), 1U);
  EXPECT_EQ(write_file_atomically(path("no/such/folder/f"), "x").code(), StatusCode::kIoError);
}

TEST_F(Files, ReadErrorsNameThePath) {
  EXPECT_EQ(read_file(path("absent")).status().code(), StatusCode::kNotFound);
  EXPECT_NE(read_file(path("absent")).status().message().find(path("absent")), std::string::npos);
  EXPECT_EQ(read_file(folder_.string()).status().code(), StatusCode::kInvalidArgument);
  std::ofstream(path("f")) << "12345";
  EXPECT_EQ(read_file(path("f"), 4).status().code(), StatusCode::kResourceLimit);
  EXPECT_TRUE(read_file(path("f"), 5).is_ok());
}

TEST_F(Files, MakeDirectories) {
  EXPECT_TRUE(make_directories(path("a/b/c")).is_ok());
  EXPECT_TRUE(make_directories(path("a/b/c")).is_ok());  // again
  std::ofstream(path("file")) << "x";
  EXPECT_EQ(make_directories(path("file")).code(), StatusCode::kIoError);
  EXPECT_EQ(make_directories(path("file/below")).code(), StatusCode::kIoError);
}

Result<int> half(int v) {
  if (v % 2 != 0) return invalid_argument("odd");
  return v / 2;
}

Result<int> quarter(int v) {
  OCTET_ASSIGN(const int h, half(v));
  OCTET_ASSIGN(const int q, half(h));
  return q;
}

TEST(StatusTest, PlacesNestOutermostFirst) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).status().message(), "odd");
  EXPECT_EQ(quarter(6).status().at("node 'n'").at("file.onnx").message(), "file.onnx: node 'n': odd");
  EXPECT_EQ(quarter(6).status().at("x").code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(Status::ok().at("x").message().empty());
  EXPECT_EQ(half(3).at("there").status().message(), "there: odd");
}

}  // namespace
}  // namespace octet
