#include "support/label_networks.h"

#include <cmath>

#include "support/random_graph.h"

namespace octet::test {
namespace {

class Net {
 public:
  Graph graph;
  ValueId x;

  explicit Net(int64_t side) {
    x = graph.add_value("x", DType::kFloat32, Shape{Dim::named("N"), Dim::of(3), Dim::of(side), Dim::of(side)});
    graph.inputs = {x};
  }
  ValueId node(const char* op, std::vector<ValueId> in, const std::string& out, Attributes a = {}) {
    graph.add_node(op, std::move(in), {out}, std::move(a), "node_" + out);
    return graph.find_value(out);
  }
  // He initialization; `bias` of every output channel.
  ValueId conv(const std::string& name, ValueId in, int64_t from, int64_t to, int64_t kernel, int64_t stride,
               const std::vector<float>& bias = {}) {
    const double bound = std::sqrt(6.0 / static_cast<double>(from * kernel * kernel));
    const ValueId w =
        graph.add_constant(name + ".w", random_tensor(random_, {to, from, kernel, kernel}, -bound, bound));
    const ValueId b = graph.add_constant(
        name + ".b", Tensor::from<float>({to}, bias.empty() ? std::vector<float>(static_cast<size_t>(to)) : bias));
    return node("Conv", {in, w, b}, name,
                {{"pads", std::vector<int64_t>(4, kernel / 2)}, {"strides", std::vector<int64_t>{stride, stride}}});
  }
  ValueId unit(const std::string& name, ValueId in, int64_t from, int64_t to, int64_t stride) {
    return node("Relu", {conv(name + "_conv", in, from, to, 3, stride)}, name);
  }

 private:
  Random random_{11};
};

// [N, 5 + classes, h, w] to [N, 5 + classes, cells] with probabilities.
ValueId flat(Net& net, ValueId map, const std::string& name, int64_t classes) {
  Graph& g = net.graph;
  const ValueId sizes = g.add_constant(name + "_sizes", Tensor::from<int64_t>({2}, {4, 1 + classes}));
  g.add_node("Split", {map, sizes}, {name + "_box", name + "_logits"}, {{"axis", int64_t{1}}}, name + "_split");
  const ValueId chances = net.node("Sigmoid", {g.find_value(name + "_logits")}, name + "_chances");
  const ValueId joined =
      net.node("Concat", {g.find_value(name + "_box"), chances}, name + "_joined", {{"axis", int64_t{1}}});
  const ValueId shape = g.add_constant(name + "_shape", Tensor::from<int64_t>({3}, {0, 5 + classes, -1}));
  return net.node("Reshape", {joined, shape}, name + "_flat");
}

}  // namespace

Graph small_detector(bool as_rows, int64_t classes, int64_t side) {
  Net net(side);
  ValueId x = net.unit("c1", net.x, 3, 16, 2);
  x = net.unit("c2", x, 16, 24, 2);
  std::vector<ValueId> heads;
  std::vector<float> bias(static_cast<size_t>(5 + classes), -2.0F);
  std::fill_n(bias.begin(), 4, 0.5F);
  bias[2] = bias[3] = 1;
  int64_t from = 24;
  for (int level = 3; level <= 5; ++level) {
    const std::string name = "p" + std::to_string(level);
    x = net.unit(name, x, from, 32, 2);
    from = 32;
    const ValueId own = net.unit(name + "_own", x, 32, 32, 1);
    heads.push_back(net.conv("head" + std::to_string(level), own, 32, 5 + classes, 1, 1, bias));
  }
  Graph& g = net.graph;
  g.outputs = heads;
  if (as_rows) {
    std::vector<ValueId> rows;
    for (ValueId head : heads) rows.push_back(flat(net, head, g.value(head).name, classes));
    const ValueId all = net.node("Concat", rows, "all", {{"axis", int64_t{2}}});
    g.outputs = {net.node("Transpose", {all}, "rows", {{"perm", std::vector<int64_t>{0, 2, 1}}})};
  }
  for (ValueId id : g.outputs) g.value(id).dtype = DType::kFloat32;
  return g;
}

Graph small_segmenter(int64_t classes, int64_t side, bool half) {
  Net net(side);
  ValueId x = net.unit("c1", net.x, 3, 12, half ? 2 : 1);
  x = net.unit("c2", x, 12, 12, 1);
  net.graph.outputs = {net.conv("scores", x, 12, classes, 1, 1)};
  net.graph.value(net.graph.outputs[0]).dtype = DType::kFloat32;
  return net.graph;
}

}  // namespace octet::test
