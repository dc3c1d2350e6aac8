// Which constants of a graph are trained.
#pragma once

#include <set>

#include "octet/graph.h"
#include "octet/training.h"

namespace octet::training {

// Float32 constants with elements that some node reads as weight, bias, slope, embedding or affine part of a
// normalization, also through Identity, Reshape, Transpose and the like; with options.train added and options.freeze
// taken out. Errors: a pattern that matches no float constant.
Result<std::set<ValueId>> learnable_constants(const Graph& graph, const TrainableOptions& options);

// Running mean and variance of batch normalizations that are constants.
std::set<ValueId> running_statistics(const Graph& graph);

}  // namespace octet::training
