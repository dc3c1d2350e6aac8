// Everything that the page shows, as one JSON document: artifacts in, numbers and sentences out. The page computes
// nothing but pictures, so that what it says can be tested here.
#pragma once

#include "report/artifacts.h"

namespace octet::report {

// One run: name, facts, notes, verdict, variants, latency, groups, int8_share, tensors, network, losses, training,
// sensitivity, search, files, problems. What the artifacts do not tell is null or empty.
Json run_view(const Artifacts& artifacts);

// {settings, results, ranges, decisions}: what changed from a to b, each a list of rows.
Json difference_view(const Artifacts& a, const Artifacts& b);

}  // namespace octet::report
