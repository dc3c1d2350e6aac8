// What `octet sensitivity` and `octet search` found.
#pragma once

#include "report/artifacts.h"

namespace octet::report {

// {score, float_score, quantized_score, layers: [{node, op, sqnr, kl, fisher, alone, without, int8_ms, float_ms}]},
// worst layer first; null without sensitivity.json.
Json sensitivity_view(const Artifacts& artifacts);

// {score, float, holds, best, naive, selective, trials: [{name, origin, score, complete, latency_ms, bytes, holds,
// on_front, recipe}], advice}; null without search.json.
Json search_view(const Artifacts& artifacts);

}  // namespace octet::report
