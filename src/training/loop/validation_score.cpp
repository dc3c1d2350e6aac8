#include "training/loop/validation_score.h"

#include <algorithm>

#include "pipeline/shard.h"

namespace octet::training {

void ValidationScore::add_loss(size_t term, double sum, double count) {
  loss_sums.resize(std::max(loss_sums.size(), term + 1));
  loss_counts.resize(loss_sums.size());
  loss_sums[term] += sum;
  loss_counts[term] += count;
}

std::string ValidationScore::to_bytes() const {
  ShardWriter out;
  for (int64_t v : {images, labelled, top1, top5}) out.put(v);
  out.put_list(loss_sums);
  out.put_list(loss_counts);
  out.put(pixels ? pixels->classes() : int64_t{0});
  out.put_list(pixels ? pixels->counts() : std::vector<int64_t>{});
  out.put(static_cast<uint64_t>(boxes.size()));
  for (const auto& [image, b] : boxes) {
    out.put(image);
    out.put_list(b.found);
    out.put_list(b.annotated);
  }
  return out.bytes();
}

Status ValidationScore::add(std::string_view bytes) {
  ShardReader in(bytes);
  for (int64_t* v : {&images, &labelled, &top1, &top5}) *v += in.get<int64_t>();
  const std::vector<double> sums = in.get_list<double>(), counts = in.get_list<double>();
  for (size_t i = 0; i < sums.size() && i < counts.size(); ++i) add_loss(i, sums[i], counts[i]);
  const auto classes = in.get<int64_t>();
  const std::vector<int64_t> cells = in.get_list<int64_t>();
  if (classes > 0) {
    if (!pixels) pixels.emplace(classes, kIgnoredPixel);
    OCTET_RETURN_IF_ERROR(pixels->add_counts(cells));
  }
  const auto many = in.get<uint64_t>();
  for (uint64_t i = 0; i < many && in.is_good(); ++i) {
    const auto image = in.get<int64_t>();
    Boxes b;
    b.found = in.get_list<Box>();
    b.annotated = in.get_list<Box>();
    boxes[image] = std::move(b);
  }
  return in.is_through() ? Status::ok() : data_corrupt("another process validated in another way");
}

void ValidationScore::fill(EpochRecord* record) const {
  double loss = 0;
  for (size_t i = 0; i < loss_sums.size(); ++i) loss += loss_sums[i] / std::max(loss_counts[i], 1.0);
  record->val_loss = loss;
  if (labelled > 0) {
    record->val_top1 = 100 * static_cast<double>(top1) / static_cast<double>(labelled);
    record->val_top5 = 100 * static_cast<double>(top5) / static_cast<double>(labelled);
  }
  if (pixels) record->val_miou = 100 * pixels->mean_iou();
  if (boxes.empty()) return;
  AveragePrecision precision;
  for (const auto& [image, b] : boxes) precision.add_image(b.found, b.annotated);
  const AveragePrecision::Summary summary = precision.summarize();
  record->val_map50 = 100 * summary.map50;
  record->val_map = 100 * summary.map;
}

}  // namespace octet::training
