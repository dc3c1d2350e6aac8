// Event files, decoded by a reader that shares no code with the writer, and JSON lines over a resumed run.
#include "metrics/scalar_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <sstream>

#include "metrics/event_file.h"

namespace octet {
namespace {

namespace fs = std::filesystem;

// CRC-32C bit by bit, from the polynomial 0x1EDC6F41 in its reflected form.
uint32_t slow_crc(const std::string& bytes) {
  uint32_t crc = 0xffffffffu;
  for (unsigned char c : bytes)
    for (int bit = 0; bit < 8; ++bit) {
      const bool low = ((crc ^ (c >> bit)) & 1u) != 0;
      crc >>= 1;
      if (low) crc ^= 0x82f63b78u;
    }
  return crc ^ 0xffffffffu;
}

uint32_t unmask(uint32_t m) {
  const uint32_t rotated = m - 0xa282ead8u;
  return (rotated >> 17) | (rotated << 15);
}

template <class T>
T at(const std::string& s, size_t i) {
  T v;
  std::memcpy(&v, s.data() + i, sizeof v);
  return v;
}

std::vector<std::string> records(const std::string& file) {
  std::vector<std::string> out;
  size_t i = 0;
  while (i + 16 <= file.size()) {
    const auto n = at<uint64_t>(file, i);
    EXPECT_EQ(unmask(at<uint32_t>(file, i + 8)), slow_crc(file.substr(i, 8)));
    out.push_back(file.substr(i + 12, n));
    EXPECT_EQ(unmask(at<uint32_t>(file, i + 12 + n)), slow_crc(out.back()));
    i += 16 + n;
  }
  EXPECT_EQ(i, file.size());
  return out;
}

// Field number -> value of one message; nested messages and texts as bytes, numbers as eight bytes.
std::map<int, std::string> fields(const std::string& message) {
  std::map<int, std::string> out;
  size_t i = 0;
  const auto varint = [&] {
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(message[i++]);
      v |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return v;
    }
  };
  while (i < message.size()) {
    const uint64_t key = varint();
    size_t length = 0;
    if ((key & 7) == 0) {
      const uint64_t v = varint();
      out[static_cast<int>(key >> 3)] = std::string(reinterpret_cast<const char*>(&v), 8);
      continue;
    }
    if ((key & 7) == 1) length = 8;
    if ((key & 7) == 2) length = varint();
    if ((key & 7) == 5) length = 4;
    out[static_cast<int>(key >> 3)] = message.substr(i, length);
    i += length;
  }
  return out;
}

std::string slurp(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

class ScalarLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("octet-log-" + std::to_string(::getpid()) + "-" +
                                           ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::vector<std::string> event_files() const {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator(folder_))
      if (entry.path().filename().string().find("tfevents") != std::string::npos) out.push_back(entry.path());
    std::sort(out.begin(), out.end());
    return out;
  }
  fs::path folder_;
};

TEST(Crc32c, KnownValues) {
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);            // the check value of the polynomial
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720, B.4
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c("The quick brown fox"), slow_crc("The quick brown fox"));
}

TEST_F(ScalarLogTest, EventsDecodeToWhatWasAdded) {
  auto log = ScalarLog::open(folder_, 0, true);
  ASSERT_TRUE(log.is_ok()) << log.status().message();
  ASSERT_TRUE((*log)->add(0, {{"train/loss", 2.5}}).is_ok());
  ASSERT_TRUE((*log)->add(300, {{"train/loss", 0.125}, {"val/top1", 91.5}}).is_ok());
  const auto files = event_files();
  ASSERT_EQ(files.size(), 1u);
  const auto events = records(slurp(files[0]));
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(fields(events[0])[3], "brain.Event:2");
  const auto check = [](const std::string& event, int64_t step, const std::string& tag, float value) {
    auto f = fields(event);
    EXPECT_GT(at<double>(f[1], 0), 1.6e9);
    EXPECT_EQ(f.count(2) == 0 ? 0 : at<int64_t>(f[2], 0), step);
    auto entry = fields(fields(f[5])[1]);
    EXPECT_EQ(entry[1], tag);
    EXPECT_EQ(at<float>(entry[2], 0), value);
  };
  check(events[1], 0, "train/loss", 2.5f);
  check(events[2], 300, "train/loss", 0.125f);
  check(events[3], 300, "val/top1", 91.5f);
}

TEST_F(ScalarLogTest, AResumedRunDropsWhatItMeasuresAgain) {
  {
    auto log = ScalarLog::open(folder_, 0, true);
    for (int64_t step : {10, 20, 30}) ASSERT_TRUE((*log)->add(step, {{"loss", step * 0.1}}).is_ok());
  }
  std::ofstream(folder_ / "metrics.jsonl", std::ios::app) << "{\"step\": 5, \"cut sho";
  {
    auto log = ScalarLog::open(folder_, 25, true);
    ASSERT_TRUE(log.is_ok());
    ASSERT_TRUE((*log)->add(30, {{"loss", std::numeric_limits<double>::quiet_NaN()}}).is_ok());
  }
  const std::string lines = slurp(folder_ / "metrics.jsonl");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3);
  EXPECT_NE(lines.find("\"step\":20"), std::string::npos) << lines;
  EXPECT_NE(lines.find("\"loss\":null"), std::string::npos) << lines;
  EXPECT_EQ(lines.find("cut sho"), std::string::npos);
  const auto files = event_files();
  ASSERT_EQ(files.size(), 2u);
  const auto events = records(slurp(files[1]));
  ASSERT_EQ(events.size(), 3u);
  auto start = fields(events[1]);
  EXPECT_EQ(at<int64_t>(start[2], 0), 25);
  EXPECT_EQ(at<int64_t>(fields(start[7])[1], 0), 1);
}

TEST_F(ScalarLogTest, AFolderThatIsNotThereIsAnError) {
  EXPECT_FALSE(ScalarLog::open((folder_ / "no").string(), 0, false).is_ok());
}

}  // namespace
}  // namespace octet
