// Losses of boxes and probabilities, element by element.
#pragma once

#include "octet/training_recipe.h"
#include "training/torch.h"

namespace octet::training {

// [n] of [n, 4] corners against [n, 4]: 1 - IoU^2, or 1 - GIoU (arXiv 1902.09630, algorithm 1).
at::Tensor box_loss(const at::Tensor& boxes, const at::Tensor& targets, BoxLoss kind);

// Binary cross-entropy of targets from 0 to 1, in the shape of `values`: logits, or probabilities. The latter are
// kept 1e-4 away from 0 and 1, gradients pass straight through: where a probability rounds to 0 the gradient stays
// bounded.
at::Tensor binary_loss(const at::Tensor& values, const at::Tensor& targets, bool is_logits);

}  // namespace octet::training
