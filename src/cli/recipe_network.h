// The network that a training recipe names.
#pragma once

#include <string>

#include "octet/graph.h"
#include "octet/training_recipe.h"

namespace octet::cli {

// A file is loaded; a network of the zoo is built, its initial weights drawn from the recipe's seed.
Result<Graph> network_of(const TrainingRecipe& recipe);
std::string describe_network(const NetworkSpec& spec);

}  // namespace octet::cli
