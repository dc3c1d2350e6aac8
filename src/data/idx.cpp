#include <algorithm>
#include <array>
#include <filesystem>

#include "data/byte_stream.h"
#include "data/datasets.h"

namespace octet {
namespace {

namespace fs = std::filesystem;

struct IdxArray {
  Dims dims;
  std::vector<uint8_t> bytes;
};

// The IDX format of MNIST (LeCun): two zero bytes, element type, rank, big-endian dimensions, elements.
Result<IdxArray> read_idx(const std::string& path, int rank) {
  OCTET_ASSIGN(const auto stream, open_byte_stream(path));
  const auto bad = [&](const std::string& why) {
    return data_corrupt("'" + path + "' is not a sound IDX file: " + why);
  };
  std::array<uint8_t, 4> magic{};
  OCTET_ASSIGN(const int64_t start, stream->read(magic.data(), 4));
  if (start < 4 || magic[0] != 0 || magic[1] != 0) return bad("it does not start with the IDX magic number");
  if (magic[2] != 0x08)
    return unsupported("'" + path + "': only IDX files of unsigned bytes (type 8) are read, this one has type " +
                       std::to_string(magic[2]));
  if (magic[3] != rank)
    return bad("it has " + std::to_string(magic[3]) + " axes where " + std::to_string(rank) + " are expected");
  std::vector<uint8_t> sizes;
  OCTET_ASSIGN(const int64_t got, read_up_to(*stream, 4 * rank, &sizes));
  if (got < 4 * rank) return bad("its header is truncated");
  IdxArray array;
  for (size_t i = 0; i < static_cast<size_t>(rank); ++i)
    array.dims.push_back(int64_t{sizes[4 * i]} << 24 | sizes[4 * i + 1] << 16 | sizes[4 * i + 2] << 8 |
                         sizes[4 * i + 3]);
  Result<int64_t> count = checked_numel(array.dims);
  if (!count.is_ok() || *count > tensor_byte_limit())
    return resource_limit("'" + path + "' has shape " + dims_to_string(array.dims) + ", beyond the memory limit of " +
                          std::to_string(tensor_byte_limit() >> 20) + " MiB");
  OCTET_ASSIGN(const int64_t read, read_up_to(*stream, *count, &array.bytes));
  if (read < *count)
    return bad("it is truncated: shape " + dims_to_string(array.dims) + " needs " + std::to_string(*count) +
               " bytes, there are " + std::to_string(read));
  uint8_t extra = 0;
  OCTET_ASSIGN(const int64_t trailing, stream->read(&extra, 1));
  if (trailing != 0) return bad("bytes follow after the last element");
  return array;
}

class IdxSource : public ImageSource {
 public:
  IdxSource(std::string path, IdxArray images, std::vector<uint8_t> labels)
      : path_(std::move(path)), images_(std::move(images)), labels_(std::move(labels)) {}

  int64_t size() const override { return images_.dims[0]; }
  int64_t label(int64_t i) const override { return labels_.empty() ? -1 : labels_[static_cast<size_t>(i)]; }
  bool has_labels() const override { return !labels_.empty(); }
  int64_t num_classes() const override {
    return labels_.empty() ? 0 : *std::max_element(labels_.begin(), labels_.end()) + int64_t{1};
  }
  Result<Image> image(int64_t i) const override {
    const int64_t n = images_.dims[1] * images_.dims[2];
    const auto first = images_.bytes.begin() + i * n;
    return Image{static_cast<int>(images_.dims[2]), static_cast<int>(images_.dims[1]), 1, {first, first + n}};
  }
  std::string describe() const override {
    return "idx '" + path_ + "': " + std::to_string(size()) + " images of " + std::to_string(images_.dims[2]) +
           " x " + std::to_string(images_.dims[1]) + (has_labels() ? "" : ", no labels");
  }

 private:
  std::string path_;
  IdxArray images_;
  std::vector<uint8_t> labels_;
};

// The plain file or the one with .gz; empty when neither exists.
std::string existing(const fs::path& path) {
  std::error_code error;
  if (fs::is_regular_file(path, error)) return path.string();
  if (fs::is_regular_file(path.string() + ".gz", error)) return path.string() + ".gz";
  return "";
}

std::string labels_beside(const std::string& images) {
  const fs::path path(images);
  std::string name = path.filename().string();
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  const size_t at = name.find("images");
  if (at == std::string::npos) return "";
  name.replace(at, 6, "labels");
  const size_t rank = name.find("idx3");
  if (rank != std::string::npos) name[rank + 3] = '1';
  return existing(path.parent_path() / name);
}

Result<std::string> find_images(const DataSpec& spec) {
  std::error_code error;
  if (!fs::exists(spec.path, error)) return not_found("there is no file or folder '" + spec.path + "'");
  if (!fs::is_directory(spec.path, error)) return spec.path;
  const std::string split = spec.split.empty() ? "test" : spec.split;
  if (split != "train" && split != "test") return invalid_argument("split '" + split + "' must be train or test");
  const std::string stem = split == "train" ? "train" : "t10k";
  for (const char* ending : {"-images-idx3-ubyte", "-images.idx3-ubyte"}) {
    const std::string found = existing(fs::path(spec.path) / (stem + ending));
    if (!found.empty()) return found;
  }
  return not_found("the folder '" + spec.path + "' has no " + stem + "-images-idx3-ubyte or " + stem +
                   "-images-idx3-ubyte.gz");
}

}  // namespace

Result<ImageSourcePtr> open_idx(const DataSpec& spec) {
  OCTET_ASSIGN(const std::string path, find_images(spec));
  OCTET_ASSIGN(IdxArray images, read_idx(path, 3));
  OCTET_RETURN_IF_ERROR(check_image_size(images.dims[2], images.dims[1]).at("'" + path + "'"));
  const std::string labels_path = spec.labels.empty() ? labels_beside(path) : spec.labels;
  std::vector<uint8_t> labels;
  if (!labels_path.empty()) {
    OCTET_ASSIGN(IdxArray array, read_idx(labels_path, 1));
    if (array.dims[0] != images.dims[0])
      return invalid_argument("'" + path + "' has " + std::to_string(images.dims[0]) + " images but '" + labels_path +
                              "' has " + std::to_string(array.dims[0]) + " labels");
    labels = std::move(array.bytes);
  }
  return ImageSourcePtr(std::make_unique<IdxSource>(path, std::move(images), std::move(labels)));
}

}  // namespace octet
