// Losses on the network's outputs.
#pragma once

#include <vector>

#include "training/torch.h"

namespace octet::training {

// Class indices [n] int64, and with mixup those of the partners: the loss is lambda times the one with `labels` plus
// (1 - lambda) times the one with `partner_labels`.
struct Targets {
  at::Tensor labels;
  at::Tensor partner_labels;  // undefined without mixup
  double lambda = 1;
};

// Mean over the batch of -log softmax(logits)[label]; with smoothing e the target is (1 - e) one-hot + e / classes
// (Szegedy et al. 2016, section 7). logits: [n, classes], computed in float32 or wider.
at::Tensor cross_entropy(const at::Tensor& logits, const Targets& targets, double smoothing);

// T^2 KL(softmax(teacher / T) || softmax(student / T)), mean over the batch (Hinton et al. 2015), for [n, classes];
// mean squared error over the teacher's mean square for outputs of any other shape.
at::Tensor distillation_loss(const at::Tensor& student, const at::Tensor& teacher, double temperature);

// Mean squared error.
at::Tensor feature_loss(const at::Tensor& student, const at::Tensor& teacher);

}  // namespace octet::training
