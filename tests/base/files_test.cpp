#include "base/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

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

unsigned permissions(const std::string& file) {
  struct stat info {};
  EXPECT_EQ(::stat(file.c_str(), &info), 0);
  return info.st_mode & 0777;
}

TEST_F(Files, NewFilesFollowTheUmaskAndReplacedOnesKeepTheirPermissions) {
  const mode_t before = ::umask(022);
  ASSERT_TRUE(write_file_atomically(path("open"), "x").is_ok());
  ::umask(077);
  ASSERT_TRUE(write_file_atomically(path("closed"), "x").is_ok());
  ASSERT_TRUE(write_file_atomically(path("open"), "y").is_ok());
  ::umask(before);
  EXPECT_EQ(permissions(path("closed")), 0600U);
  EXPECT_EQ(permissions(path("open")), 0644U);
}

TEST_F(Files, ALinkStaysALink) {
  fs::create_directory(folder_ / "inner");
  fs::create_symlink("inner/target", folder_ / "link");
  for (const char* text : {"new", "again"}) {  // the first time the link leads nowhere
    ASSERT_TRUE(write_file_atomically(path("link"), text).is_ok());
    EXPECT_TRUE(fs::is_symlink(path("link")));
    EXPECT_EQ(*read_file(path("inner/target")), text);
  }
  EXPECT_EQ(entries(), 2U);
}

TEST_F(Files, APipeIsWrittenToAndReadFrom) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);
  const std::string text(300'000, 'p');  // more than a pipe holds
  std::string got;
  std::thread reader([&] { got = read_file(path("pipe")).value(); });
  const Status written = write_file_atomically(path("pipe"), text);
  reader.join();
  EXPECT_TRUE(written.is_ok()) << written.message();
  EXPECT_EQ(got, text);
  EXPECT_TRUE(fs::is_fifo(path("pipe")));
  EXPECT_EQ(entries(), 1U);

  StatusCode limited = StatusCode::kOk;
  std::thread small([&] { limited = read_file(path("pipe"), 10).status().code(); });
  { std::ofstream(path("pipe")) << "eleven more"; }
  small.join();
  EXPECT_EQ(limited, StatusCode::kResourceLimit);
}

TEST_F(Files, FilesThatBelongTogetherAppearTogether) {
  {
    PendingFiles files;
    ASSERT_TRUE(files.add(path("a"), "1").is_ok());
    EXPECT_FALSE(files.add(path("no/such/folder/b"), "2").is_ok());
    EXPECT_FALSE(fs::exists(path("a"))) << "before commit()";
  }
  EXPECT_EQ(entries(), 0U) << "given up without a trace";
  PendingFiles files;
  ASSERT_TRUE(files.add(path("a"), "1").is_ok());
  ASSERT_TRUE(files.add(path("b"), "2").is_ok());
  ASSERT_TRUE(files.commit().is_ok());
  EXPECT_EQ(*read_file(path("a")) + *read_file(path("b")), "12");
  EXPECT_EQ(entries(), 2U);
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
