#include "cli/recipe_network.h"

#include "cli/network_file.h"
#ifdef OCTET_HAS_ZOO
#include "octet/zoo.h"
#endif

namespace octet::cli {

Result<Graph> network_of(const TrainingRecipe& recipe) {
  const NetworkSpec& spec = recipe.network;
  if (spec.empty())
    return invalid_argument(
        recipe.source + ": the recipe names no network; give 'network: NAME' of the zoo or 'network: {onnx: FILE}'");
  if (!spec.onnx.empty()) return load_network(spec.onnx);
#ifdef OCTET_HAS_ZOO
  ZooOptions options;
  options.classes = spec.classes;
  options.size = spec.image_size;
  if (spec.channels > 0) options.channels = spec.channels;
  options.seed = recipe.seed;
  return build_network(spec.zoo, options).at(recipe.source);
#else
  return unsupported(recipe.source +
                     ": this build has no zoo, so the network must be a file: 'network: {onnx: FILE}'");
#endif
}

std::string describe_network(const NetworkSpec& spec) { return spec.onnx.empty() ? spec.zoo : spec.onnx; }

}  // namespace octet::cli
