#include "cli/recipe_network.h"

#include "cli/network_file.h"
#include "octet/zoo.h"

namespace octet::cli {

Result<Graph> network_of(const TrainingRecipe& recipe) {
  const NetworkSpec& spec = recipe.network;
  if (spec.empty())
    return invalid_argument(
        recipe.source + ": the recipe names no network; give 'network: NAME' of the zoo or 'network: {onnx: FILE}'");
  if (!spec.onnx.empty()) return load_network(spec.onnx);
  ZooOptions options;
  options.classes = spec.classes;
  options.size = spec.image_size;
  if (spec.channels > 0) options.channels = spec.channels;
  options.seed = recipe.seed;
  return build_network(spec.zoo, options).at(recipe.source);
}

std::string describe_network(const NetworkSpec& spec) { return spec.onnx.empty() ? spec.zoo : spec.onnx; }

}  // namespace octet::cli
