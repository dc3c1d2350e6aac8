#include <filesystem>
#include <mutex>

#include "data/byte_stream.h"
#include "data/datasets.h"

namespace octet {
namespace {

namespace fs = std::filesystem;

constexpr int kSide = 32;
constexpr int64_t kPlane = kSide * kSide;
constexpr int64_t kRecord = 1 + 3 * kPlane;  // a label byte, then the red, green and blue planes
constexpr int64_t kMostRecords = 1000000;    // 3 GB; the original has 10,000 a file

// One file of records. Its size is known at once; it is read and unpacked when the first record is asked for.
class RecordFile {
 public:
  static Result<std::unique_ptr<RecordFile>> open(const std::string& path) {
    auto file = std::make_unique<RecordFile>(path);
    OCTET_ASSIGN(file->bytes_, unpacked_size(path));
    if (file->bytes_ < 0) {  // only unpacking tells
      OCTET_RETURN_IF_ERROR(file->need());
      file->bytes_ = static_cast<int64_t>(file->records_.size());
    } else {
      OCTET_RETURN_IF_ERROR(file->check_size(file->bytes_));
    }
    return file;
  }
  explicit RecordFile(std::string path) : path_(std::move(path)) {}

  int64_t size() const { return bytes_ / kRecord; }

  // The label, then the planes. Any thread: the first one unpacks, the others wait.
  Result<const uint8_t*> record(int64_t i) const {
    OCTET_RETURN_IF_ERROR(need());
    return records_.data() + i * kRecord;
  }

 private:
  Status need() const {
    std::call_once(once_, [this] {
      status_ = unpack();
      if (!status_.is_ok()) std::vector<uint8_t>().swap(records_);
    });
    return status_;
  }

  Status unpack() const {
    OCTET_ASSIGN(const auto stream, open_byte_stream(path_));
    const int64_t most = bytes_ < 0 ? kMostRecords * kRecord : bytes_;
    OCTET_ASSIGN(const int64_t n, read_up_to(*stream, most + 1, &records_));
    if (bytes_ < 0) OCTET_RETURN_IF_ERROR(check_size(n));
    if (bytes_ >= 0 && n != bytes_)
      return data_corrupt("'" + path_ + "' was to have " + std::to_string(bytes_) + " bytes and has " +
                          (n > bytes_ ? "more" : std::to_string(n)) + "; it is damaged, or was changed meanwhile");
    for (int64_t at = 0; at < n; at += kRecord) {
      const int label = records_[static_cast<size_t>(at)];
      if (label > 9)
        return data_corrupt("'" + path_ + "': record " + std::to_string(at / kRecord) + " has label " +
                            std::to_string(label) + ", CIFAR-10 has 0 to 9; is this CIFAR-100?");
    }
    return Status::ok();
  }

  Status check_size(int64_t n) const {
    if (n > kMostRecords * kRecord)
      return resource_limit("'" + path_ + "' holds more than " + std::to_string(kMostRecords) + " records");
    if (n == 0 || n % kRecord != 0)
      return data_corrupt("'" + path_ + "' has " + std::to_string(n) + " bytes, not a multiple of the " +
                          std::to_string(kRecord) + " bytes of a CIFAR-10 record; it is truncated or another format");
    return Status::ok();
  }

  std::string path_;
  int64_t bytes_ = -1;  // -1: not known yet; settled when open() returns
  mutable std::once_flag once_;
  mutable std::vector<uint8_t> records_;
  mutable Status status_;
};

class Cifar10Source : public ImageSource {
 public:
  Cifar10Source(std::string path, std::vector<std::unique_ptr<RecordFile>> files, std::vector<std::string> names)
      : path_(std::move(path)), files_(std::move(files)), names_(std::move(names)) {
    for (const auto& file : files_) size_ += file->size();
  }

  int64_t size() const override { return size_; }
  bool has_labels() const override { return true; }
  int64_t num_classes() const override { return 10; }
  std::vector<std::string> class_names() const override { return names_; }

  // -1 where the file is damaged; image() says so.
  int64_t label(int64_t i) const override {
    const Result<const uint8_t*> found = record(i);
    return found.is_ok() ? **found : -1;
  }

  Result<Image> image(int64_t i) const override {
    OCTET_ASSIGN(const uint8_t* record, this->record(i));
    Image image = Image::filled(kSide, kSide, 3);
    const uint8_t* planes = record + 1;
    for (int64_t p = 0; p < kPlane; ++p)
      for (int64_t c = 0; c < 3; ++c) image.pixels[static_cast<size_t>(3 * p + c)] = planes[c * kPlane + p];
    return image;
  }

  std::string describe() const override {
    return "cifar10 '" + path_ + "': " + std::to_string(size()) + " images of 32 x 32";
  }

 private:
  // i is below size().
  Result<const uint8_t*> record(int64_t i) const {
    size_t f = 0;
    for (; i >= files_[f]->size(); ++f) i -= files_[f]->size();
    return files_[f]->record(i);
  }

  std::string path_;
  std::vector<std::unique_ptr<RecordFile>> files_;
  std::vector<std::string> names_;
  int64_t size_ = 0;
};

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
  Status missing;
  for (const std::string& name : names) {
    Result<std::string> path = find_batch(folder, name + ".bin");
    if (path.is_ok()) paths.push_back(*path);
    else if (missing.is_ok()) missing = path.status();
  }
  // A split of which a part is there is no split that is absent, which some callers do without.
  if (!missing.is_ok() && !paths.empty())
    return data_corrupt(missing.message() + "; " + std::to_string(paths.size()) + " of the " +
                        std::to_string(names.size()) + " files of split '" + split + "' are there");
  if (!missing.is_ok()) return missing;
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
  std::vector<std::unique_ptr<RecordFile>> files;
  for (const std::string& batch : batches) {
    OCTET_ASSIGN(std::unique_ptr<RecordFile> file, RecordFile::open(batch));
    files.push_back(std::move(file));
  }
  OCTET_ASSIGN(std::vector<std::string> names, read_class_names(class_names));
  return ImageSourcePtr(std::make_unique<Cifar10Source>(spec.path, std::move(files), std::move(names)));
}

}  // namespace octet
