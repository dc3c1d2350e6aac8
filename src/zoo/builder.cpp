#include "zoo/builder.h"

#include <cmath>
#include <string_view>

#include "graph/shape_inference.h"
#include "graph/verify.h"

namespace octet::zoo {
namespace {

// LayerNormalization is an operator since opset 17, HardSwish since 14; Debian's libonnx reads 17.
constexpr int kOpset = 17;

std::vector<int64_t> square(int64_t n) { return {n, n}; }

}  // namespace

Builder::Builder(std::string name, const ZooOptions& options, bool with_values)
    : options_(options), with_values_(with_values) {
  graph_.name = std::move(name);
  graph_.opset = kOpset;
}

int64_t Builder::dim(ValueId x, size_t axis) const {
  const auto& shape = graph_.value(x).shape;
  return shape && axis < shape->size() ? (*shape)[axis].coefficient : 1;
}

int64_t Builder::shrunk(int64_t size, int64_t kernel, int64_t stride, int64_t pad) const {
  return (size + 2 * pad - kernel) / stride + 1;
}

ValueId Builder::op(const std::string& op_type, const std::string& path, std::vector<ValueId> inputs,
                    const Dims& tail, Attributes attributes) {
  const size_t node = graph_.add_node(op_type, std::move(inputs), {path}, std::move(attributes), path);
  const ValueId y = graph_.nodes[node].outputs[0];
  Shape shape = {Dim::named("N")};
  for (int64_t n : tail) shape.push_back(Dim::of(n));
  graph_.value(y).dtype = DType::kFloat32;
  graph_.value(y).shape = std::move(shape);
  return y;
}

ValueId Builder::weight(const std::string& name, const Dims& dims, const Init& init) {
  Result<Tensor> tensor = Tensor::create(DType::kFloat32, dims);
  if (!tensor.is_ok()) {
    fail(tensor.status().at("weight '" + name + "'"));
    return graph_.add_constant(name, Tensor(DType::kFloat32, {0}));
  }
  if (with_values_) initialize(*tensor, init, name, options_.seed);
  return graph_.add_constant(name, std::move(tensor).value());
}

ValueId Builder::scalar(float value) {
  const auto [it, fresh] = scalars_.try_emplace(value, kNoValue);
  if (fresh) it->second = graph_.add_constant("constant", Tensor::scalar<float>(value));
  return it->second;
}

ValueId Builder::integers(const std::string& name, const std::vector<int64_t>& values) {
  return graph_.add_constant(name, Tensor::from<int64_t>({static_cast<int64_t>(values.size())}, values));
}

ValueId Builder::integer(const std::string& name, int64_t value) {
  return graph_.add_constant(name, Tensor::scalar<int64_t>(value));
}

void Builder::unbatched(ValueId x, const Dims& dims) { graph_.value(x).shape = static_shape(dims); }

ValueId Builder::input() {
  const int64_t size = options_.size;
  const ValueId x = graph_.add_value(
      "input", DType::kFloat32, Shape{Dim::named("N"), Dim::of(options_.channels), Dim::of(size), Dim::of(size)});
  graph_.inputs.push_back(x);
  return x;
}

ValueId Builder::conv(const std::string& path, ValueId x, const ConvSpec& spec) {
  const int64_t pad = spec.kernel / 2;
  std::vector<ValueId> inputs = {
      x, weight(path + ".weight", {spec.channels, channels(x) / spec.groups, spec.kernel, spec.kernel}, manner.conv)};
  if (spec.bias) {
    Init init = manner.conv_bias;
    if (init.kind == Init::Kind::kUniformFanIn)  // of the weight
      init = {Init::Kind::kUniform,
              1.0 / std::sqrt(static_cast<double>(channels(x) / spec.groups * spec.kernel * spec.kernel))};
    inputs.push_back(weight(path + ".bias", {spec.channels}, init));
  }
  return op("Conv", path, std::move(inputs),
            {spec.channels, shrunk(dim(x, 2), spec.kernel, spec.stride, pad),
             shrunk(dim(x, 3), spec.kernel, spec.stride, pad)},
            {{"dilations", square(1)},
             {"group", spec.groups},
             {"kernel_shape", square(spec.kernel)},
             {"pads", std::vector<int64_t>{pad, pad, pad, pad}},
             {"strides", square(spec.stride)}});
}

ValueId Builder::up_conv(const std::string& path, ValueId x, int64_t channels_out) {
  const ValueId w = weight(path + ".weight", {channels(x), channels_out, 2, 2}, manner.conv);
  const ValueId b = weight(path + ".bias", {channels_out}, kZeros);
  return op("ConvTranspose", path, {x, w, b}, {channels_out, 2 * dim(x, 2), 2 * dim(x, 3)},
            {{"kernel_shape", square(2)}, {"strides", square(2)}});
}

ValueId Builder::batch_norm(const std::string& path, ValueId x) {
  const Dims c = {channels(x)};
  std::vector<ValueId> inputs = {x, weight(path + ".weight", c, kOnes), weight(path + ".bias", c, kZeros),
                                 weight(path + ".running_mean", c, kZeros), weight(path + ".running_var", c, kOnes)};
  return op("BatchNormalization", path, std::move(inputs), {channels(x), dim(x, 2), dim(x, 3)},
            {{"epsilon", manner.norm.epsilon}, {"momentum", 1.0F - manner.norm.momentum}});
}

ValueId Builder::linear(const std::string& path, ValueId x, int64_t out) {
  const ValueId w = weight(path + ".weight", {out, dim(x, 1)}, manner.linear);
  Init init = manner.linear_bias;
  if (init.kind == Init::Kind::kUniformFanIn)
    init = {Init::Kind::kUniform, 1.0 / std::sqrt(static_cast<double>(dim(x, 1)))};
  return op("Gemm", path, {x, w, weight(path + ".bias", {out}, init)}, {out}, {{"transB", int64_t{1}}});
}

ValueId Builder::activate(const std::string& path, ValueId x, Activation activation) {
  const Dims tail = {channels(x), dim(x, 2), dim(x, 3)};
  const Dims shape = graph_.value(x).shape->size() == 2 ? Dims{channels(x)} : tail;
  switch (activation) {
    case Activation::kNone: return x;
    case Activation::kRelu: return op("Relu", path, {x}, shape);
    case Activation::kRelu6: return op("Clip", path, {x, scalar(0.0F), scalar(6.0F)}, shape);
    case Activation::kSilu: return op("Mul", path, {x, op("Sigmoid", path + ".sigmoid", {x}, shape)}, shape);
    case Activation::kHardSwish: return op("HardSwish", path, {x}, shape);
  }
  return x;
}

ValueId Builder::conv_norm(const std::string& path, ValueId x, const ConvSpec& spec, Activation activation) {
  return activate(path + ".2", batch_norm(path + ".1", conv(path + ".0", x, spec)), activation);
}

ValueId Builder::squeeze_excite(const std::string& path, ValueId x, int64_t squeezed, Activation inner,
                                const char* gate) {
  const int64_t c = channels(x);
  ValueId s = global_average(path + ".avgpool", x);
  s = activate(path + ".activation", conv(path + ".fc1", s, {.channels = squeezed, .bias = true}), inner);
  s = conv(path + ".fc2", s, {.channels = c, .bias = true});
  Attributes attributes;
  if (std::string_view(gate) == "HardSigmoid") attributes = {{"alpha", 1.0F / 6.0F}, {"beta", 0.5F}};
  s = op(gate, path + ".scale_activation", {s}, {c, 1, 1}, std::move(attributes));
  return op("Mul", path, {x, s}, {c, dim(x, 2), dim(x, 3)});
}

ValueId Builder::max_pool(const std::string& path, ValueId x, int64_t kernel, int64_t stride, int64_t pad) {
  return op("MaxPool", path, {x},
            {channels(x), shrunk(dim(x, 2), kernel, stride, pad), shrunk(dim(x, 3), kernel, stride, pad)},
            {{"kernel_shape", square(kernel)},
             {"pads", std::vector<int64_t>{pad, pad, pad, pad}},
             {"strides", square(stride)}});
}

ValueId Builder::average_pool(const std::string& path, ValueId x, int64_t kernel) {
  return op("AveragePool", path, {x}, {channels(x), dim(x, 2) / kernel, dim(x, 3) / kernel},
            {{"kernel_shape", square(kernel)}, {"strides", square(kernel)}});
}

ValueId Builder::global_average(const std::string& path, ValueId x) {
  return op("GlobalAveragePool", path, {x}, {channels(x), 1, 1});
}

ValueId Builder::upsample(const std::string& path, ValueId x, int64_t factor) {
  const auto f = static_cast<float>(factor);
  const ValueId scales = graph_.add_constant(path + ".scales", Tensor::from<float>({4}, {1, 1, f, f}));
  return op("Resize", path, {x, kNoValue, scales}, {channels(x), factor * dim(x, 2), factor * dim(x, 3)},
            {{"coordinate_transformation_mode", std::string("asymmetric")},
             {"mode", std::string("nearest")},
             {"nearest_mode", std::string("floor")}});
}

ValueId Builder::flatten(const std::string& path, ValueId x) {
  return op("Flatten", path, {x}, {channels(x) * dim(x, 2) * dim(x, 3)}, {{"axis", int64_t{1}}});
}

ValueId Builder::dropout(const std::string& path, ValueId x, float ratio) {
  return op("Dropout", path, {x, scalar(ratio)}, {dim(x, 1)});
}

ValueId Builder::add(const std::string& path, ValueId a, ValueId b) {
  return op("Add", path, {a, b}, {channels(a), dim(a, 2), dim(a, 3)});
}

ValueId Builder::concat(const std::string& path, const std::vector<ValueId>& parts) {
  int64_t c = 0;
  for (ValueId part : parts) c += channels(part);
  return op("Concat", path, parts, {c, dim(parts[0], 2), dim(parts[0], 3)}, {{"axis", int64_t{1}}});
}

void Builder::fail(Status status) {
  if (status_.is_ok()) status_ = std::move(status);
}

void Builder::output(ValueId x, const std::string& name) {
  graph_.rename_value(x, name);
  graph_.outputs.push_back(x);
}

Result<Graph> Builder::finish() {
  OCTET_RETURN_IF_ERROR(status_);
  OCTET_RETURN_IF_ERROR(infer_shapes(graph_));
  OCTET_RETURN_IF_ERROR(verify(graph_));
  return std::move(graph_);
}

}  // namespace octet::zoo
