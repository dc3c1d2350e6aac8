// Each file of reference operators lists what it implements; registry.cpp joins the lists.
//
// To add an operator: write it in the file of its family, add one row to that file's list, and it is found by name.
#pragma once

#include <span>

#include "kernels/ref/ref_op.h"

namespace octet {

std::span<const RefOpEntry> elementwise_unary_ops();
std::span<const RefOpEntry> elementwise_activation_ops();
std::span<const RefOpEntry> elementwise_binary_ops();
std::span<const RefOpEntry> elementwise_variadic_ops();
std::span<const RefOpEntry> logic_ops();
std::span<const RefOpEntry> reduce_ops();
std::span<const RefOpEntry> reduce_arg_ops();
std::span<const RefOpEntry> cast_ops();
std::span<const RefOpEntry> shape_ops();
std::span<const RefOpEntry> data_movement_ops();
std::span<const RefOpEntry> data_movement_slice_ops();
std::span<const RefOpEntry> data_movement_pad_ops();
std::span<const RefOpEntry> data_movement_gather_ops();
std::span<const RefOpEntry> data_movement_scatter_ops();
std::span<const RefOpEntry> generate_ops();
std::span<const RefOpEntry> einsum_ops();

std::span<const RefOpEntry> nn_conv_ops();
std::span<const RefOpEntry> nn_pool_ops();
std::span<const RefOpEntry> nn_norm_ops();
std::span<const RefOpEntry> nn_matmul_ops();
std::span<const RefOpEntry> nn_resize_ops();
std::span<const RefOpEntry> nn_quant_ops();
std::span<const RefOpEntry> nn_detect_ops();
std::span<const RefOpEntry> nn_softmax_ops();

}  // namespace octet
