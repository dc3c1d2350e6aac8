// From a weighted layer through functions that respect positive factors per channel to the layers that read the
// result.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "octet/graph.h"

namespace octet::repair {

// first -> through ... -> readers: f(s * x) = s * f(x) for every channel and s > 0, Clip excepted.
struct ChannelPath {
  size_t first = 0;
  std::vector<size_t> through;
  std::vector<size_t> readers;  // weighted layers; nothing else reads the end of the path
  std::vector<size_t> clips;    // those of `through` that are Clip(0, c): homogeneous only below c
  bool has_relu = false;        // Relu, or a Clip from 0: results are never negative
  bool relu_only = false;       // `through` is one Relu
};

// The path that begins at a layer, or the reason why there is none.
std::variant<ChannelPath, std::string> channel_path(const Graph& graph, const GraphIndex& index, size_t first);

// Upper bound of a Clip from exactly 0; nullopt for other nodes and bounds that are computed.
std::optional<double> clip_from_zero(const Graph& graph, const Node& node);

}  // namespace octet::repair
