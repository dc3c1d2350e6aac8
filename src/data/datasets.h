// The readers behind open_dataset(), one per kind of data.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/image.h"
#include "octet/data.h"

namespace octet {

// Where 8-bit images and what is known about them come from. const and thread-safe, like Dataset.
class ImageSource {
 public:
  virtual ~ImageSource() = default;
  virtual int64_t size() const = 0;
  virtual Result<Image> image(int64_t index) const = 0;
  virtual std::string name(int64_t index) const { return "#" + std::to_string(index); }
  virtual int64_t label(int64_t) const { return -1; }
  // Boxes in pixels of an image of the given size.
  virtual Result<std::vector<Box>> boxes(int64_t, int, int) const { return std::vector<Box>{}; }
  // The class of every pixel, one channel, of the size of the image; empty without masks.
  virtual Result<Image> mask(int64_t) const { return Image{}; }
  virtual std::string describe() const = 0;
  virtual std::vector<std::string> notes() const { return {}; }
  virtual int64_t num_classes() const { return 0; }
  virtual std::vector<std::string> class_names() const { return {}; }
  virtual bool has_labels() const { return false; }
  virtual bool has_boxes() const { return false; }
  virtual bool has_masks() const { return false; }
};

using ImageSourcePtr = std::unique_ptr<ImageSource>;
using DatasetPtr = std::unique_ptr<Dataset>;

Result<ImageSourcePtr> open_idx(const DataSpec& spec);
Result<ImageSourcePtr> open_cifar10(const DataSpec& spec);
Result<ImageSourcePtr> open_folder(const DataSpec& spec);
Result<ImageSourcePtr> open_yolo(const DataSpec& spec);
Result<ImageSourcePtr> open_masks(const DataSpec& spec);

// Images with preprocessing in front of a network of one input.
Result<DatasetPtr> make_image_dataset(const DataSpec& spec, ImageSourcePtr source,
                                      const std::vector<InputInfo>& inputs);
// kind npy and npz.
Result<DatasetPtr> open_arrays(const DataSpec& spec, const std::vector<InputInfo>& inputs);

// One name a line, blank lines at the end dropped; empty when `path` is.
Result<std::vector<std::string>> read_class_names(const std::string& path);

// The entries of a folder, sorted by name: files (or links to them) and folders; names that start with '.' left out.
struct FolderListing {
  std::vector<std::string> files, folders;
};
Result<FolderListing> list_folder(const std::string& path);

}  // namespace octet
