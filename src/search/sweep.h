// Images through a base network and many variants of it: the base runs once for each image.
#pragma once

#include <memory>
#include <vector>

#include "metrics/similarity.h"
#include "octet/pipeline.h"
#include "search/variant.h"

namespace octet {

struct SweepOptions {
  RunOptions run;
  std::string stage;  // for the progress
  DetectionSpec detection;
  bool similarity = false;    // compare outputs with the base's
  bool class_scores = false;  // the first output is one score for each class: kl
  bool reports = false;       // score every network on the labels, or collect its predictions
};

struct VariantFigures {
  Similarity outputs;  // over all float32 outputs, in the order of images
  double kl = 0;       // mean over the images
  EvalReport report;
};

struct SweepFigures {
  EvalReport base;
  std::vector<VariantFigures> variants;
};

// Networks with a fixed batch run in whole batches; the last one is filled up, and left out of `outputs` and `kl`
// unless it is the only one. Results do not depend on the number of threads.
Result<SweepFigures> sweep(const Graph& graph, const BaseNetwork& base,
                           const std::vector<std::unique_ptr<Variant>>& variants, const Dataset& data,
                           const std::vector<int64_t>& images, const SweepOptions& options);

}  // namespace octet
