#include <algorithm>

#include "data/datasets.h"

namespace octet {
namespace {

// Some samples of another data set, in a given order.
class SubsetDataset : public Dataset {
 public:
  SubsetDataset(DatasetPtr all, std::vector<int64_t> indices, std::string how)
      : all_(std::move(all)), indices_(std::move(indices)), how_(std::move(how)) {}

  int64_t size() const override { return static_cast<int64_t>(indices_.size()); }
  Result<Sample> get(int64_t index) const override {
    if (index < 0 || index >= size())
      return invalid_argument("sample " + std::to_string(index) + " does not exist; the subset has " +
                              std::to_string(size()));
    return all_->get(indices_[static_cast<size_t>(index)]);
  }
  std::string describe() const override { return all_->describe() + "; " + how_; }
  int64_t num_classes() const override { return all_->num_classes(); }
  std::vector<std::string> class_names() const override { return all_->class_names(); }
  bool has_labels() const override { return all_->has_labels(); }
  bool has_boxes() const override { return all_->has_boxes(); }
  bool has_masks() const override { return all_->has_masks(); }

 private:
  DatasetPtr all_;
  std::vector<int64_t> indices_;
  std::string how_;
};

Result<DatasetPtr> open_kind(const DataSpec& spec, const std::vector<InputInfo>& inputs) {
  if (spec.kind == DataKind::kNpy || spec.kind == DataKind::kNpz) return open_arrays(spec, inputs);
  Result<ImageSourcePtr> source = spec.kind == DataKind::kIdx       ? open_idx(spec)
                                  : spec.kind == DataKind::kCifar10 ? open_cifar10(spec)
                                  : spec.kind == DataKind::kFolder  ? open_folder(spec)
                                  : spec.kind == DataKind::kMasks   ? open_masks(spec)
                                                                    : open_yolo(spec);
  if (!source.is_ok()) return source.status();
  return make_image_dataset(spec, std::move(source).value(), inputs);
}

// `shuffle` keeps the drawn order and needs a seed; without it a drawn subset stays in the order of the data.
DatasetPtr choose_samples(const DataSpec& spec, DatasetPtr all) {
  if (spec.subset == 0 && !spec.shuffle) return all;
  const int64_t n = spec.subset == 0 ? all->size() : spec.subset;
  const uint64_t seed = spec.shuffle && spec.seed == 0 ? 1 : spec.seed;
  std::vector<int64_t> indices = deterministic_subset(all->size(), n, seed);
  if (!spec.shuffle) std::sort(indices.begin(), indices.end());
  const std::string how = (seed == 0 ? "the first " : "a sample of ") + std::to_string(indices.size()) +
                          (seed == 0 ? "" : " with seed " + std::to_string(seed)) +
                          (spec.shuffle ? ", shuffled" : "");
  return std::make_unique<SubsetDataset>(std::move(all), std::move(indices), how);
}

}  // namespace

Result<DatasetPtr> open_dataset(const DataSpec& spec, const std::vector<InputInfo>& network_inputs) {
  const std::string place = "data '" + (spec.source.empty() ? spec.path : spec.source) + "'";
  try {
    Result<DatasetPtr> opened = open_kind(spec, network_inputs);
    if (!opened.is_ok()) return opened.status().at(place);
    DatasetPtr set = choose_samples(spec, std::move(opened).value());
    if (set->size() == 0) return invalid_argument(place + ": there are no samples");
    const Result<Sample> first = set->get(0);
    if (!first.is_ok()) return first.status().at(place);
    return set;
  } catch (const std::bad_alloc&) {
    return resource_limit(place + ": not enough memory");
  } catch (const std::exception& e) {
    return internal_error(place + ": " + e.what());
  }
}

}  // namespace octet
