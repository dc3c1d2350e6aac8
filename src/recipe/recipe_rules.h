// The `rules:` list of a recipe.
#pragma once

#include "octet/quantization.h"
#include "yaml/yaml_reader.h"

namespace octet {

// Reads one rule; its place is the line it starts on. Errors: unknown keys, no condition, no action.
Result<QuantizationRule> read_rule(const YamlNode& node);

}  // namespace octet
