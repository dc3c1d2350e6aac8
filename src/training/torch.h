// What the room uses of LibTorch, and its precompiled header: tensors, operators, autograd functions. Not
// <torch/torch.h>, which costs twice the time.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/grad_mode.h>
