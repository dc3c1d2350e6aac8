// The `repair:` block of a recipe.
#pragma once

#include "octet/repair_options.h"
#include "yaml/yaml_reader.h"

namespace octet {

// A list of names, [cross_layer_equalization, bias_correction], or a map from names to options: {gptq: {damping:
// 0.01}, bias_correction: true}, where true or nothing stands for the defaults and false takes a method out. In the
// map also `images`. Errors: unknown names and keys, numbers out of range, methods that exclude each other.
Status read_repair(const YamlNode& node, RepairOptions* options);

}  // namespace octet
