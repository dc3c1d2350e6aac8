// What changed between opset 7 and opset 13.
#include <algorithm>
#include <limits>

#include "onnx/opset_rules.h"

namespace octet {
namespace {

Status require_single_output(UpgradeContext& context, Node& node, const char* why) {
  for (size_t i = 1; i < node.outputs.size(); ++i)
    if (context.is_read(node.outputs[i])) return unsupported(why);
  node.outputs.resize(std::min<size_t>(node.outputs.size(), 1));
  return Status::ok();
}

Status batch_norm_7_to_9(UpgradeContext&, Node& node) {
  if (node.attr_int("spatial", 1) == 0)
    return unsupported("batch normalization with statistics per position (spatial = 0) is not supported");
  node.attributes.erase("spatial");
  return Status::ok();
}

Status upsample_7_to_9(UpgradeContext& context, Node& node) {
  const std::vector<float> scales = node.attr_floats("scales");
  if (scales.empty()) return data_corrupt("it has no scales");
  node.attributes.erase("scales");
  set_input(node, 1, context.add_floats(node, "scales", scales));
  return Status::ok();
}

Status upsample_9_to_10(UpgradeContext&, Node& node) {
  node.op_type = "Resize";
  return Status::ok();
}

Status slice_1_to_10(UpgradeContext& context, Node& node) {
  if (node.attributes.count("starts") == 0 || node.attributes.count("ends") == 0)
    return data_corrupt("it has no starts or no ends");
  OCTET_RETURN_IF_ERROR(attr_to_input(context, node, "starts", 1));
  OCTET_RETURN_IF_ERROR(attr_to_input(context, node, "ends", 2));
  return attr_to_input(context, node, "axes", 3);
}

Status topk_1_to_10(UpgradeContext& context, Node& node) {
  if (node.attributes.count("k") == 0) return data_corrupt("it has no k");
  set_input(node, 1, context.add_ints(node, "k", {node.attr_int("k", 0)}));
  node.attributes.erase("k");
  return Status::ok();
}

// The mask became boolean.
Status dropout_7_to_10(UpgradeContext& context, Node& node) {
  return require_single_output(context, node, "the mask of Dropout before opset 10 is not supported");
}

// The ratio matters in training only; at inference Dropout hands its input on.
Status dropout_10_to_12(UpgradeContext&, Node& node) {
  node.attributes.erase("ratio");
  return Status::ok();
}

Status clip_6_to_11(UpgradeContext& context, Node& node) {
  const DType dtype = context.dtype_of(node.inputs.empty() ? kNoValue : node.inputs[0]);
  const float lowest = std::numeric_limits<float>::lowest();
  const float low = node.attr_float("min", lowest);
  const float high = node.attr_float("max", -lowest);
  node.attributes.erase("min");
  node.attributes.erase("max");
  if (low != lowest) {
    OCTET_ASSIGN(const ValueId id, context.add_scalar(node, "min", low, dtype));
    set_input(node, 1, id);
  }
  if (high != -lowest) {
    OCTET_ASSIGN(const ValueId id, context.add_scalar(node, "max", high, dtype));
    set_input(node, 2, id);
  }
  return Status::ok();
}

Status pad_2_to_11(UpgradeContext& context, Node& node) {
  const auto pads = node.attributes.find("pads");
  const bool valid = pads != node.attributes.end() && std::holds_alternative<std::vector<int64_t>>(pads->second);
  if (!valid) return data_corrupt("it has no pads");
  set_input(node, 1, context.add_ints(node, "pads", std::get<std::vector<int64_t>>(pads->second)));
  node.attributes.erase(pads);
  const float value = node.attr_float("value", 0.0f);
  node.attributes.erase("value");
  if (value == 0.0f) return Status::ok();
  OCTET_ASSIGN(const ValueId id, context.add_scalar(node, "value", value, context.dtype_of(node.inputs[0])));
  set_input(node, 2, id);
  return Status::ok();
}

bool shrinks_only(const Graph& graph, ValueId scales) {
  if (!graph.is_constant(scales) || graph.value(scales).constant->dtype() != DType::kFloat32) return false;
  const Tensor& t = *graph.value(scales).constant;
  const float* s = t.data<float>();
  return std::all_of(s, s + t.numel(), [](float v) { return v <= 1.0f; }) &&
         std::any_of(s, s + t.numel(), [](float v) { return v < 1.0f; });
}

// Resize-10 leaves open which neighbour is nearest. Source pixels are at index / scale; like ONNX Runtime, take the
// one at or before that point when enlarging and at or after it when shrinking.
Status resize_10_to_11(UpgradeContext& context, Node& node) {
  if (node.inputs.size() != 2) return data_corrupt("it must have the two inputs X and scales");
  std::string mode = node.attr_string("mode", "nearest");
  if (mode == "bilinear") mode = "linear";
  if (mode != "nearest" && mode != "linear") return unsupported("mode '" + mode + "' is not supported");
  const ValueId scales = node.inputs[1];
  node.attributes["mode"] = mode;
  node.attributes["coordinate_transformation_mode"] = std::string("asymmetric");
  if (mode == "nearest")
    node.attributes["nearest_mode"] = std::string(shrinks_only(context.graph, scales) ? "ceil" : "floor");
  node.inputs = {node.inputs[0], kNoValue, scales};
  return Status::ok();
}

Status scatter_9_to_11(UpgradeContext&, Node& node) {
  node.op_type = "ScatterElements";
  return Status::ok();
}

// Inputs that do not apply were empty tensors and are omitted since; one coordinate mode went away.
Status resize_11_to_13(UpgradeContext& context, Node& node) {
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    const ValueId id = node.inputs[i];
    if (context.graph.is_constant(id) && context.graph.value(id).constant->numel() == 0) node.inputs[i] = kNoValue;
  }
  while (!node.inputs.empty() && node.inputs.back() == kNoValue) node.inputs.pop_back();
  if (node.attr_string("coordinate_transformation_mode", "") != "tf_half_pixel_for_nn") return Status::ok();
  // floor((i + 0.5) / scale) is what half_pixel gives when 0.5 is added before the floor.
  if (node.attr_string("mode", "nearest") != "nearest" || node.attr_string("nearest_mode", "") != "floor")
    return unsupported(
        "coordinate_transformation_mode tf_half_pixel_for_nn is supported with nearest_mode floor only");
  node.attributes["coordinate_transformation_mode"] = std::string("half_pixel");
  node.attributes["nearest_mode"] = std::string("round_prefer_ceil");
  return Status::ok();
}

Status axes_to_input(UpgradeContext& context, Node& node) { return attr_to_input(context, node, "axes", 1); }

Status unsqueeze_1_to_13(UpgradeContext& context, Node& node) {
  if (node.attr_ints("axes").empty()) return data_corrupt("it has no axes");
  return axes_to_input(context, node);
}

Status split_2_to_13(UpgradeContext& context, Node& node) { return attr_to_input(context, node, "split", 1); }

// The only dimension from `axis` on that is not 1; the last one when all are; nothing when there are several.
std::optional<int64_t> only_axis(const Shape& shape, int64_t axis) {
  std::optional<int64_t> found;
  const auto rank = static_cast<int64_t>(shape.size());
  for (int64_t i = axis; i < rank; ++i) {
    if (shape[static_cast<size_t>(i)] == Dim::of(1)) continue;
    if (found) return std::nullopt;
    found = i;
  }
  return found ? found : std::optional<int64_t>(rank - 1);
}

// Until opset 12 the input was seen as a matrix: all dimensions from `axis` (default 1) on were one row.
Status softmax_1_to_13(UpgradeContext& context, Node& node) {
  if (node.inputs.size() != 1 || node.outputs.size() != 1)
    return data_corrupt("it must have one input and one output");
  const int64_t given = node.attr_int("axis", 1);
  const std::optional<Shape> shape = context.shape_of(node.inputs[0]);
  std::optional<int64_t> axis;
  if (shape && !shape->empty()) {
    const auto rank = static_cast<int64_t>(shape->size());
    const int64_t first = given < 0 ? given + rank : given;
    if (first < 0 || first > rank) return data_corrupt("axis " + std::to_string(given) + " is outside of the shape");
    if (first < rank) axis = only_axis(*shape, first);
  } else if (given == -1) {
    axis = -1;
  }
  if (axis) {
    node.attributes["axis"] = *axis;
    return Status::ok();
  }
  Node dims = context.make_node(node, "shape", "Shape", {node.inputs[0]});
  Node rows = context.make_node(node, "rows", "Flatten", {node.inputs[0]});
  rows.attributes["axis"] = given;
  const ValueId result = node.outputs[0];
  node.inputs[0] = rows.outputs[0];
  node.outputs[0] = context.graph.add_value(node.name + "_rows");
  node.attributes["axis"] = int64_t{1};
  Node restored = context.make_node(node, "restore", "Reshape", {node.outputs[0], dims.outputs[0]});
  restored.outputs[0] = result;
  context.before = {std::move(dims), std::move(rows)};
  context.after = {std::move(restored)};
  return Status::ok();
}

constexpr OpsetRule kRules[] = {
    {"BatchNormalization", 9, batch_norm_7_to_9},
    {"Upsample", 9, upsample_7_to_9},
    {"Upsample", 10, upsample_9_to_10},
    {"Slice", 10, slice_1_to_10},
    {"TopK", 10, topk_1_to_10},
    {"Dropout", 10, dropout_7_to_10},
    {"Clip", 11, clip_6_to_11},
    {"Pad", 11, pad_2_to_11},
    {"Resize", 11, resize_10_to_11},
    {"Scatter", 11, scatter_9_to_11},
    {"Dropout", 12, dropout_10_to_12},
    {"Resize", 13, resize_11_to_13},
    {"Squeeze", 13, axes_to_input},
    {"Unsqueeze", 13, unsqueeze_1_to_13},
    {"ReduceSum", 13, axes_to_input},
    {"Split", 13, split_2_to_13},
    {"Softmax", 13, softmax_1_to_13, true},
    {"LogSoftmax", 13, softmax_1_to_13, true},
    {"Hardmax", 13, softmax_1_to_13, true},
};

}  // namespace

std::span<const OpsetRule> rules_up_to_13() { return kRules; }

}  // namespace octet
