#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "base/files.h"
#include "base/text.h"
#include "data/datasets.h"

namespace octet {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kLargestLabelFile = int64_t{256} << 20;

struct Entry {
  std::string name;  // relative to the root
  int64_t label = -1;
};

class FolderSource : public ImageSource {
 public:
  std::string root;
  std::vector<Entry> entries;
  std::vector<std::string> names;
  int64_t classes = 0;
  bool labelled = false;
  int64_t skipped = 0;
  int64_t unlisted = 0;  // images beside a labels file that has no line for them

  int64_t size() const override { return static_cast<int64_t>(entries.size()); }
  std::string name(int64_t i) const override { return entries[static_cast<size_t>(i)].name; }
  int64_t label(int64_t i) const override { return entries[static_cast<size_t>(i)].label; }
  bool has_labels() const override { return labelled; }
  int64_t num_classes() const override { return classes; }
  std::vector<std::string> class_names() const override { return names; }
  Result<Image> image(int64_t i) const override { return read_image_file((fs::path(root) / name(i)).string()); }
  std::vector<std::string> notes() const override {
    if (unlisted == 0) return {};
    return {std::to_string(unlisted) + " images of '" + root + "' have no line in the labels file and are left out"};
  }
  std::string describe() const override {
    std::string s = "folder '" + root + "': " + std::to_string(size()) + " images";
    if (labelled) s += " of " + std::to_string(classes) + " classes";
    else s += ", no labels";
    return skipped > 0 ? s + " (" + std::to_string(skipped) + " other files skipped)" : s;
  }
};

// 'name label' or 'name,label'. The label is after the last comma, tab or blank, so names may hold blanks.
struct LabelLine {
  int64_t line = 0;
  std::string name, label;
};

Result<std::vector<LabelLine>> read_label_lines(const std::string& path) {
  OCTET_ASSIGN(const std::string text, read_file(path, kLargestLabelFile));
  std::vector<LabelLine> lines;
  int64_t number = 0;
  for (const std::string& raw : split(text, '\n')) {
    ++number;
    const std::string_view line = trim(raw);
    if (line.empty() || line.front() == '#') continue;
    size_t at = line.rfind(',');
    if (at == std::string_view::npos) at = line.find_last_of(" \t");
    if (at == std::string_view::npos)
      return invalid_argument(path + ":" + std::to_string(number) + ": expected 'name label' or 'name,label', got '" +
                              std::string(line) + "'");
    lines.push_back({number, std::string(trim(line.substr(0, at))), std::string(trim(line.substr(at + 1)))});
  }
  return lines;
}

std::optional<int64_t> as_class_id(const std::string& text) {
  constexpr int64_t kMostClasses = 1000000;
  int64_t v = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (code != std::errc() || end != text.data() + text.size() || v < 0 || v >= kMostClasses) return std::nullopt;
  return v;
}

// A whole number with a sign, which is no class.
bool is_negative_number(const std::string& text) {
  return text.size() > 1 && text[0] == '-' && text.find_first_not_of("0123456789", 1) == std::string::npos;
}

// The id of every label: the number itself when all are numbers, else its place in class_names or, without those, in
// the sorted list of labels.
Status assign_ids(const std::string& path, const std::vector<LabelLine>& lines, FolderSource* source) {
  for (const LabelLine& line : lines)
    if (is_negative_number(line.label))
      return invalid_argument(path + ":" + std::to_string(line.line) + ": the label " + line.label +
                              " is negative; classes are counted from 0");
  const bool numeric =
      std::all_of(lines.begin(), lines.end(), [](const LabelLine& l) { return as_class_id(l.label).has_value(); });
  std::map<std::string, int64_t> ids;
  if (!numeric) {
    if (source->names.empty()) {
      for (const LabelLine& line : lines) ids[line.label] = 0;
      for (auto& [name, id] : ids) source->names.push_back(name);
    }
    for (size_t i = 0; i < source->names.size(); ++i) ids[source->names[i]] = static_cast<int64_t>(i);
  }
  int64_t largest = static_cast<int64_t>(source->names.size()) - 1;
  for (const LabelLine& line : lines) {
    if (!numeric && ids.count(line.label) == 0)
      return invalid_argument(path + ":" + std::to_string(line.line) + ": the label '" + line.label +
                              "' is not in class_names." + did_you_mean(line.label, source->names));
    const int64_t id = numeric ? *as_class_id(line.label) : ids[line.label];
    largest = std::max(largest, id);
    source->entries.push_back({line.name, id});
  }
  source->classes = largest + 1;
  source->labelled = true;
  return Status::ok();
}

bool stays_inside(const fs::path& name) {
  if (name.is_absolute()) return false;
  return std::none_of(name.begin(), name.end(), [](const fs::path& part) { return part == ".."; });
}

// Images in the folder, and in the folders of it that the labels file speaks of, without a line.
Status count_unlisted(FolderSource* source) {
  std::set<std::string> listed;
  std::set<fs::path> folders{fs::path()};
  for (const Entry& entry : source->entries) {
    const fs::path name = fs::path(entry.name).lexically_normal();
    listed.insert(name.string());
    folders.insert(name.parent_path());
  }
  for (const fs::path& folder : folders) {
    OCTET_ASSIGN(const FolderListing inside, list_folder((fs::path(source->root) / folder).string()));
    for (const std::string& file : inside.files)
      if (has_image_extension(file) && listed.count((folder / file).string()) == 0) ++source->unlisted;
  }
  return Status::ok();
}

Status read_labels_file(const std::string& path, FolderSource* source) {
  OCTET_ASSIGN(std::vector<LabelLine> lines, read_label_lines(path));
  std::error_code error;
  const fs::path root(source->root);
  // A heading such as 'filename,label' names no image.
  if (!lines.empty() && !has_image_extension(lines[0].name) && !fs::exists(root / lines[0].name, error))
    lines.erase(lines.begin());
  if (lines.empty()) return invalid_argument("'" + path + "' names no image");
  for (const LabelLine& line : lines) {
    const std::string place = path + ":" + std::to_string(line.line) + ": ";
    if (!stays_inside(line.name))
      return invalid_argument(place + "'" + line.name + "' leaves the folder '" + source->root + "'");
    if (!fs::is_regular_file(root / line.name, error))
      return not_found(place + "there is no image '" + line.name + "' in '" + source->root + "'");
  }
  OCTET_RETURN_IF_ERROR(assign_ids(path, lines, source));
  return count_unlisted(source);
}

Status scan_class_folders(const FolderListing& listing, FolderSource* source) {
  for (size_t id = 0; id < listing.folders.size(); ++id) {
    const std::string& folder = listing.folders[id];
    OCTET_ASSIGN(const FolderListing inside, list_folder((fs::path(source->root) / folder).string()));
    for (const std::string& file : inside.files) {
      if (has_image_extension(file)) source->entries.push_back({folder + "/" + file, static_cast<int64_t>(id)});
      else ++source->skipped;
    }
  }
  source->names = listing.folders;
  source->classes = static_cast<int64_t>(listing.folders.size());
  source->labelled = true;
  return Status::ok();
}

Status scan(const DataSpec& spec, FolderSource* source) {
  OCTET_ASSIGN(const FolderListing listing, list_folder(source->root));
  std::string labels = spec.labels;
  for (const char* usual : {"labels.txt", "labels.csv"})
    if (labels.empty() && std::count(listing.files.begin(), listing.files.end(), usual) > 0)
      labels = (fs::path(source->root) / usual).string();
  if (!labels.empty()) return read_labels_file(labels, source);
  for (const std::string& file : listing.files) {
    if (has_image_extension(file)) source->entries.push_back({file, -1});
    else ++source->skipped;
  }
  if (listing.folders.empty()) return Status::ok();
  if (!source->entries.empty())
    return invalid_argument("'" + source->root + "' holds both images (such as '" + source->entries[0].name +
                            "') and folders (such as '" + listing.folders[0] +
                            "'); move the images away, or name a labels file with the key 'labels'");
  return scan_class_folders(listing, source);
}

}  // namespace

Result<FolderListing> list_folder(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) return not_found("there is no folder '" + path + "'");
  if (!fs::is_directory(path, error)) return invalid_argument("'" + path + "' is not a folder");
  FolderListing listing;
  fs::directory_iterator it(path, error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    const std::string name = it->path().filename().string();
    std::error_code unknown;
    if (name.starts_with('.')) continue;
    if (it->is_directory(unknown)) listing.folders.push_back(name);
    else if (it->is_regular_file(unknown)) listing.files.push_back(name);
  }
  if (error) return io_error("cannot list the folder '" + path + "': " + error.message());
  std::sort(listing.files.begin(), listing.files.end());
  std::sort(listing.folders.begin(), listing.folders.end());
  return listing;
}

Result<std::vector<std::string>> read_class_names(const std::string& path) {
  std::vector<std::string> names;
  if (path.empty()) return names;
  OCTET_ASSIGN(const std::string text, read_file(path, kLargestLabelFile));
  for (const std::string& line : split(text, '\n')) names.emplace_back(trim(line));
  while (!names.empty() && names.back().empty()) names.pop_back();
  return names;
}

Result<ImageSourcePtr> open_folder(const DataSpec& spec) {
  auto source = std::make_unique<FolderSource>();
  source->root = spec.split.empty() ? spec.path : (fs::path(spec.path) / spec.split).string();
  OCTET_ASSIGN(source->names, read_class_names(spec.class_names));
  const std::vector<std::string> given = source->names;
  OCTET_RETURN_IF_ERROR(scan(spec, source.get()));
  if (source->entries.empty())
    return invalid_argument("'" + source->root +
                            "' holds no JPEG or PNG image, neither directly nor in class folders");
  if (!given.empty() && source->labelled && static_cast<int64_t>(given.size()) < source->classes)
    return invalid_argument("'" + spec.class_names + "' has " + std::to_string(given.size()) + " names for " +
                            std::to_string(source->classes) + " classes");
  if (!given.empty()) source->names = given;
  return ImageSourcePtr(std::move(source));
}

}  // namespace octet
