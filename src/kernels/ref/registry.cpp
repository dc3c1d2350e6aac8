#include <algorithm>

#include "kernels/ref/op_lists.h"
#include "kernels/ref/ref_op.h"

namespace octet {
namespace {

std::vector<RefOpEntry> sorted_entries() {
  std::vector<RefOpEntry> all;
  for (std::span<const RefOpEntry> list : {elementwise_unary_ops(),
                                           elementwise_activation_ops(),
                                           elementwise_binary_ops(),
                                           elementwise_variadic_ops(),
                                           logic_ops(),
                                           reduce_ops(),
                                           reduce_arg_ops(),
                                           cast_ops(),
                                           shape_ops(),
                                           data_movement_ops(),
                                           data_movement_slice_ops(),
                                           data_movement_pad_ops(),
                                           data_movement_gather_ops(),
                                           data_movement_scatter_ops(),
                                           generate_ops(),
                                           einsum_ops(),
                                           nn_conv_ops(),
                                           nn_pool_ops(),
                                           nn_norm_ops(),
                                           nn_matmul_ops(),
                                           nn_resize_ops(),
                                           nn_quant_ops(),
                                           nn_detect_ops(),
                                           nn_softmax_ops()}) {
    all.insert(all.end(), list.begin(), list.end());
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.op_type < b.op_type; });
  return all;
}

const std::vector<RefOpEntry>& entries() {
  static const std::vector<RefOpEntry> sorted = sorted_entries();
  return sorted;
}

}  // namespace

RefOp find_ref_op(std::string_view op_type) {
  const auto& all = entries();
  auto it = std::lower_bound(all.begin(), all.end(), op_type,
                             [](const RefOpEntry& entry, std::string_view name) { return entry.op_type < name; });
  return it != all.end() && it->op_type == op_type ? it->run : nullptr;
}

std::vector<std::string_view> all_ref_ops() {
  std::vector<std::string_view> names;
  for (const RefOpEntry& entry : entries()) names.push_back(entry.op_type);
  return names;
}

}  // namespace octet
