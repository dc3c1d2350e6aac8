#include "support/random_graph.h"

#include <cmath>
#include <stdexcept>

#include "graph/shape_inference.h"

namespace octet::test {
namespace {

// A feature map [N, c, h, w] of the graph under construction.
struct Map {
  ValueId id;
  int64_t c, h, w;
};

class Builder {
 public:
  Builder(uint64_t seed, const RandomGraphOptions& options) : random_(seed), options_(options) {
    graph_.name = "random_" + std::to_string(seed);
    graph_.opset = options.opset != 0 ? options.opset : random_.pick<int>({13, 14, 17});
  }

  Graph build() {
    const int64_t c = random_.pick<int64_t>({2, 3, 4});
    const Shape shape = {Dim::named("N"), Dim::of(c), Dim::of(options_.image), Dim::of(options_.image)};
    const ValueId x = graph_.add_value("x", DType::kFloat32, shape);
    graph_.inputs = {x};
    maps_.push_back({x, c, options_.image, options_.image});
    const int64_t steps = random_.integer(options_.min_steps, options_.max_steps);
    for (int64_t i = 0; i < steps; ++i) step();
    head(maps_.back());
    if (random_.chance(0.4)) add_output(random_.pick(maps_).id);
    if (random_.chance(0.2)) add_output(random_.pick(maps_).id);
    if (const Status s = infer_shapes(graph_); !s.is_ok()) throw std::logic_error("random graph: " + s.message());
    return std::move(graph_);
  }

 private:
  using Step = void (Builder::*)(const Map&);

  void step() {
    static const std::vector<Step> kSteps = {&Builder::conv_block,
                                             &Builder::conv_block,
                                             &Builder::conv_block,
                                             &Builder::conv_block,
                                             &Builder::residual,
                                             &Builder::residual,
                                             &Builder::transposed,
                                             &Builder::batch_norm_step,
                                             &Builder::activation_step,
                                             &Builder::concat,
                                             &Builder::pool,
                                             &Builder::slice,
                                             &Builder::pad,
                                             &Builder::resize,
                                             &Builder::channel_constant,
                                             &Builder::identity,
                                             &Builder::dropout,
                                             &Builder::constant_chain,
                                             &Builder::shared_weights,
                                             &Builder::idle_ops,
                                             &Builder::dead_branch,
                                             &Builder::twins,
                                             &Builder::gate,
                                             &Builder::reshape_back};
    const Map from = random_.chance(0.75) ? maps_.back() : random_.pick(maps_);
    (this->*random_.pick(kSteps))(from);
  }

  // --- small helpers -------------------------------------------------------------------------------------------
  ValueId node(const std::string& op, std::vector<ValueId> inputs, Attributes attributes = {}) {
    const size_t i = graph_.add_node(op, std::move(inputs), {op + "_out"}, std::move(attributes));
    return graph_.nodes[i].outputs[0];
  }
  ValueId floats(const Dims& dims, double low, double high) {
    return graph_.add_constant("c", random_tensor(random_, dims, low, high));
  }
  ValueId ints(const std::vector<int64_t>& values) {
    return graph_.add_constant("i", Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values));
  }
  ValueId number(float value) { return graph_.add_constant("s", Tensor::scalar<float>(value)); }
  void push(ValueId id, int64_t c, int64_t h, int64_t w) { maps_.push_back({id, c, h, w}); }
  void push_like(ValueId id, const Map& map) { push(id, map.c, map.h, map.w); }
  void add_output(ValueId id) {
    if (!graph_.is_output(id) && id != graph_.inputs[0]) graph_.outputs.push_back(id);
  }

  ValueId weight(const Dims& dims, int64_t fan_in) {
    const double bound = std::sqrt(3.0 / static_cast<double>(fan_in));
    if (!options_.with_dequantize || !random_.chance(0.12)) return floats(dims, -bound, bound);
    Tensor q(DType::kInt8, dims);
    for (int64_t i = 0; i < q.numel(); ++i) q.data<int8_t>()[i] = static_cast<int8_t>(random_.integer(-127, 127));
    const ValueId scale = number(static_cast<float>(bound / 127.0));
    return node("DequantizeLinear", {graph_.add_constant("q", q), scale});
  }

  ValueId batch_norm(ValueId x, int64_t c) {
    Attributes attributes;
    if (random_.chance(0.5)) attributes["epsilon"] = static_cast<float>(random_.real(1e-5, 1e-2));
    return node("BatchNormalization",
                {x, floats({c}, -1.5, 1.5), floats({c}, -0.5, 0.5), floats({c}, -0.5, 0.5), floats({c}, 0.5, 1.5)},
                attributes);
  }

  ValueId conv(const Map& m, int64_t oc, int64_t k, int64_t stride, int64_t group, int64_t dilation) {
    const int64_t p = dilation * (k - 1) / 2;
    std::vector<ValueId> in = {m.id, weight({oc, m.c / group, k, k}, m.c / group * k * k)};
    if (random_.chance(0.5)) in.push_back(floats({oc}, -0.5, 0.5));
    Attributes a = {{"kernel_shape", std::vector<int64_t>{k, k}}, {"pads", std::vector<int64_t>{p, p, p, p}}};
    if (stride != 1) a["strides"] = std::vector<int64_t>{stride, stride};
    if (dilation != 1) a["dilations"] = std::vector<int64_t>{dilation, dilation};
    if (group != 1) a["group"] = group;
    return node("Conv", in, a);
  }

  ValueId hard_swish(ValueId x) {
    if (random_.chance(0.2)) return node("Mul", {x, node("HardSigmoid", {x}, {{"alpha", 1.0F / 6}, {"beta", 0.5F}})});
    const ValueId clip = node("Clip", {node("Add", {x, number(3)}), number(0), number(6)});
    switch (random_.integer(0, 3)) {
      case 0: return node("Div", {node("Mul", {x, clip}), number(6)});
      case 1: return node("Mul", {node("Mul", {clip, x}), number(1.0F / 6)});
      case 2: return node("Mul", {x, node("Div", {clip, number(6)})});
      default: return node("Mul", {node("Mul", {number(1.0F / 6), x}), clip});
    }
  }

  ValueId activation(ValueId x) {
    switch (random_.integer(0, 7)) {
      case 0: return node("LeakyRelu", {x}, {{"alpha", 0.1F}});
      case 1: return node("Mul", {x, node("Sigmoid", {x})});
      case 2: return hard_swish(x);
      case 3: return node("Clip", {x, number(0), number(6)});
      case 4: return node("Tanh", {x});
      default: return node("Relu", {x});
    }
  }

  // --- steps ---------------------------------------------------------------------------------------------------
  void conv_block(const Map& m) {
    const int64_t stride = m.h >= 6 && random_.chance(0.3) ? 2 : 1;
    const int64_t k = random_.pick<int64_t>({1, 3, 3});
    const bool depthwise = random_.chance(0.2);
    const int64_t group = depthwise ? m.c : (m.c % 2 == 0 && random_.chance(0.3) ? 2 : 1);
    const int64_t oc = depthwise ? m.c * random_.integer(1, 2) : group * random_.integer(1, 4);
    const int64_t dilation = k == 3 && random_.chance(0.2) ? 2 : 1;
    ValueId y = conv(m, oc, k, stride, group, dilation);
    const int64_t h = (m.h - 1) / stride + 1;
    const int64_t w = (m.w - 1) / stride + 1;
    if (random_.chance(0.15)) push(y, oc, h, w);  // the bare convolution gets other readers
    if (random_.chance(0.6)) y = batch_norm(y, oc);
    if (random_.chance(0.2)) y = node("Add", {y, floats({oc, 1, 1}, -0.5, 0.5)});
    if (random_.chance(0.7)) y = activation(y);
    push(y, oc, h, w);
  }

  void residual(const Map& m) {
    ValueId y = conv(m, m.c, 3, 1, 1, 1);
    if (random_.chance(0.7)) y = batch_norm(y, m.c);
    if (random_.chance(0.5)) y = node("Relu", {y});
    ValueId skip = m.id;
    if (random_.chance(0.3)) skip = conv(m, m.c, 1, 1, 1, 1);
    y = random_.chance(0.5) ? node("Add", {y, skip}) : node("Add", {skip, y});
    if (random_.chance(0.7)) y = node("Relu", {y});
    push_like(y, m);
  }

  void transposed(const Map& m) {
    if (m.h > 8 || m.h < 1) return;
    const int64_t group = m.c % 2 == 0 && random_.chance(0.5) ? 2 : 1;
    const int64_t oc_per_group = random_.integer(1, 3);
    std::vector<ValueId> in = {m.id, weight({m.c, oc_per_group, 2, 2}, m.c / group)};
    const int64_t oc = oc_per_group * group;
    if (random_.chance(0.5)) in.push_back(floats({oc}, -0.5, 0.5));
    Attributes a = {{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}};
    if (group != 1) a["group"] = group;
    ValueId y = node("ConvTranspose", in, a);
    if (random_.chance(0.7)) y = batch_norm(y, oc);
    push(y, oc, 2 * m.h, 2 * m.w);
  }

  void batch_norm_step(const Map& m) { push_like(batch_norm(m.id, m.c), m); }
  void activation_step(const Map& m) { push_like(activation(m.id), m); }
  void identity(const Map& m) { push_like(node("Identity", {m.id}), m); }
  void dropout(const Map& m) { push_like(node("Dropout", {m.id, number(0.3F)}), m); }

  void concat(const Map& m) {
    std::vector<ValueId> parts = {m.id};
    int64_t c = m.c;
    for (const Map& other : maps_)
      if (other.h == m.h && other.w == m.w && c + other.c <= 12 && random_.chance(0.5)) {
        parts.push_back(other.id);
        c += other.c;
      }
    push(node("Concat", parts, {{"axis", int64_t{1}}}), c, m.h, m.w);
  }

  void pool(const Map& m) {
    if (m.h < 4) return;
    const std::string op = random_.chance(0.5) ? "MaxPool" : "AveragePool";
    const Attributes a = {{"kernel_shape", std::vector<int64_t>{2, 2}}, {"strides", std::vector<int64_t>{2, 2}}};
    push(node(op, {m.id}, a), m.c, m.h / 2, m.w / 2);
  }

  void slice(const Map& m) {
    if (m.h < 4) return;
    if (random_.chance(0.5))
      push(node("Slice", {m.id, ints({0, 0}), ints({m.h, m.w}), ints({2, 3}), ints({2, 2})}), m.c, (m.h + 1) / 2,
           (m.w + 1) / 2);
    else if (m.c > 1) push(node("Slice", {m.id, ints({1}), ints({m.c}), ints({1})}), m.c - 1, m.h, m.w);
  }

  void pad(const Map& m) {
    if (m.h > 10) return;
    const bool channels = m.c < 8 && random_.chance(0.5);
    const std::vector<int64_t> pads =
        channels ? std::vector<int64_t>{0, 1, 0, 0, 0, 1, 0, 0} : std::vector<int64_t>{0, 0, 1, 0, 0, 0, 0, 1};
    const ValueId y = node("Pad", {m.id, ints(pads)});
    if (channels) push(y, m.c + 2, m.h, m.w);
    else push(y, m.c, m.h + 1, m.w + 1);
  }

  void resize(const Map& m) {
    if (m.h > 6) return;
    const ValueId scales = graph_.add_constant("scales", Tensor::from<float>({4}, {1, 1, 2, 2}));
    push(node("Resize", {m.id, kNoValue, scales},
              {{"mode", std::string("nearest")},
               {"coordinate_transformation_mode", std::string("asymmetric")},
               {"nearest_mode", std::string("floor")}}),
         m.c, 2 * m.h, 2 * m.w);
  }

  // A constant per channel after whatever comes before, a convolution among others.
  void channel_constant(const Map& m) {
    const ValueId x = random_.chance(0.6) ? conv(m, m.c, 1, 1, 1, 1) : m.id;
    const Dims dims = random_.pick<Dims>({{m.c, 1, 1}, {1, m.c, 1, 1}, {}});
    const std::string op = random_.pick<std::string>({"Mul", "Add", "Sub", "Div"});
    const ValueId c = floats(dims, 0.5, 1.5);
    const bool constant_first = random_.chance(0.3) && op != "Div";
    push_like(constant_first ? node(op, {c, x}) : node(op, {x, c}), m);
  }

  // (a * b + c)[:, None, None] of constants.
  void constant_chain(const Map& m) {
    const ValueId a = node("Mul", {floats({m.c}, -1, 1), floats({m.c}, -1, 1)});
    const ValueId b = node("Add", {a, number(0.25F)});
    const ValueId row = node("Unsqueeze", {b, ints({1, 2})});
    push_like(node("Add", {m.id, row}), m);
  }

  // One weight and one bias for two convolutions, each with a batch norm of its own.
  void shared_weights(const Map& m) {
    const ValueId w = floats({m.c, m.c, 1, 1}, -0.7, 0.7);
    const ValueId b = floats({m.c}, -0.5, 0.5);
    const Attributes a = {{"kernel_shape", std::vector<int64_t>{1, 1}}};
    const ValueId first = node("Relu", {batch_norm(node("Conv", {m.id, w, b}, a), m.c)});
    push_like(batch_norm(node("Conv", {first, w, b}, a), m.c), m);
  }

  void idle_ops(const Map& m) {
    ValueId y = m.id;
    switch (random_.integer(0, 6)) {
      case 0: y = node("Transpose", {y}, {{"perm", std::vector<int64_t>{0, 1, 2, 3}}}); break;
      case 1:
        y = node("Transpose", {y}, {{"perm", std::vector<int64_t>{0, 2, 3, 1}}});
        y = node("Transpose", {y}, {{"perm", std::vector<int64_t>{0, 3, 1, 2}}});
        break;
      case 2: y = node("Pad", {y, ints(std::vector<int64_t>(8, 0))}); break;
      case 3: y = node("Concat", {y}, {{"axis", int64_t{1}}}); break;
      case 4: y = node("Slice", {y, ints({0}), ints({m.c}), ints({1})}); break;
      case 5: y = node("Cast", {y}, {{"to", int64_t{1}}}); break;
      default: y = node("Mul", {y, number(1)});
    }
    push_like(y, m);
  }

  void dead_branch(const Map& m) { node("Relu", {conv(m, 2, 1, 1, 1, 1)}); }

  void twins(const Map& m) {
    const ValueId a = node("Sigmoid", {m.id});
    const ValueId b = node("Sigmoid", {m.id});
    push_like(node("Mul", {a, random_.chance(0.5) ? node("Relu", {b}) : b}), m);
  }

  // Squeeze and excitation: a gate per image and channel.
  void gate(const Map& m) {
    const ValueId pooled = node("GlobalAveragePool", {m.id});
    const ValueId squeezed = conv({pooled, m.c, 1, 1}, m.c, 1, 1, 1, 1);
    ValueId g = kNoValue;
    if (random_.chance(0.5)) g = node("Sigmoid", {squeezed});
    else g = node("Div", {node("Clip", {node("Add", {squeezed, number(3)}), number(0), number(6)}), number(6)});
    push_like(node("Mul", {m.id, g}), m);
  }

  // [N, c, h, w] -> [N, c, h * w] -> [N, c, h, w], the target computed from the tensor's own shape as exporters do.
  void reshape_back(const Map& m) {
    const ValueId flat = node("Reshape", {m.id, ints({0, 0, -1})});
    ValueId target = ints({0, m.c, m.h, m.w});
    if (options_.with_shape_ops) {
      const ValueId shape = node("Shape", {m.id});
      std::vector<ValueId> parts;
      for (int64_t i = 0; i < 4; ++i) {
        const ValueId at = graph_.add_constant("at", Tensor::scalar<int64_t>(i));
        parts.push_back(node("Unsqueeze", {node("Gather", {shape, at}, {{"axis", int64_t{0}}}), ints({0})}));
      }
      target = node("Concat", parts, {{"axis", int64_t{0}}});
    }
    push_like(node("Reshape", {random_.chance(0.5) ? node("Relu", {flat}) : flat, target}), m);
  }

  void head(const Map& m) {
    const ValueId flat = node("Flatten", {node("GlobalAveragePool", {m.id})});
    const int64_t classes = random_.integer(2, 5);
    ValueId y = kNoValue;
    if (random_.chance(0.3)) {
      y = node("MatMul", {flat, floats({m.c, classes}, -1, 1)});
    } else {
      const bool transposed = random_.chance(0.5);
      Attributes a;
      if (transposed) a["transB"] = int64_t{1};
      if (random_.chance(0.3)) a["alpha"] = 0.5F;
      if (random_.chance(0.3)) a["beta"] = 2.0F;
      std::vector<ValueId> in = {flat, floats(transposed ? Dims{classes, m.c} : Dims{m.c, classes}, -1, 1)};
      if (random_.chance(0.7)) in.push_back(floats(random_.pick<Dims>({{classes}, {1, classes}, {}}), -1, 1));
      y = node("Gemm", in, a);
    }
    if (random_.chance(0.4)) y = batch_norm(y, classes);
    if (random_.chance(0.4)) y = node("Add", {y, floats({classes}, -1, 1)});
    if (random_.chance(0.3)) y = node("Identity", {y});
    graph_.outputs.push_back(y);
    graph_.rename_value(y, "logits");
  }

  Random random_;
  RandomGraphOptions options_;
  Graph graph_;
  std::vector<Map> maps_;
};

}  // namespace

Tensor random_tensor(Random& random, const Dims& dims, double low, double high) {
  Tensor tensor(DType::kFloat32, dims);
  for (int64_t i = 0; i < tensor.numel(); ++i) tensor.data<float>()[i] = static_cast<float>(random.real(low, high));
  return tensor;
}

Graph random_cnn(uint64_t seed, const RandomGraphOptions& options) { return Builder(seed, options).build(); }

std::vector<Tensor> random_inputs(const Graph& graph, uint64_t seed, int64_t batch) {
  Random random(seed ^ 0xABCDEF);
  std::vector<Tensor> tensors;
  for (ValueId id : graph.inputs) {
    Dims dims;
    for (const Dim& d : graph.value(id).shape.value_or(Shape{}))
      dims.push_back(d.is_static() ? d.coefficient : batch * std::max<int64_t>(d.coefficient, 1));
    tensors.push_back(random_tensor(random, dims));
  }
  return tensors;
}

}  // namespace octet::test
