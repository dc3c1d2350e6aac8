#include "octet/zoo.h"

#include "base/text.h"
#include "graph/cost.h"
#include "zoo/builder.h"
#include "zoo/networks.h"
#include "zoo/state_names.h"

namespace octet {
namespace {

constexpr int64_t kMostClasses = 100'000;
constexpr int64_t kLargestSize = 4096;

struct Row {
  ZooNetwork network;
  int64_t multiple;  // the size must be one of this
  int64_t smallest;
  void (*build)(zoo::Builder& b);
};

const std::vector<Row>& rows() {
  static const char* const kClassify = "classification";
  static const char* const kTorchvision = "torchvision";
  static const char* const kResNet = "He et al., 2015, arXiv 1512.03385";
  static const char* const kMobileNetV3 = "Howard et al., 2019, arXiv 1905.02244";
  static const char* const kMobileNetV2 = "Sandler et al., 2018, arXiv 1801.04381";
  static const char* const kVgg = "Simonyan and Zisserman, 2014, arXiv 1409.1556";
  static const char* const kCifar = "pytorch_resnet_cifar10";
  static const std::vector<Row> all = {
      {{"resnet18", kClassify, 1000, 224, kTorchvision, kResNet}, 1, 32, zoo::build_resnet18},
      {{"resnet34", kClassify, 1000, 224, kTorchvision, kResNet}, 1, 32, zoo::build_resnet34},
      {{"resnet50", kClassify, 1000, 224, kTorchvision, kResNet}, 1, 32, zoo::build_resnet50},
      {{"resnet20_cifar", kClassify, 10, 32, kCifar, kResNet}, 1, 8, zoo::build_resnet20_cifar},
      {{"resnet56_cifar", kClassify, 10, 32, kCifar, kResNet}, 1, 8, zoo::build_resnet56_cifar},
      {{"mobilenet_v2", kClassify, 1000, 224, kTorchvision, kMobileNetV2}, 1, 32, zoo::build_mobilenet_v2},
      {{"mobilenet_v2_cifar", kClassify, 10, 32, kTorchvision, kMobileNetV2}, 1, 8, zoo::build_mobilenet_v2_cifar},
      {{"mobilenet_v3_small", kClassify, 1000, 224, kTorchvision, kMobileNetV3},
       1,
       32,
       zoo::build_mobilenet_v3_small},
      {{"mobilenet_v3_large", kClassify, 1000, 224, kTorchvision, kMobileNetV3},
       1,
       32,
       zoo::build_mobilenet_v3_large},
      {{"repvgg_a0", kClassify, 1000, 224, "timm", "Ding et al., 2021, arXiv 2101.03697"},
       1,
       32,
       zoo::build_repvgg_a0},
      {{"qarepvgg_a0", kClassify, 1000, 224, "", "Chu et al., 2022, arXiv 2212.01593"},
       1,
       32,
       zoo::build_qarepvgg_a0},
      {{"efficientnet_b0", kClassify, 1000, 224, kTorchvision, "Tan and Le, 2019, arXiv 1905.11946"},
       1,
       32,
       zoo::build_efficientnet_b0},
      {{"vgg11_bn", kClassify, 1000, 224, kTorchvision, kVgg}, 1, 32, zoo::build_vgg11_bn},
      {{"vgg16_bn", kClassify, 1000, 224, kTorchvision, kVgg}, 1, 32, zoo::build_vgg16_bn},
      {{"vit_tiny", kClassify, 1000, 224, "timm", "Touvron et al., 2020, arXiv 2012.12877"},
       16,
       16,
       zoo::build_vit_tiny},
      {{"yolo_nano", "detection", 80, 416, "", "after Ge et al., 2021, arXiv 2107.08430"},
       32,
       32,
       zoo::build_yolo_nano},
      {{"unet_small", "segmentation", 21, 256, "", "Ronneberger et al., 2015, arXiv 1505.04597"},
       16,
       32,
       zoo::build_unet_small},
  };
  return all;
}

Result<const Row*> find_row(const std::string& name) {
  std::vector<std::string> names;
  for (const Row& row : rows()) {
    if (row.network.name == name) return &row;
    names.push_back(row.network.name);
  }
  const std::string hint = did_you_mean(name, names);
  return not_found("the zoo has no network '" + name + "'." +
                   (hint.empty() ? " It has " + join(names, ", ") + "." : hint));
}

Status check(const Row& row, const ZooOptions& o) {
  if (o.classes < 1 || o.classes > kMostClasses)
    return invalid_argument("the number of classes must be 1 to " + std::to_string(kMostClasses) + ", not " +
                            std::to_string(o.classes));
  if (o.channels != 1 && o.channels != 3)
    return invalid_argument("the input has 1 channel (grey) or 3 (colour), not " + std::to_string(o.channels));
  if (o.size < row.smallest || o.size > kLargestSize || o.size % row.multiple != 0)
    return invalid_argument("the size must be " + std::to_string(row.smallest) + " to " +
                            std::to_string(kLargestSize) + " pixels" +
                            (row.multiple > 1 ? " and a multiple of " + std::to_string(row.multiple) : "") +
                            ", not " + std::to_string(o.size));
  return Status::ok();
}

Result<Graph> build(const std::string& name, const ZooOptions& wanted, bool with_values) {
  OCTET_ASSIGN(const Row* row, find_row(name));
  ZooOptions options = wanted;
  if (options.classes == 0) options.classes = row->network.classes;
  if (options.size == 0) options.size = row->network.size;
  OCTET_RETURN_IF_ERROR(check(*row, options).at(name));
  zoo::Builder builder(name, options, with_values);
  row->build(builder);
  return builder.finish().at(name);
}

}  // namespace

const std::vector<ZooNetwork>& zoo_networks() {
  static const std::vector<ZooNetwork> networks = [] {
    std::vector<ZooNetwork> all;
    for (const Row& row : rows()) all.push_back(row.network);
    return all;
  }();
  return networks;
}

Result<Graph> build_network(const std::string& name, const ZooOptions& options) { return build(name, options, true); }

NetworkCost network_cost(const Graph& graph) {
  NetworkCost cost;
  for (const zoo::StateValue& state : zoo::state_values(graph))
    if (state.trained) cost.parameters += graph.value(state.id).constant->numel();
  for (const Node& node : graph.nodes) cost.macs += multiply_accumulates(graph, node);
  return cost;
}

Result<NetworkCost> zoo_cost(const std::string& name, const ZooOptions& options) {
  OCTET_ASSIGN(const Graph graph, build(name, options, false));
  return network_cost(graph);
}

}  // namespace octet
