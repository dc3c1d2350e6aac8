// Curves of a training run.
#pragma once

#include "report/artifacts.h"

namespace octet::report {

// {series: [{tag, steps, values}], epochs: [...], best_epoch}. A series keeps at most kMostPoints points: of more,
// every n-th and the last. Null when there is neither metrics.jsonl nor a list of epochs.
constexpr size_t kMostPoints = 1000;
Json training_view(const Artifacts& artifacts);

}  // namespace octet::report
