// The one table of the keys of a data spec, used by the YAML form and the inline form alike.
#pragma once

#include <string>
#include <vector>

#include "octet/data.h"
#include "octet/status.h"

namespace octet {

// kAny: the inline form has no sections; every key stands on one level.
enum class SpecSection { kTop, kPreprocess, kDetection, kAny };

// Sets one key from its value, or from the values of its list. The sentence of an error names no place: the caller
// knows it. No value (null in YAML) leaves the default. An unknown key is kNotFound with near misses.
Status set_spec_key(DataSpec* spec, SpecSection section, const std::string& key,
                    const std::vector<std::string>& values);

Result<DataKind> data_kind_from_name(const std::string& name);
const char* resize_mode_name(ResizeMode mode);
const char* interpolation_name(Interpolation interpolation);
const char* channel_order_name(ChannelOrder order);
const char* layout_name(Layout layout);

}  // namespace octet
