// Data files compiled into the library, so that a single binary is complete.
#pragma once

#include <span>
#include <string_view>

namespace octet {

struct EmbeddedFile {
  std::string_view name;  // without folder and extension
  std::string_view text;
};

std::span<const EmbeddedFile> embedded_targets();  // targets/*.yaml
std::span<const EmbeddedFile> embedded_recipes();  // recipes/*.yaml; defined in the recipe room
std::span<const EmbeddedFile> embedded_training_recipes();  // recipes/train/*.yaml; the same

}  // namespace octet
