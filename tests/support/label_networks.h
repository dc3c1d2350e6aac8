// Small networks for pictures of scenes.h, in the forms that labels can train.
#pragma once

#include "octet/graph.h"

namespace octet::test {

// Input "x" [N, 3, side, side], strides 8, 16 and 32. As rows: one output [N, cells, 5 + classes] with probabilities,
// as YOLOX is exported; else one map [N, 5 + classes, h, w] of raw scores for each stride. The weights of both are
// the same. `side` is a multiple of 32.
Graph small_detector(bool as_rows, int64_t classes, int64_t side);

// Input "x" [N, 3, side, side], output [N, classes, side, side] of scores, or of half the side.
Graph small_segmenter(int64_t classes, int64_t side, bool half = false);

}  // namespace octet::test
