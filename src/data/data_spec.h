// A data spec inside another YAML document.
#pragma once

#include <string>

#include "octet/data.h"
#include "yaml/yaml_reader.h"

namespace octet {

// A map with the keys of a data spec, or a text as load_data_spec() takes it. Relative paths are taken from `folder`;
// from the current one when it is empty.
Result<DataSpec> read_data_spec(const YamlNode& node, const std::string& folder);

}  // namespace octet
