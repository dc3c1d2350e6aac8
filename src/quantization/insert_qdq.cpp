// Plan + float graph -> the graph with QuantizeLinear and DequantizeLinear.
#include <bit>
#include <cmath>
#include <set>
#include <tuple>

#include "arith/float_formats.h"
#include "arith/quantize.h"
#include "graph/verify.h"
#include "octet/quantization.h"
#include "onnx/opset_upgrade.h"
#include "quantization/plan_check.h"

namespace octet {
namespace {

// A zero point tensor of the right type: it also tells QuantizeLinear what to produce.
Tensor zero_point_tensor(DType dtype, const Dims& dims, const std::vector<int32_t>& values) {
  Tensor t(dtype, dims);
  for (int64_t i = 0; i < t.numel(); ++i) {
    const int32_t v = values.empty() ? 0 : values[static_cast<size_t>(i)];
    if (dtype_size(dtype) == 1) t.data<uint8_t>()[i] = static_cast<uint8_t>(v);
    else t.data<uint16_t>()[i] = static_cast<uint16_t>(v);
  }
  return t;
}

class Inserter {
 public:
  Inserter(Graph graph, const QuantizationPlan& plan) : graph_(std::move(graph)), plan_(plan) {
    old_nodes_ = std::move(graph_.nodes);
    graph_.nodes.clear();
    for (const Node& n : old_nodes_) {
      node_names_.insert(n.name);
      if (n.is("Gemm") || n.is("MatMul")) matrix_ops_.insert(n.name);
    }
    for (const auto& [name, t] : plan.tensors)
      for (const TensorReader& reader : t.readers) readers_[{reader.node, reader.input}] = graph_.find_value(name);
    for (const NodePlan& n : plan.nodes)
      if (n.integer_bias) integer_bias_.insert(n.name);
  }

  Result<Graph> run() {
    for (ValueId input : graph_.inputs) OCTET_RETURN_IF_ERROR(quantize_value(input));
    for (Node& node : old_nodes_) {
      OCTET_RETURN_IF_ERROR(rewire(node));
      const std::vector<ValueId> outputs = node.outputs;
      graph_.nodes.push_back(std::move(node));
      for (ValueId out : outputs)
        if (out != kNoValue) OCTET_RETURN_IF_ERROR(quantize_value(out));
    }
    graph_.compact();
    OCTET_RETURN_IF_ERROR(verify(graph_).at("after the quantizers were inserted"));
    return std::move(graph_);
  }

 private:
  Status rewire(Node& node) {
    const std::vector<ValueId> original = node.inputs;
    for (size_t k = 0; k < node.inputs.size(); ++k) {
      const auto it = readers_.find({node.name, static_cast<int>(k)});
      if (it == readers_.end()) continue;
      if (graph_.is_constant(it->second)) OCTET_RETURN_IF_ERROR(quantize_value(it->second));
      const auto done = dequantized_.find(it->second);
      if (done == dequantized_.end()) return internal_error("'" + node.name + "' comes before its quantized input");
      node.inputs[k] = done->second;
    }
    if (integer_bias_.count(node.name) != 0) OCTET_RETURN_IF_ERROR(quantize_bias(node, original));
    return Status::ok();
  }

  // Puts the tensor's Q/DQ pair (or its codes and DQ, or float16 and Cast) at the end of the nodes, once.
  Status quantize_value(ValueId id) {
    const std::string name = graph_.value(id).name;
    const auto it = plan_.tensors.find(name);
    if (it == plan_.tensors.end() || it->second.readers.empty() || dequantized_.count(id) != 0) return Status::ok();
    if (it->second.dtype == DType::kFloat16) return store_float16(id, name);
    const QuantParams& p = *plan_.params_of(name);
    if (graph_.is_constant(id)) return store_codes(id, name, p);
    add_pair(id, name, p);
    return Status::ok();
  }

  void add_pair(ValueId id, const std::string& name, const QuantParams& p) {
    const ValueId scale = shared_scale(p), zero = shared_zero_point(p);
    const ValueId codes = add_output("QuantizeLinear", {id, scale, zero}, name + "_q", id, p.dtype, {});
    dequantized_[id] = add_output("DequantizeLinear", {codes, scale, zero}, name + "_dq", id, DType::kFloat32, {});
  }

  Status store_codes(ValueId id, const std::string& name, const QuantParams& p) {
    auto codes = quantize(*graph_.value(id).constant, p);
    if (!codes.is_ok()) return codes.status().at("tensor '" + name + "'");
    const ValueId stored = graph_.add_constant(name + "_q", std::move(*codes));
    std::vector<ValueId> inputs{stored};
    Attributes attributes;
    if (p.per_tensor()) {
      inputs.push_back(shared_scale(p));
      if (p.zero_point_at(0) != 0 || needs_zero_point(id, p)) inputs.push_back(shared_zero_point(p));
    } else {
      Dims dims = graph_.value(id).constant->dims();
      if (p.block_size > 0) {
        int64_t& along = dims[static_cast<size_t>(p.axis)];
        along = (along + p.block_size - 1) / p.block_size;
        attributes["block_size"] = p.block_size;
      } else {
        dims = {dims[static_cast<size_t>(p.axis)]};
      }
      inputs.push_back(graph_.add_constant(short_name("c"), Tensor::from<float>(dims, p.scale)));
      if (!p.zero_point.empty() || needs_zero_point(id, p))
        inputs.push_back(graph_.add_constant(short_name("w"), zero_point_tensor(p.dtype, dims, p.zero_point)));
      if (p.axis != 1) attributes["axis"] = static_cast<int64_t>(p.axis);  // 1 is the operator's default
    }
    dequantized_[id] =
        add_output("DequantizeLinear", std::move(inputs), name + "_dq", id, DType::kFloat32, attributes);
    return Status::ok();
  }

  // The operator's zero point defaults to 0, but ONNX Runtime 1.32 fuses Gemm and MatMul only when it is written out,
  // and its exact mode (session.x64quantprecision) breaks INT8 weights that come without, or that share one.
  bool needs_zero_point(ValueId id, const QuantParams& p) const {
    if (p.dtype == DType::kInt8) return true;
    for (const auto& [reader, value] : readers_)
      if (value == id && matrix_ops_.count(reader.first) != 0) return true;
    return false;
  }

  Status store_float16(ValueId id, const std::string& name) {
    auto half = cast_tensor(*graph_.value(id).constant, DType::kFloat16);
    if (!half.is_ok()) return half.status().at("tensor '" + name + "'");
    const ValueId stored = graph_.add_constant(name + "_h", std::move(*half));
    constexpr int64_t kOnnxFloat = 1;  // TensorProto.FLOAT
    dequantized_[id] = add_output("Cast", {stored}, name + "_f", id, DType::kFloat32, {{"to", kOnnxFloat}});
    return Status::ok();
  }

  // Codes of scale s_input * s_weight, which are what the integer accumulators start from.
  Status quantize_bias(Node& node, const std::vector<ValueId>& original) {
    const bool rewired = node.inputs[0] != original[0] && node.inputs[1] != original[1];
    if (original.size() < 3 || !rewired) return Status::ok();  // a line was deleted from the plan: both stay in float
    const QuantParams* x = plan_.params_of(graph_.value(original[0]).name);
    const QuantParams* w = plan_.params_of(graph_.value(original[1]).name);
    const bool integers = x != nullptr && w != nullptr && dtype_is_integer(x->dtype) && dtype_is_integer(w->dtype);
    if (!integers || w->block_size > 0) return Status::ok();
    OCTET_RETURN_IF_ERROR(check_bias(node, original[2], *w));
    const std::string name = graph_.value(original[2]).name;
    const Tensor bias = *graph_.value(original[2]).constant;
    const int64_t n = bias.numel();
    Tensor codes(DType::kInt32, {n});
    std::vector<float> scales;
    for (int64_t c = 0; c < n; ++c) {
      const float scale = x->scale[0] * w->scale[w->per_tensor() ? 0 : static_cast<size_t>(c)];
      const double code = static_cast<double>(bias.data<float>()[c]) / scale;
      if (!(std::fabs(code) < 2147483647.0))
        return invalid_argument("node '" + node.name + "': its bias does not fit in int32 at scale " +
                                std::to_string(scale) + " (channel " + std::to_string(c) +
                                "); give its weight a larger scale, or set \"bias\": \"float32\" for this node");
      codes.data<int32_t>()[c] = quantize_bias_value(bias.data<float>()[c], scale);
      if (!w->per_tensor() || c == 0) scales.push_back(scale);
    }
    const Dims dims = w->per_tensor() ? Dims{} : Dims{n};
    const ValueId stored = graph_.add_constant(name + "_q", std::move(codes));
    const ValueId scale = graph_.add_constant(short_name("b"), Tensor::from<float>(dims, scales));
    Attributes attributes;
    if (!w->per_tensor()) attributes["axis"] = int64_t{0};
    node.inputs[2] =
        add_output("DequantizeLinear", {stored, scale}, name + "_dq", original[2], DType::kFloat32, attributes);
    return Status::ok();
  }

  Status check_bias(const Node& node, ValueId id, const QuantParams& w) const {
    const bool usable = graph_.is_constant(id) && graph_.value(id).constant->dtype() == DType::kFloat32 &&
                        graph_.value(id).constant->rank() == 1;
    if (usable && (w.per_tensor() || graph_.value(id).constant->numel() == static_cast<int64_t>(w.scale.size())))
      return Status::ok();
    return invalid_argument("/nodes: '" + node.name +
                            "' cannot have an int32 bias: its bias must be a constant with " +
                            "one value per output channel; set \"bias\": \"float32\" there");
  }

  // Quantizers with equal scales share the initializer.
  ValueId shared_scale(const QuantParams& p) {
    const auto [it, fresh] = scales_.emplace(std::bit_cast<uint32_t>(p.scale[0]), kNoValue);
    if (fresh) it->second = graph_.add_constant("s" + std::to_string(scales_.size()), Tensor::scalar(p.scale[0]));
    return it->second;
  }

  ValueId shared_zero_point(const QuantParams& p) {
    const int32_t zero = p.zero_point_at(0);
    const auto [it, fresh] = zero_points_.emplace(std::pair(p.dtype, zero), kNoValue);
    if (fresh)
      it->second =
          graph_.add_constant("z" + std::to_string(zero_points_.size()), zero_point_tensor(p.dtype, {}, {zero}));
    return it->second;
  }

  // Scales and zero points of weights and biases; their long names would cost a small network its size ratio.
  std::string short_name(const char* kind) { return kind + std::to_string(++constant_count_); }

  // A node with one output that has the shape of `like`.
  ValueId add_output(const char* op, std::vector<ValueId> inputs, const std::string& name, ValueId like, DType dtype,
                     Attributes attributes) {
    const std::optional<Shape> shape = graph_.value(like).shape;
    const ValueId out = graph_.add_value(name, dtype, shape);
    Node node;
    do
      node.name =
          std::string(1, op[0] == 'Q' ? 'q' : 'd') + std::to_string(++node_count_);  // short: files count bytes
    while (!node_names_.insert(node.name).second);
    node.op_type = op;
    node.inputs = std::move(inputs);
    node.outputs = {out};
    node.attributes = std::move(attributes);
    graph_.nodes.push_back(std::move(node));
    return out;
  }

  Graph graph_;
  const QuantizationPlan& plan_;
  std::vector<Node> old_nodes_;
  std::set<std::string> node_names_;
  std::set<std::string> matrix_ops_;
  int node_count_ = 0;
  std::map<std::pair<std::string, int>, ValueId> readers_;
  std::set<std::string> integer_bias_;
  std::map<ValueId, ValueId> dequantized_;
  std::map<uint32_t, ValueId> scales_;
  std::map<std::pair<DType, int32_t>, ValueId> zero_points_;
  int constant_count_ = 0;
};

}  // namespace

Result<Graph> SelectiveQuantizer::quantize_module(const Graph& graph, const QuantizationPlan& plan) const {
  const std::string fingerprint = plan.fingerprint.empty() ? "" : graph_fingerprint(graph);
  if (plan.fingerprint != fingerprint)
    return invalid_argument("the plan was made for another network (fingerprint " + plan.fingerprint +
                            ", this one has " + fingerprint + "); make a plan for this network");
  OCTET_RETURN_IF_ERROR(check_plan(graph, plan));
  QuantizationPlan honoured = plan;
  honour_decisions(graph, &honoured);
  Graph work = graph;
  const int opset = opset_for(honoured);
  if (work.opset < opset) OCTET_RETURN_IF_ERROR(upgrade_opset(work, opset));
  return Inserter(std::move(work), honoured).run();
}

}  // namespace octet
