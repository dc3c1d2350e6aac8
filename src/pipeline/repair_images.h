// A data set and the threads of a job, as the repair methods want them.
#pragma once

#include <memory>
#include <vector>

#include "octet/pipeline.h"

namespace octet {

// `graph`, `data` and `options` must outlive the result. Images that do not fill a fixed batch are left out.
std::unique_ptr<RepairHost> repair_host(const Graph& graph, const Dataset& data, std::vector<int64_t> images,
                                        const RunOptions& options);

}  // namespace octet
