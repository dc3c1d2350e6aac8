#include "training/loop/detector_head.h"

#include <algorithm>

#include "graph/shape_inference.h"

namespace octet::training {
namespace {

constexpr int64_t kBoxFields = 5;
constexpr int64_t kStrides[] = {8, 16, 32};  // of the form with rows

// The shape as far as it is known; -1 for an open dimension, no dimensions when nothing is known.
Dims shape_of(const Graph& graph, ValueId id) {
  Dims dims;
  const auto& shape = graph.value(id).shape;
  if (!shape) return dims;
  for (const Dim& d : *shape) dims.push_back(d.is_static() ? d.coefficient : -1);
  return dims;
}

Status no_detector(const Graph& graph) {
  std::string shapes;
  for (ValueId id : graph.outputs) shapes += (shapes.empty() ? "" : " and ") + dims_to_string(shape_of(graph, id));
  return invalid_argument("the network's output of shape " + shapes +
                          " is not that of a detector whose labels can be trained: YOLOX's [batch, cells, 5 + "
                          "classes], or one [batch, 5 + "
                          "classes, height, width] for each stride; 'octet qat --distill' works for any other");
}

class Search {
 public:
  explicit Search(const Graph& graph) : graph_(graph), index_(graph) {}

  const Node* producer(ValueId id) const {
    const int64_t node = index_.producer(id);
    return node < 0 ? nullptr : &graph_.nodes[static_cast<size_t>(node)];
  }
  // Behind what only moves elements.
  const Node* source(ValueId id) const {
    const Node* node = producer(id);
    while (node != nullptr && moves(*node)) node = producer(node->inputs[0]);
    return node;
  }
  // Adds one stride: a Concat of a box and of sigmoids of objectness and classes.
  bool add_level(const Node* concat, DetectorHead* head) const {
    if (concat == nullptr || !concat->is("Concat") || channels_of(concat->inputs[0]) != kBoxFields - 1) return false;
    std::vector<std::string> names;
    int64_t channels = 0;
    for (size_t i = 1; i < concat->inputs.size(); ++i) {
      const Node* node = producer(concat->inputs[i]);
      if (node == nullptr || !node->is("Sigmoid")) return false;
      names.push_back(graph_.value(node->inputs[0]).name);
      const int64_t own = channels_of(node->inputs[0]);
      if (own == 0) return false;
      channels += own;
    }
    if (channels != 1 + head->classes) return false;
    head->logits.push_back(std::move(names));
    return true;
  }
  void find_logits(DetectorHead* head) const {
    const Node* concat = source(graph_.outputs[0]);
    if (concat == nullptr || !concat->is("Concat") || add_level(concat, head)) return;
    for (ValueId level : concat->inputs) {
      if (add_level(source(level), head)) continue;
      head->logits.clear();
      return;
    }
  }

 private:
  static bool moves(const Node& node) {
    const char* const names[] = {"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"};
    return std::any_of(std::begin(names), std::end(names), [&](const char* name) { return node.is(name); });
  }
  // Of a known [n, channels, h, w]; else 0.
  int64_t channels_of(ValueId id) const {
    const Dims dims = shape_of(graph_, id);
    return dims.size() == 4 && dims[1] > 0 ? dims[1] : 0;
  }

  const Graph& graph_;
  GraphIndex index_;
};

// The maps must be what convolutions give, not probabilities: FastestDet's output looks alike.
bool ends_in_probabilities(const Search& search, ValueId id) {
  const auto squashes = [](const Node* node) {
    return node != nullptr && (node->is("Sigmoid") || node->is("Softmax") || node->is("HardSigmoid"));
  };
  const Node* node = search.producer(id);
  if (squashes(node)) return true;
  if (node == nullptr || !node->is("Concat")) return false;
  return std::any_of(node->inputs.begin(), node->inputs.end(),
                     [&](ValueId part) { return squashes(search.producer(part)); });
}

at::Tensor wide(const at::Tensor& x) { return x.scalar_type() == at::kDouble ? x : x.to(at::kFloat); }

void add_grid(int64_t columns, int64_t rows, int64_t stride, std::vector<GridCell>* cells) {
  for (int64_t y = 0; y < rows; ++y)
    for (int64_t x = 0; x < columns; ++x)
      cells->push_back({static_cast<float>(x), static_cast<float>(y), static_cast<float>(stride)});
}

Status not_of_size(const at::Tensor& output, int64_t width, int64_t height) {
  return invalid_argument("the detector's output has shape " +
                          dims_to_string(Dims(output.sizes().begin(), output.sizes().end())) +
                          ", which does not fit an input of " + std::to_string(width) + " x " +
                          std::to_string(height) + " pixels and YOLOX's strides");
}

// [n, channels, h, w] -> [n, h * w, channels].
at::Tensor as_rows(const at::Tensor& map) { return wide(map).flatten(2).transpose(1, 2); }

Result<RawPredictions> read_maps(const NetworkOutput& output, int64_t width, int64_t height) {
  RawPredictions raw;
  std::vector<at::Tensor> rows;
  for (const at::Tensor& map : output.outputs) {
    const bool fits = map.dim() == 4 && map.size(3) > 0 && map.size(2) > 0 && width % map.size(3) == 0 &&
                      height % map.size(2) == 0 && width / map.size(3) == height / map.size(2);
    if (!fits) return not_of_size(map, width, height);
    rows.push_back(as_rows(map));
    add_grid(map.size(3), map.size(2), width / map.size(3), &raw.cells);
  }
  const at::Tensor all = at::cat(rows, 1);
  raw.boxes = all.narrow(2, 0, 4);
  raw.objectness = all.select(2, 4);
  raw.classes = all.narrow(2, kBoxFields, all.size(2) - kBoxFields);
  return raw;
}

Result<RawPredictions> read_rows(const DetectorHead& head, const NetworkOutput& output, int64_t width,
                                 int64_t height) {
  RawPredictions raw;
  for (int64_t stride : kStrides) add_grid(width / stride, height / stride, stride, &raw.cells);
  const at::Tensor all = wide(output.outputs[0]);
  const auto cells = static_cast<int64_t>(raw.cells.size());
  if (all.dim() != 3 || all.size(1) != cells || all.size(2) <= kBoxFields) return not_of_size(all, width, height);
  raw.boxes = all.narrow(2, 0, 4);
  std::vector<at::Tensor> levels;
  for (const std::vector<std::string>& names : head.logits) {
    std::vector<at::Tensor> parts;
    for (const std::string& name : names) parts.push_back(output.module.kept(name));
    levels.push_back(as_rows(at::cat(parts, 1)));
  }
  const at::Tensor logits = levels.empty() ? at::Tensor() : at::cat(levels, 1);
  raw.is_logits = logits.defined() && logits.size(1) == cells;
  const at::Tensor chances = raw.is_logits ? logits : all.narrow(2, kBoxFields - 1, all.size(2) - kBoxFields + 1);
  raw.objectness = chances.select(2, 0);
  raw.classes = chances.narrow(2, 1, chances.size(2) - 1);
  return raw;
}

}  // namespace

Result<DetectorHead> find_detector_head(const Graph& network) {
  if (network.outputs.empty()) return invalid_argument("the network has no output");
  Graph graph = network;
  OCTET_RETURN_IF_ERROR(infer_shapes(graph));
  DetectorHead head;
  const Search search(graph);
  const Dims first = shape_of(graph, graph.outputs[0]);
  head.maps = first.size() == 4;
  if (!head.maps && (first.size() != 3 || graph.outputs.size() != 1)) return no_detector(graph);
  head.classes = (head.maps ? first[1] : first[2]) - kBoxFields;
  if (head.classes < 1) return no_detector(graph);
  if (head.maps)
    for (ValueId id : graph.outputs) {
      const Dims dims = shape_of(graph, id);
      if (dims.size() != 4 || dims[1] != first[1] || ends_in_probabilities(search, id)) return no_detector(graph);
    }
  else search.find_logits(&head);
  return head;
}

Result<RawPredictions> read_predictions(const DetectorHead& head, const NetworkOutput& output, int64_t width,
                                        int64_t height) {
  return head.maps ? read_maps(output, width, height) : read_rows(head, output, width, height);
}

at::Tensor decode_boxes(const RawPredictions& raw) {
  const auto count = static_cast<int64_t>(raw.cells.size());
  at::Tensor grid = at::empty({count, 3}, at::kFloat);
  float* next = grid.data_ptr<float>();
  for (const GridCell& cell : raw.cells)
    for (float v : {cell.x, cell.y, cell.stride}) *next++ = v;
  grid = grid.to(raw.boxes.options());
  const at::Tensor place = grid.narrow(1, 0, 2), stride = grid.narrow(1, 2, 1);
  const at::Tensor centre = (raw.boxes.narrow(2, 0, 2) + place) * stride;
  const at::Tensor half = raw.boxes.narrow(2, 2, 2).exp() * (stride / 2);
  return at::cat({centre - half, centre + half}, 2);
}

}  // namespace octet::training
