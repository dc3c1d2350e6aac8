// Rule 7: what the selective regime leaves in float of its own accord.
#pragma once

#include <string>
#include <vector>

#include "quantization/network.h"
#include "quantization/target.h"

namespace octet {

// One sentence per node that should stay in float; "" for the others.
std::vector<std::string> keep_float_reasons(const Network& net, const Target& target);

// For nodes that no target quantizes: what to tell about them.
std::string plain_float_reason(const Node& node);

}  // namespace octet
