// Figures in the JSON documents of this room.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>

namespace octet {

// null for infinity and NaN, which JSON has no words for.
inline nlohmann::ordered_json finite(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

}  // namespace octet
