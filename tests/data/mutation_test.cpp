// Damages sound files in every way a seeded generator finds: whatever the reader answers, it must answer.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "test_files.h"

namespace octet::test {
namespace {

// One to four edits: a bit flipped, a byte replaced, a piece cut out or doubled, the end cut off.
std::string mutate(std::string bytes, std::mt19937& random) {
  const auto below = [&](size_t n) { return n == 0 ? 0 : random() % n; };
  for (size_t edits = 1 + below(4); edits > 0 && !bytes.empty(); --edits) {
    const size_t at = below(bytes.size());
    switch (random() % 6) {
      case 0: bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8))); break;
      case 1: bytes[at] = static_cast<char>(random()); break;
      case 2: bytes[at] = '\xff'; break;
      case 3: bytes.erase(at, 1 + below(8)); break;
      case 4: bytes.insert(at, bytes.substr(at, 1 + below(8))); break;
      default: bytes.resize(at); break;
    }
  }
  return bytes;
}

void survive(const std::string& kind, const std::string& name, const std::string& good, int rounds,
             const std::string& query = "") {
  const TempFolder folder;
  std::mt19937 random(20240607);
  int refused = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string path = folder.write(name, mutate(good, random));
    const auto set = open_dataset(spec_of(kind + ":" + (kind == "folder" ? folder.path() : path) + query), {});
    if (!set.is_ok()) {
      EXPECT_GT(set.status().message().size(), 20u);
      ++refused;
      continue;
    }
    for (int64_t i = 0; i < std::min<int64_t>((*set)->size(), 4); ++i) (void)(*set)->get(i).is_ok();
  }
  EXPECT_GT(refused, rounds / 10);
}

const std::string kArray = npy_file("<f4", "(3, 2, 2)", std::string(48, 'q'));

TEST(Mutation, Npy) { survive("npy", "a.npy", kArray, 1500); }
TEST(Mutation, NpzStored) { survive("npz", "a.npz", zip_file({{"x.npy", kArray}, {"z.npy", kArray}}, false), 1500); }
TEST(Mutation, NpzDeflated) { survive("npz", "a.npz", zip_file({{"x.npy", kArray}}, true), 1500); }
TEST(Mutation, Idx) { survive("idx", "a.idx", idx_file({3, 4, 4}, std::string(48, 'q')), 1500); }
TEST(Mutation, IdxGzip) { survive("idx", "a.idx", gzip(idx_file({3, 4, 4}, std::string(48, 'q'))), 1500); }
TEST(Mutation, Cifar10Xz) { survive("cifar10", "a.bin", xz(std::string(3073, '\1')), 600); }
TEST(Mutation, Jpeg) { survive("folder", "a.jpg", jpeg_file(noise_image(40, 30, 3)), 600, "?resize=none"); }
TEST(Mutation, Png) { survive("folder", "a.png", png_file(noise_image(12, 9, 3)), 1500, "?resize=none"); }

TEST(Mutation, YamlSpec) {
  const TempFolder folder;
  std::mt19937 random(7);
  const std::string good =
      "kind: folder\npath: x\npreprocess: {resize: stretch, crop: [3, 4], scale: 1/255, mean: [1, 2, 3]}\n";
  for (int round = 0; round < 1500; ++round)
    (void)load_data_spec(folder.write("d.yaml", mutate(good, random))).is_ok();
}

}  // namespace
}  // namespace octet::test
