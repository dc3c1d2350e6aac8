#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "base/files.h"
#include "base/text.h"
#include "data/datasets.h"

namespace octet {
namespace {

namespace fs = std::filesystem;

// One annotated box, relative to the image.
struct RelativeBox {
  int64_t label = 0;
  double cx = 0, cy = 0, w = 0, h = 0;
};

class YoloSource : public ImageSource {
 public:
  std::string root;
  std::string images;
  std::vector<std::string> files;
  std::vector<std::vector<RelativeBox>> annotations;  // empty without a labels folder
  std::vector<std::string> names;
  int64_t classes = 0;
  int64_t box_count = 0;

  int64_t size() const override { return static_cast<int64_t>(files.size()); }
  std::string name(int64_t i) const override { return files[static_cast<size_t>(i)]; }
  bool has_boxes() const override { return !annotations.empty(); }
  int64_t num_classes() const override { return classes; }
  std::vector<std::string> class_names() const override { return names; }
  Result<Image> image(int64_t i) const override { return read_image_file((fs::path(images) / name(i)).string()); }

  Result<std::vector<Box>> boxes(int64_t i, int width, int height) const override {
    std::vector<Box> out;
    if (annotations.empty()) return out;
    for (const RelativeBox& r : annotations[static_cast<size_t>(i)]) {
      const auto pixel = [](double v, int side) { return static_cast<float>(std::clamp(v, 0.0, 1.0) * side); };
      out.push_back({pixel(r.cx - r.w / 2, width), pixel(r.cy - r.h / 2, height), pixel(r.cx + r.w / 2, width),
                     pixel(r.cy + r.h / 2, height), r.label, 1});
    }
    return out;
  }

  std::string describe() const override {
    const std::string s = "yolo '" + root + "': " + std::to_string(size()) + " images";
    return has_boxes() ? s + " with " + std::to_string(box_count) + " boxes" : s + ", no labels";
  }
};

template <class T>
bool parse(const std::string& text, T* out) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), *out);
  return code == std::errc() && end == text.data() + text.size();
}

Result<RelativeBox> parse_box(std::string_view line) {
  std::vector<std::string> words;
  std::string tabless(line);
  std::replace(tabless.begin(), tabless.end(), '\t', ' ');
  for (const std::string& word : split(tabless, ' '))
    if (!word.empty()) words.push_back(word);
  constexpr int64_t kMostClasses = 100000;
  RelativeBox b;
  if (words.size() != 5 || !parse(words[0], &b.label) || b.label < 0 || b.label >= kMostClasses)
    return invalid_argument("expected 'class cx cy w h', got '" + std::string(line.substr(0, 80)) + "'");
  double* fields[] = {&b.cx, &b.cy, &b.w, &b.h};
  for (size_t i = 0; i < 4; ++i) {
    // Annotation tools round, so a little outside of the image is tolerated and cut.
    if (!parse(words[i + 1], fields[i]) || !(*fields[i] >= -0.01 && *fields[i] <= 1.01))
      return invalid_argument("'" + words[i + 1] + "' is not a coordinate relative to the image (0 to 1)");
  }
  if (b.w < 0 || b.h < 0) return invalid_argument("a box has a negative size");
  return b;
}

Result<std::vector<RelativeBox>> read_boxes(const std::string& path) {
  std::vector<RelativeBox> boxes;
  OCTET_ASSIGN(const std::string text, read_file(path, int64_t{16} << 20));
  int64_t number = 0;
  for (const std::string& raw : split(text, '\n')) {
    ++number;
    const std::string_view line = trim(raw);
    if (line.empty()) continue;
    Result<RelativeBox> box = parse_box(line);
    if (!box.is_ok()) return box.status().at(path + ":" + std::to_string(number));
    boxes.push_back(*box);
  }
  return boxes;
}

// An image without a label file has no objects; that is how this format marks background.
Status read_annotations(const fs::path& labels, YoloSource* source) {
  std::error_code error;
  bool any = false;
  for (const std::string& file : source->files) {
    const fs::path path = labels / (fs::path(file).stem().string() + ".txt");
    std::vector<RelativeBox> boxes;
    if (fs::is_regular_file(path, error)) {
      any = true;
      OCTET_ASSIGN(boxes, read_boxes(path.string()));
    }
    for (const RelativeBox& box : boxes) source->classes = std::max(source->classes, box.label + 1);
    source->box_count += static_cast<int64_t>(boxes.size());
    source->annotations.push_back(std::move(boxes));
  }
  if (any) return Status::ok();
  return invalid_argument("no file of '" + labels.string() + "' belongs to an image of '" + source->images +
                          "'; a label file has its image's name with the ending .txt");
}

}  // namespace

Result<ImageSourcePtr> open_yolo(const DataSpec& spec) {
  std::error_code error;
  auto source = std::make_unique<YoloSource>();
  const fs::path root(spec.path);
  if (!fs::is_directory(root, error)) return not_found("there is no folder '" + spec.path + "'");
  const bool nested = fs::is_directory(root / "images", error);
  if (!nested && !spec.split.empty())
    return invalid_argument("'" + spec.path + "' has no folder 'images', so the split '" + spec.split +
                            "' cannot be found");
  source->root = spec.path;
  source->images = (nested ? root / "images" / spec.split : root).string();
  OCTET_ASSIGN(const FolderListing listing, list_folder(source->images));
  for (const std::string& file : listing.files)
    if (has_image_extension(file)) source->files.push_back(file);
  if (source->files.empty()) return invalid_argument("'" + source->images + "' holds no JPEG or PNG image");
  const fs::path labels = spec.labels.empty() ? root / "labels" / (nested ? spec.split : "") : fs::path(spec.labels);
  if (fs::is_directory(labels, error)) OCTET_RETURN_IF_ERROR(read_annotations(labels, source.get()));
  else if (!spec.labels.empty()) return not_found("there is no folder of labels '" + spec.labels + "'");
  OCTET_ASSIGN(source->names, read_class_names(spec.class_names));
  if (!source->names.empty()) {
    const auto given = static_cast<int64_t>(source->names.size());
    if (given < source->classes)
      return invalid_argument("'" + spec.class_names + "' has " + std::to_string(given) +
                              " names but a box has class " + std::to_string(source->classes - 1));
    source->classes = given;
  } else {
    source->classes = 0;  // the largest class seen says nothing about how many there are
  }
  return ImageSourcePtr(std::move(source));
}

}  // namespace octet
