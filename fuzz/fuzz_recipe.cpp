// Any bytes as a recipe: what loads must write itself as YAML that loads again.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "octet/recipe.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto options = octet::parse_recipe(std::string(reinterpret_cast<const char*>(data), size), "fuzz.yaml");
  if (!options) {
    if (options.status().message().empty()) std::abort();
    return 0;
  }
  if (!octet::parse_recipe(octet::recipe_to_yaml(*options), "again.yaml")) std::abort();
  return 0;
}
