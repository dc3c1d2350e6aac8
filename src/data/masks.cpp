// Images with a class for every pixel: images/NAME.jpg and masks/NAME.png.
#include <filesystem>

#include "base/files.h"
#include "data/datasets.h"

namespace octet {
namespace {

namespace fs = std::filesystem;

class MaskSource : public ImageSource {
 public:
  std::string root, images, masks;  // masks: empty when there are none
  std::vector<std::string> files;
  std::vector<std::string> names;

  int64_t size() const override { return static_cast<int64_t>(files.size()); }
  std::string name(int64_t i) const override { return files[static_cast<size_t>(i)]; }
  bool has_masks() const override { return !masks.empty(); }
  int64_t num_classes() const override { return static_cast<int64_t>(names.size()); }
  std::vector<std::string> class_names() const override { return names; }
  Result<Image> image(int64_t i) const override { return read_image_file((fs::path(images) / name(i)).string()); }

  Result<Image> mask(int64_t i) const override {
    const std::string path = (fs::path(masks) / (fs::path(name(i)).stem().string() + ".png")).string();
    Result<std::string> bytes = read_file(path, kLargestImageFile);
    if (!bytes.is_ok() && bytes.status().code() == StatusCode::kNotFound)
      return not_found("image '" + name(i) + "' has no mask '" + path + "'");
    if (!bytes.is_ok()) return bytes.status();
    return decode_png_mask(*bytes).at("mask '" + path + "'");
  }

  std::string describe() const override {
    return "masks '" + root + "': " + std::to_string(size()) + " images" + (has_masks() ? "" : ", no masks");
  }
};

}  // namespace

Result<ImageSourcePtr> open_masks(const DataSpec& spec) {
  std::error_code error;
  auto source = std::make_unique<MaskSource>();
  const fs::path root(spec.path);
  if (!fs::is_directory(root / "images", error))
    return not_found("there is no folder '" + (root / "images").string() +
                     "'; data of kind masks has a folder 'images' and a folder 'masks'");
  source->root = spec.path;
  source->images = (root / "images" / spec.split).string();
  OCTET_ASSIGN(const FolderListing listing, list_folder(source->images));
  for (const std::string& file : listing.files)
    if (has_image_extension(file)) source->files.push_back(file);
  if (source->files.empty()) return invalid_argument("'" + source->images + "' holds no JPEG or PNG image");
  const fs::path masks = spec.labels.empty() ? root / "masks" / spec.split : fs::path(spec.labels);
  if (fs::is_directory(masks, error)) source->masks = masks.string();
  else if (!spec.labels.empty()) return not_found("there is no folder of masks '" + spec.labels + "'");
  OCTET_ASSIGN(source->names, read_class_names(spec.class_names));
  return ImageSourcePtr(std::move(source));
}

}  // namespace octet
