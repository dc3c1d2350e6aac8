#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <memory>

#include "base/files.h"
#include "base/text.h"
#include "data/array_convert.h"
#include "data/datasets.h"
#include "data/npy.h"
#include "data/preprocess.h"
#include "data/zip_archive.h"

namespace octet {
namespace {

const std::vector<std::string> kInputNames = {"x", "images", "image", "data", "input", "inputs", "arr_0"};
const std::vector<std::string> kLabelNames = {"y", "labels", "label", "targets", "target", "arr_1"};

// The arrays of one .npz file, opened only when asked for: the others may be large, or of types that are not read.
class NpzFile {
 public:
  static Result<NpzFile> open(const std::string& path) {
    OCTET_ASSIGN(ZipArchive archive, ZipArchive::open(path));
    NpzFile file(path, std::move(archive));
    for (const ZipMember& member : file.archive_.members()) {
      if (!member.name.ends_with(".npy")) continue;
      const std::string name = member.name.substr(0, member.name.size() - 4);
      if (file.has(name)) return data_corrupt("'" + path + "' holds two arrays '" + name + "'");
      file.names_.push_back(name);
    }
    if (file.names_.empty()) return invalid_argument("'" + path + "' holds no .npy array");
    return file;
  }

  const std::vector<std::string>& names() const { return names_; }
  bool has(const std::string& name) const { return std::count(names_.begin(), names_.end(), name) > 0; }

  Result<NpyArray> array(const std::string& name) const {
    for (const ZipMember& member : archive_.members()) {
      if (member.name != name + ".npy") continue;
      OCTET_ASSIGN(ByteWindow bytes, archive_.content(member));
      return NpyArray::open(std::move(bytes), "array '" + name + "' of '" + path_ + "'");
    }
    return not_found("'" + path_ + "' has no array '" + name + "'");
  }

 private:
  NpzFile(std::string path, ZipArchive archive) : path_(std::move(path)), archive_(std::move(archive)) {}

  std::string path_;
  ZipArchive archive_;
  std::vector<std::string> names_;
};

// How values change on their way in; identity unless the spec gives scale, mean or std.
struct ValueMap {
  bool active = false;
  double scale = 1;
  std::vector<double> mean = {0}, std = {1};
  bool channels_last = false;

  Result<Tensor> apply(const Tensor& src, DType dtype) const {
    const int64_t n = src.rank() == 0 ? 1 : channels_last ? src.dim(-1) : src.dim(0);
    const int64_t inner = channels_last || n == 0 ? 1 : src.numel() / n;
    for (const auto* values : {&mean, &std})
      if (values->size() != 1 && static_cast<int64_t>(values->size()) != n)
        return invalid_argument("'mean' or 'std' has " + std::to_string(values->size()) + " values for " +
                                std::to_string(n) + " channels of an array of shape " + dims_to_string(src.dims()));
    return map_array(src, dtype, [&](double v, int64_t i) {
      const auto c = static_cast<size_t>(channels_last ? i % n : i / inner);
      return (v * scale - mean[mean.size() == 1 ? 0 : c]) / std[std.size() == 1 ? 0 : c];
    });
  }
};

struct BoundInput {
  NpyArray array;
  InputInfo input;
};

class ArrayDataset : public Dataset {
 public:
  std::string source;
  std::vector<BoundInput> bound;
  std::vector<int64_t> labels;
  ValueMap values;
  DType dtype = DType::kUndefined;  // kUndefined: the network's, or the array's own without a network

  int64_t size() const override { return bound[0].array.rows(); }
  bool has_labels() const override { return !labels.empty(); }

  Result<Sample> get(int64_t index) const override {
    if (index < 0 || index >= size())
      return invalid_argument("sample " + std::to_string(index) + " does not exist; the data set has " +
                              std::to_string(size()));
    Sample sample;
    sample.name = "#" + std::to_string(index);
    if (!labels.empty()) sample.label = labels[static_cast<size_t>(index)];
    for (const BoundInput& b : bound) {
      Result<Tensor> tensor = prepare(b, index);
      if (!tensor.is_ok()) return tensor.status().at(b.array.what());
      sample.inputs.push_back(std::move(tensor).value());
    }
    return sample;
  }

  std::string describe() const override {
    std::string s = source + ": " + std::to_string(size()) + " samples";
    for (const BoundInput& b : bound)
      s += std::string(", ") + dtype_name(b.array.dtype()) + " " + dims_to_string(b.array.dims()) +
           (b.input.name.empty() ? "" : " for '" + b.input.name + "'");
    return s + (has_labels() ? "" : ", no labels") + (values.active ? ", scaled" : ", values as they are");
  }

 private:
  Result<Tensor> prepare(const BoundInput& b, int64_t index) const {
    OCTET_ASSIGN(const Tensor row, b.array.read_row(index));
    if (!fits_input(row.dims(), b.input))
      return shape_error(row.dims(), b.input,
                         "save an array with the samples along its first axis, or choose another one with the key "
                         "'inputs'");
    const DType wanted = dtype != DType::kUndefined           ? dtype
                         : b.input.dtype != DType::kUndefined ? b.input.dtype
                         : values.active                      ? DType::kFloat32
                                                              : row.dtype();
    return values.active ? values.apply(row, wanted) : convert_array(row, wanted);
  }
};

Result<ValueMap> value_map(const DataSpec& spec, size_t inputs) {
  const Preprocess& p = spec.preprocess;
  if (p.resize || p.width || p.height || p.size || p.crop_width || p.order || p.interpolation || p.fill)
    return invalid_argument(std::string("data of kind ") + data_kind_name(spec.kind) +
                            " is fed as it is: of the preprocess keys only scale, mean, std, layout and dtype apply; "
                            "resize the images before saving them");
  ValueMap map;
  map.active = p.scale.has_value();
  if (!map.active) return map;
  if (inputs > 1)
    return invalid_argument("'scale', 'mean' and 'std' cannot be given for a network of several inputs");
  map.scale = *p.scale;
  if (!p.mean.empty()) map.mean = p.mean;
  if (!p.std.empty()) map.std = p.std;
  map.channels_last = p.layout.value_or(Layout::kNchw) == Layout::kNhwc;
  return map;
}

Result<std::vector<int64_t>> labels_of(const NpyArray& array) {
  const bool column = array.dims().size() == 2 && array.dims()[1] == 1;
  if (!column && array.dims().size() != 1)
    return invalid_argument(array.what() + " has shape " + dims_to_string(array.dims()) +
                            "; labels must be one whole number a sample");
  OCTET_ASSIGN(const Tensor t, array.read_all());
  const bool is_float = t.dtype() == DType::kFloat32 || t.dtype() == DType::kFloat64;
  if (!is_float) return to_int64s(t).at(array.what());
  std::vector<int64_t> labels;
  for (int64_t i = 0; i < t.numel(); ++i) {
    const double v = t.dtype() == DType::kFloat32 ? static_cast<double>(t.data<float>()[i]) : t.data<double>()[i];
    if (!(std::fabs(v) < 0x1p53) || v != std::trunc(v))
      return invalid_argument(array.what() + ": label " + std::to_string(v) + " of sample " + std::to_string(i) +
                              " is not a whole number; labels must be one whole number a sample");
    labels.push_back(static_cast<int64_t>(v));
  }
  return labels;
}

// A .npy file, or a text with one whole number a line.
Result<std::vector<int64_t>> labels_from_file(const std::string& path) {
  if (to_lower(path).ends_with(".npy")) {
    OCTET_ASSIGN(ByteWindow bytes, ByteWindow::open(path));
    OCTET_ASSIGN(const NpyArray array, NpyArray::open(std::move(bytes), "'" + path + "'"));
    return labels_of(array);
  }
  OCTET_ASSIGN(const std::string text, read_file(path, int64_t{1} << 30));
  std::vector<int64_t> labels;
  for (const std::string& raw : split(trim(text), '\n')) {
    const std::string line(trim(raw));
    char* end = nullptr;
    errno = 0;
    const long long v = std::strtoll(line.c_str(), &end, 10);
    if (line.empty() || *end != '\0' || errno != 0)
      return invalid_argument(path + ":" + std::to_string(labels.size() + 1) + ": expected one whole number, got '" +
                              line.substr(0, 40) + "'");
    labels.push_back(v);
  }
  return labels;
}

// The array's name for one network input: the spec's map, the input's own name, or for a network of one input the
// usual names and at last the only array that is not the labels.
Result<std::string> array_name_for(const DataSpec& spec, const NpzFile& file, const InputInfo& input, bool only_input,
                                   const std::string& labels) {
  const auto mapped = spec.inputs.find(input.name);
  const std::string name = mapped != spec.inputs.end() ? mapped->second : input.name;
  if (file.has(name)) return name;
  if (mapped == spec.inputs.end() && only_input) {
    for (const std::string& usual : kInputNames)
      if (usual != labels && file.has(usual)) return usual;
    std::vector<std::string> others = file.names();
    others.erase(std::remove(others.begin(), others.end(), labels), others.end());
    if (others.size() == 1) return others[0];
  }
  return not_found("'" + spec.path + "' has no array '" + name + "' for input '" + input.name +
                   "' of the network; it has " + join(file.names(), ", ") + ". Map one with the key 'inputs'." +
                   did_you_mean(name, file.names()));
}

std::string label_array_name(const DataSpec& spec, const NpzFile& file, const std::vector<InputInfo>& inputs) {
  if (!spec.labels.empty()) return spec.labels;
  for (const std::string& name : kLabelNames) {
    const bool is_input = std::any_of(inputs.begin(), inputs.end(), [&](const InputInfo& i) {
      const auto mapped = spec.inputs.find(i.name);
      return name == (mapped == spec.inputs.end() ? i.name : mapped->second);
    });
    if (!is_input && file.has(name)) return name;
  }
  return "";
}

Status check_input_keys(const DataSpec& spec, const std::vector<InputInfo>& inputs) {
  std::vector<std::string> names;
  for (const InputInfo& input : inputs) names.push_back(input.name);
  for (const auto& [name, array] : spec.inputs)
    if (std::count(names.begin(), names.end(), name) == 0)
      return invalid_argument("'inputs' names '" + name + "', which is not an input of the network; it has " +
                              join(names, ", ") + "." + did_you_mean(name, names));
  return Status::ok();
}

Status check_lengths(const ArrayDataset& set) {
  const NpyArray& first = set.bound[0].array;
  for (const BoundInput& b : set.bound) {
    const Status bad = invalid_argument(b.array.what() + " has shape " + dims_to_string(b.array.dims()) +
                                        "; the samples must lie along the first axis and hold at least one value");
    if (b.array.dims().empty()) return bad;
    for (int64_t d : b.array.dims())
      if (d == 0) return bad;
    if (b.array.rows() != first.rows())
      return invalid_argument(first.what() + " has " + std::to_string(first.rows()) + " samples but " +
                              b.array.what() + " has " + std::to_string(b.array.rows()));
  }
  if (!set.labels.empty() && static_cast<int64_t>(set.labels.size()) != first.rows())
    return invalid_argument(first.what() + " has " + std::to_string(first.rows()) + " samples but there are " +
                            std::to_string(set.labels.size()) + " labels");
  return Status::ok();
}

Status bind_npy(const DataSpec& spec, const std::vector<InputInfo>& inputs, ArrayDataset* set) {
  if (inputs.size() > 1)
    return invalid_argument("the network has " + std::to_string(inputs.size()) +
                            " inputs but a .npy file holds one array; use kind npz with one array an input");
  OCTET_ASSIGN(ByteWindow bytes, ByteWindow::open(spec.path));
  OCTET_ASSIGN(NpyArray array, NpyArray::open(std::move(bytes), "'" + spec.path + "'"));
  set->bound.push_back({std::move(array), inputs[0]});
  if (spec.labels.empty()) return Status::ok();
  OCTET_ASSIGN(set->labels, labels_from_file(spec.labels));
  return Status::ok();
}

Status bind_npz(const DataSpec& spec, const std::vector<InputInfo>& inputs, ArrayDataset* set) {
  OCTET_ASSIGN(const NpzFile file, NpzFile::open(spec.path));
  const std::string labels = label_array_name(spec, file, inputs);
  for (const InputInfo& input : inputs) {
    OCTET_ASSIGN(const std::string name, array_name_for(spec, file, input, inputs.size() == 1, labels));
    OCTET_ASSIGN(NpyArray array, file.array(name));
    set->bound.push_back({std::move(array), input});
  }
  if (labels.empty()) return Status::ok();
  if (!file.has(labels))
    return not_found("'" + spec.path + "' has no array '" + labels + "' for the labels." +
                     did_you_mean(labels, file.names()));
  OCTET_ASSIGN(const NpyArray array, file.array(labels));
  OCTET_ASSIGN(set->labels, labels_of(array));
  return Status::ok();
}

}  // namespace

Result<DatasetPtr> open_arrays(const DataSpec& spec, const std::vector<InputInfo>& network_inputs) {
  std::vector<InputInfo> inputs = network_inputs;
  if (inputs.empty())  // without a network: the mapped arrays, or the one that is found by its usual name
    for (const auto& [name, array] : spec.inputs) inputs.push_back({name, DType::kUndefined, {}});
  if (inputs.empty()) inputs.push_back({"", DType::kUndefined, {}});
  OCTET_RETURN_IF_ERROR(check_input_keys(spec, inputs));
  auto set = std::make_unique<ArrayDataset>();
  set->source = std::string(data_kind_name(spec.kind)) + " '" + spec.path + "'";
  if (spec.kind == DataKind::kNpy) OCTET_RETURN_IF_ERROR(bind_npy(spec, inputs, set.get()));
  else OCTET_RETURN_IF_ERROR(bind_npz(spec, inputs, set.get()));
  OCTET_ASSIGN(set->values, value_map(spec, inputs.size()));
  set->dtype = spec.preprocess.dtype;
  for (const InputInfo& input : inputs)
    if (set->dtype != DType::kUndefined && input.dtype != DType::kUndefined && set->dtype != input.dtype)
      return invalid_argument(std::string("the key 'dtype' says ") + dtype_name(set->dtype) + " but input '" +
                              input.name + "' of the network takes " + dtype_name(input.dtype));
  OCTET_RETURN_IF_ERROR(check_lengths(*set));
  return DatasetPtr(std::move(set));
}

}  // namespace octet
