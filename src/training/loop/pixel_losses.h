// Losses of class scores for every pixel.
#pragma once

#include "training/torch.h"

namespace octet::training {

// Sum over the pixels whose label is not `ignored` of cross-entropy, with label smoothing as cross_entropy() has it.
// scores: [n, classes, h, w]; labels: int64 [n, h, w].
at::Tensor pixel_cross_entropy(const at::Tensor& scores, const at::Tensor& labels, int64_t ignored, double smoothing);

// Sum over the images of 1 - the mean over all classes of (2 sum p y + 1) / (sum p + sum y + 1), where p is softmax,
// y is 1 in the pixels of the class, and ignored pixels are left out (after Milletari et al. 2016, arXiv 1606.04797,
// section 3, without squares).
at::Tensor dice_loss(const at::Tensor& scores, const at::Tensor& labels, int64_t ignored);

}  // namespace octet::training
