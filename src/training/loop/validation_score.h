// What a pass over the validation data came to, in a form that processes can put together exactly.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "metrics/detection.h"
#include "metrics/segmentation.h"
#include "octet/train.h"

namespace octet::training {

struct ValidationScore {
  int64_t images = 0;
  std::vector<double> loss_sums, loss_counts;  // by term: the loss is the sum of sums over counts
  int64_t labelled = 0, top1 = 0, top5 = 0;
  std::optional<ConfusionMatrix> pixels;
  struct Boxes {
    std::vector<Box> found, annotated;
  };
  std::map<int64_t, Boxes> boxes;  // by image, so that the order of processes does not matter

  void add_loss(size_t term, double sum, double count);
  std::string to_bytes() const;
  // kDataCorrupt for bytes that to_bytes() did not write.
  Status add(std::string_view bytes);
  // Figures that were not measured stay absent.
  void fill(EpochRecord* record) const;
};

}  // namespace octet::training
