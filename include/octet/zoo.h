// Well-known networks built as graphs, ready to be trained, and trained weights for them from PyTorch's files.
//
//   Graph graph = *build_network("resnet18", {.classes = 10, .seed = 1});
//   Status loaded = load_weights(graph, "resnet18-f37072fd.pth");
//   Graph inference = *deploy(graph);
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "octet/graph.h"

namespace octet {

// One network of the zoo, as its paper describes it.
struct ZooNetwork {
  std::string name;
  std::string task;         // "classification", "detection" or "segmentation"
  int64_t classes = 0;      // of the paper's data set
  int64_t size = 0;         // height and width of the paper's input, pixels
  std::string state_names;  // whose names its weights have: "torchvision", "timm", ... ; empty: Octet's own
  std::string paper;        // authors, year, arXiv number
};

// All networks, in the order of `octet zoo list`.
const std::vector<ZooNetwork>& zoo_networks();

struct ZooOptions {
  int64_t classes = 0;   // 0: as in the paper
  int64_t size = 0;      // height and width in pixels; 0: as in the paper
  int64_t channels = 3;  // of the input: 1 or 3
  uint64_t seed = 0;     // of the initial weights; the same seed gives the same bits for every order of building
};

// The network in the form in which it is trained: batch norms, dropout and branches are nodes of their own, the batch
// is the symbol N, weights are initialised as its paper or the named library does (the file of each family says how).
// One float32 input "input" [N, channels, size, size]. Outputs:
//   classification  "output" [N, classes], logits
//   segmentation    "output" [N, classes, size, size], logits
//   detection       "stride8", "stride16", "stride32": [N, 5 + classes, size / s, size / s] with the channels x, y,
//                   w, h, objectness, classes of YOLOX (arXiv 2107.08430): centre = (xy + cell) * s,
//                   size = exp(wh) * s, logits for objectness and classes
// Shapes are inferred. Errors: an unknown name (kNotFound, with near misses), sizes the network cannot have
// (kInvalidArgument).
Result<Graph> build_network(const std::string& name, const ZooOptions& options = {});

struct NetworkCost {
  int64_t parameters = 0;  // trained numbers: without the running statistics of batch norms
  int64_t macs = 0;        // multiply-accumulates of convolutions and matrix products, for one image
};
// Of a graph with inferred shapes.
NetworkCost network_cost(const Graph& graph);
// Of a network of the zoo, without making its weights. Errors as build_network.
Result<NetworkCost> zoo_cost(const std::string& name, const ZooOptions& options = {});

// The form for inference: parallel linear branches fused (fuse_branches), batch norms folded, dropout removed. The
// outputs "stride8", "stride16" and "stride32" of a detector are joined to "output" [N, cells, 5 + classes] with
// probabilities, the layout that data of kind `yolo` decodes as `yolox`.
Result<Graph> deploy(const Graph& graph);

// Replaces sums of linear branches that read the same tensor (convolutions with and without batch norm, a batch norm
// alone, the tensor itself) by the one convolution that computes the same: RepVGG (arXiv 2101.03697, section 3.3).
// Branches are found by structure, in any graph; weights are computed in double. Returns the number of sums replaced.
Result<int> fuse_branches(Graph& graph);

struct WeightOptions {
  // Names or globs ("fc.*") of weights that keep their present values, whether the file has them or not.
  std::vector<std::string> keep;
};

// Gives the constants of a graph the values of the same names in a file: safetensors, or a PyTorch state dict (.pth,
// both forms; also under "state_dict", "model" and the like, and with "module." before the names). float16, bfloat16
// and float64 are converted. Files are untrusted: nothing in them is executed. The graph stays as it was on error:
// missing, unexpected and wrong-shaped names in one sentence with the nearest names (kInvalidArgument), a damaged
// file (kDataCorrupt), contents other than tensors in dicts (kUnsupported).
// Matrices that the graph multiplies from the right (MatMul) are [in, out] in the graph and [out, in] in the file.
Status load_weights(Graph& graph, const std::string& path, const WeightOptions& options = {});

// Writes all weights and running statistics under the names, and in the layout, that load_weights reads. The file
// appears when it is complete.
Status save_safetensors(const Graph& graph, const std::string& path);

}  // namespace octet
