#include <filesystem>

#include "data/byte_stream.h"
#include "data/datasets.h"

namespace octet {
namespace {

namespace fs = std::filesystem;

constexpr int kSide = 32;
constexpr int64_t kPlane = kSide * kSide;
constexpr int64_t kRecord = 1 + 3 * kPlane;  // a label byte, then the red, green and blue planes
constexpr int64_t kMostRecords = 1000000;    // 3 GB; the original has 10,000 a file

class Cifar10Source : public ImageSource {
 public:
  Cifar10Source(std::string path, std::vector<uint8_t> records, std::vector<std::string> names)
      : path_(std::move(path)), records_(std::move(records)), names_(std::move(names)) {}

  int64_t size() const override { return static_cast<int64_t>(records_.size()) / kRecord; }
  int64_t label(int64_t i) const override { return records_[static_cast<size_t>(i * kRecord)]; }
  bool has_labels() const override { return true; }
  int64_t num_classes() const override { return 10; }
  std::vector<std::string> class_names() const override { return names_; }

  Result<Image> image(int64_t i) const override {
    Image image = Image::filled(kSide, kSide, 3);
    const uint8_t* planes = records_.data() + i * kRecord + 1;
    for (int64_t p = 0; p < kPlane; ++p)
      for (int64_t c = 0; c < 3; ++c) image.pixels[static_cast<size_t>(3 * p + c)] = planes[c * kPlane + p];
    return image;
  }

  std::string describe() const override {
    return "cifar10 '" + path_ + "': " + std::to_string(size()) + " images of 32 x 32";
  }

 private:
  std::string path_;
  std::vector<uint8_t> records_;
  std::vector<std::string> names_;
};

Status append_records(const std::string& path, std::vector<uint8_t>* records) {
  OCTET_ASSIGN(const auto stream, open_byte_stream(path));
  OCTET_ASSIGN(const int64_t n, read_up_to(*stream, kMostRecords * kRecord + 1, records));
  if (n > kMostRecords * kRecord)
    return resource_limit("'" + path + "' holds more than " + std::to_string(kMostRecords) + " records");
  if (n == 0 || n % kRecord != 0)
    return data_corrupt("'" + path + "' has " + std::to_string(n) + " bytes, not a multiple of the " +
                        std::to_string(kRecord) + " bytes of a CIFAR-10 record; it is truncated or another format");
  for (size_t at = records->size() - static_cast<size_t>(n); at < records->size(); at += kRecord)
    if ((*records)[at] > 9)
      return data_corrupt("'" + path + "': record " + std::to_string(at / kRecord) + " has label " +
                          std::to_string((*records)[at]) + ", CIFAR-10 has 0 to 9; is this CIFAR-100?");
  return Status::ok();
}

Result<std::string> find_batch(const fs::path& folder, const std::string& name) {
  std::error_code error;
  for (const char* ending : {"", ".xz", ".gz"})
    if (fs::is_regular_file(folder / (name + ending), error)) return (folder / (name + ending)).string();
  return not_found("the folder '" + folder.string() + "' has no " + name +
                   " (plain, .xz or .gz); give the path of one "
                   "file to use only that");
}

Result<std::vector<std::string>> find_batches(const fs::path& folder, const std::string& split) {
  std::vector<std::string> names, paths;
  if (split == "train") names = {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"};
  else if (split == "test") names = {"test_batch"};
  else return invalid_argument("split '" + split + "' must be train or test");
  for (const std::string& name : names) {
    OCTET_ASSIGN(std::string path, find_batch(folder, name + ".bin"));
    paths.push_back(std::move(path));
  }
  return paths;
}

}  // namespace

Result<ImageSourcePtr> open_cifar10(const DataSpec& spec) {
  std::error_code error;
  fs::path path(spec.path);
  if (!fs::exists(path, error)) return not_found("there is no file or folder '" + spec.path + "'");
  std::vector<std::string> batches = {spec.path};
  std::string class_names = spec.class_names;
  if (fs::is_directory(path, error)) {
    if (fs::is_directory(path / "cifar-10-batches-bin", error))
      path /= "cifar-10-batches-bin";  // as the archive unpacks
    OCTET_ASSIGN(batches, find_batches(path, spec.split.empty() ? "test" : spec.split));
    const fs::path names = path / "batches.meta.txt";
    if (class_names.empty() && fs::is_regular_file(names, error)) class_names = names.string();
  }
  std::vector<uint8_t> records;
  for (const std::string& batch : batches) OCTET_RETURN_IF_ERROR(append_records(batch, &records));
  OCTET_ASSIGN(std::vector<std::string> names, read_class_names(class_names));
  return ImageSourcePtr(std::make_unique<Cifar10Source>(spec.path, std::move(records), std::move(names)));
}

}  // namespace octet
