// What two forms of one network have in common: the nodes that a run of the one need not compute for the other.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "octet/graph.h"

namespace octet {

struct GraphDifference {
  // The part of the variant to compute in place of the base's: inputs are values of the base, outputs are what the
  // rest of the network reads of it. Without nodes when both graphs compute the same.
  Graph part;
  std::vector<std::string> changed;  // the part's outputs, values that the base has, too, with other elements
  std::set<std::string> replaced;    // nodes of the base that the part stands for
};

// A node of the variant is the same as one of the base when both have operator, attributes, constants and the names
// of all tensors in common. All others, and what lies between them, make up the part. Base nodes that run as one
// (`groups`: names) are taken as a whole, so that every input of the part is a value that the base really makes.
// Errors: kInternal when the two graphs do not have the same outputs.
Result<GraphDifference> graph_difference(const Graph& base, const std::vector<std::vector<std::string>>& groups,
                                         const Graph& variant);

// The part of a graph around some of its nodes, cut in the same way: these nodes, what lies between them, and whole
// groups. kNotFound when there is no such node.
Result<GraphDifference> graph_part(const Graph& graph, const std::vector<std::vector<std::string>>& groups,
                                   const std::set<std::string>& nodes);

}  // namespace octet
