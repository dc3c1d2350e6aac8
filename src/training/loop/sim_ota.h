// Which grid cells of an anchor-free detector learn which annotated box: SimOTA (Ge et al. 2021, arXiv 2107.08430,
// section 2.1), a dynamic top-k form of optimal transport assignment (arXiv 2103.14259).
#pragma once

#include <cstdint>
#include <vector>

#include "octet/data.h"

namespace octet::training {

// A place of the output: the cell in column x and row y of a grid whose cells are `stride` pixels wide.
struct GridCell {
  float x = 0, y = 0, stride = 1;
};

// What the network says of one image, for every cell.
struct CellPredictions {
  const float* boxes = nullptr;       // [cells, 4]: corners x1, y1, x2, y2 in pixels
  const float* objectness = nullptr;  // [cells], probabilities
  const float* classes = nullptr;     // [cells, class_count], probabilities
  int64_t class_count = 0;
};

struct CellMatch {
  int64_t cell = 0, target = 0;
  float iou = 0;  // of the cell's predicted box with the target
};

// Candidates are the cells whose centre lies inside of a box or within 2.5 strides of a box's centre, per axis. The
// cost of a candidate for a target is the binary cross-entropy of sqrt(objectness * class) plus 3 * -log(IoU), plus
// 100000 where the cell's centre is not in both. A target takes as many cells of the least cost (the lower one when
// equal) as the IoUs of its ten best candidates add up to, cut to a whole number and at least 1; a cell that several
// take goes to the target of the least cost of all. Targets with a label beyond the classes must not occur. Matches
// are in the order of cells.
std::vector<CellMatch> sim_ota(const std::vector<GridCell>& cells, const CellPredictions& predicted,
                               const std::vector<Box>& targets);

}  // namespace octet::training
