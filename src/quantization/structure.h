// Rules' conditions: names, globs, operator types and phrases about structure -> the nodes they mean.
#pragma once

#include <string>
#include <vector>

#include "octet/quantization.h"
#include "quantization/network.h"

namespace octet {

// Nodes of that exact name; else the makers of a value of that name; else the weighted ops whose weight's name is
// `name` followed by ".weight" (the module path of an exported PyTorch network). May be empty.
std::vector<size_t> nodes_named(const Network& net, const std::string& name);
// The same three kinds of names, by glob.
std::vector<size_t> nodes_matching(const Network& net, const std::string& glob);

// Nodes that a phrase means. `candidates` are those that the rule's other conditions leave (all nodes without any):
// "first N [op]" and "last N [op]" count among them. Phrases, in any case:
//   first N [op] | last N [op] | between A and B | after A | before A | residual adds | detection head |
//   box regression | depthwise | pointwise | stem | weighted | KxK conv
// op: an operator type, or conv, linear (Gemm and MatMul), weighted (the default). between includes its ends and
// means the nodes on paths from A to B; stem is the first weighted op that each graph input reaches. Errors: not a
// phrase, an unknown node or operator, each with near misses.
Result<std::vector<size_t>> nodes_by_structure(const Network& net, const std::string& phrase,
                                               const std::vector<size_t>& candidates);

// All nodes that a rule means, ascending. Errors: nothing matches (with near misses), no condition, a bad phrase.
Result<std::vector<size_t>> nodes_of_rule(const Network& net, const QuantizationRule& rule);

// Names for "did you mean": node names and module paths.
std::vector<std::string> known_names(const Network& net);

}  // namespace octet
