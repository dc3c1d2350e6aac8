// The quantization part of a recipe, for rooms that read more from the same document.
#pragma once

#include <string>

#include "octet/quantization.h"
#include "yaml/yaml_reader.h"

namespace octet {

// Reads every key of parse_recipe() from `map` and marks it as known; the caller calls map.finish(). `source` names the
// document where a mistake has no line.
Result<QuantizationOptions> read_quantization_keys(YamlMap& map, const std::string& source);

}  // namespace octet
