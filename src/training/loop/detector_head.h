// Where a detector of YOLOX's form has its values: found in the graph, read from a forward pass.
#pragma once

#include <string>
#include <vector>

#include "octet/graph.h"
#include "training/loop/label_loss.h"
#include "training/loop/sim_ota.h"

namespace octet::training {

// Two forms (metrics/detection.h decodes both). Rows: one output [n, cells, 5 + classes] for strides 8, 16 and 32, in
// which objectness and classes are probabilities. Maps: one output [n, 5 + classes, h, w] for each stride, in which
// they are the values before a sigmoid.
struct DetectorHead {
  bool maps = false;
  int64_t classes = 0;
  // Rows: the values before the sigmoids, for each stride in the order of the rows those that stand behind each other
  // in its channels: [n, 1 + classes, h, w] together. A loss on them is finite and has a gradient wherever a
  // probability rounds to 0 or 1, as quantized ones do. Empty when the graph does not lead to them.
  std::vector<std::vector<std::string>> logits;
};

// kInvalidArgument when the outputs have another form.
Result<DetectorHead> find_detector_head(const Graph& graph);

// The values of a batch, in float32 or wider. Cells are in the order of the strides, row by row.
struct RawPredictions {
  std::vector<GridCell> cells;
  at::Tensor boxes;       // [n, cells, 4]: x, y, w, h before decoding
  at::Tensor objectness;  // [n, cells]
  at::Tensor classes;     // [n, cells, classes]
  bool is_logits = true;  // else probabilities
};
// `width` and `height` of the network's input. kInvalidArgument when the outputs do not fit them.
Result<RawPredictions> read_predictions(const DetectorHead& head, const NetworkOutput& output, int64_t width,
                                        int64_t height);

// [n, cells, 4]: corners in pixels. centre = (xy + cell) * stride, size = exp(wh) * stride.
at::Tensor decode_boxes(const RawPredictions& raw);

}  // namespace octet::training
