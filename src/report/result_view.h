// What was measured: accuracy, sizes, times, and the sentence that sums them up.
#pragma once

#include <string>
#include <unordered_map>

#include "report/artifacts.h"

namespace octet::report {

// Networks side by side: float, then each way of quantization, from this folder and those inside it.
// A list of {name, source, stage, metric, score, low, high, second, bytes, count, arithmetic}.
Json variant_views(const Artifacts& artifacts);
// One row for each model and setting of bench.json.
Json latency_views(const Artifacts& artifacts);
// Parts of the engine in the order of execution: {what, nodes, precision, kernel, macs, int8_ms, float_ms, ms,
// reasons}. ms is what bench --profile measured. `index` gets the place of each node's part.
Json group_views(const Artifacts& artifacts, std::unordered_map<std::string, size_t>* index);
// Share of the time of one inference that integer parts take, 0..1; null when nobody measured.
Json int8_share(const Json& groups);
// Label and value pairs: what, on which data, how.
Json fact_views(const Artifacts& artifacts);
// {text, level, base, best}: level is good, bad or unknown; base and best are places in `variants` or null.
Json verdict_view(const Artifacts& artifacts, const Json& variants, const Json& latency, const Json& groups);
// Tensors of compare.json, worst first, and layers of statistics.json.
Json loss_views(const Artifacts& artifacts);

}  // namespace octet::report
