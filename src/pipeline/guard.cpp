#include "pipeline/guard.h"

#include "arith/quantize.h"
#include "metrics/similarity.h"
#include "pipeline/image_runner.h"

namespace octet {
namespace {

// A node and its twin: names of their outputs in the instrumented graph.
struct Twin {
  std::string node, exact, quantized;
};

Tensor zero_point_of(const QuantParams& p) {
  Tensor t(p.dtype, {});
  if (dtype_size(p.dtype) == 1) *t.data<uint8_t>() = static_cast<uint8_t>(p.zero_point_at(0));
  else *t.data<uint16_t>() = static_cast<uint16_t>(p.zero_point_at(0));
  return t;
}

class Instrumenter {
 public:
  Instrumenter(const Graph& graph, const QuantizationPlan& plan) : graph_(graph), plan_(plan) {}

  Result<std::vector<Twin>> run() {
    const std::vector<Node> original = graph_.nodes;
    for (const Node& node : original)
      if (node.is("Conv") || node.is("ConvTranspose") || node.is("Gemm") || node.is("MatMul"))
        OCTET_RETURN_IF_ERROR(add_twin(node));
    OCTET_RETURN_IF_ERROR(graph_.sort_topologically());
    return std::move(twins_);
  }
  const Graph& graph() const { return graph_; }

 private:
  // The quantizer that the plan puts between a tensor and this reader; null when it reads float.
  const QuantParams* quantizer_of(const Node& node, size_t input) const {
    const std::string& name = graph_.value(node.inputs[input]).name;
    const auto it = plan_.tensors.find(name);
    if (it == plan_.tensors.end() || it->second.dtype == DType::kFloat16) return nullptr;
    for (const TensorReader& reader : it->second.readers)
      if (reader.node == node.name && reader.input == static_cast<int>(input)) return plan_.params_of(name);
    return nullptr;
  }

  Result<ValueId> quantized_input(const Node& node, size_t input, const QuantParams& p) {
    const ValueId id = node.inputs[input];
    if (graph_.is_constant(id)) {
      OCTET_ASSIGN(Tensor rounded, fake_quantize(*graph_.value(id).constant, p));
      return graph_.add_constant("guard_weight", std::move(rounded));
    }
    if (!p.per_tensor() || !dtype_is_integer(p.dtype)) return id;
    const ValueId scale = graph_.add_constant("guard_scale", Tensor::scalar(p.scale[0]));
    const ValueId zero = graph_.add_constant("guard_zero", zero_point_of(p));
    const size_t q = graph_.add_node("QuantizeLinear", {id, scale, zero}, {"guard_q"});
    const size_t dq = graph_.add_node("DequantizeLinear", {graph_.nodes[q].outputs[0], scale, zero}, {"guard_dq"});
    return graph_.nodes[dq].outputs[0];
  }

  Status add_twin(const Node& node) {
    std::vector<ValueId> inputs = node.inputs;
    bool changed = false;
    for (size_t i = 0; i < 2 && i < inputs.size(); ++i) {
      const QuantParams* p = quantizer_of(node, i);
      if (p == nullptr) continue;
      OCTET_ASSIGN(inputs[i], quantized_input(node, i, *p));
      changed = true;
    }
    if (!changed) return Status::ok();
    const size_t twin = graph_.add_node(node.op_type, inputs, {"guard_out"}, node.attributes, "guard_node");
    const Value& exact = graph_.value(node.outputs[0]);
    Value& copy = graph_.value(graph_.nodes[twin].outputs[0]);
    copy.dtype = exact.dtype;
    copy.shape = exact.shape;
    twins_.push_back({node.name, exact.name, copy.name});
    return Status::ok();
  }

  Graph graph_;
  const QuantizationPlan& plan_;
  std::vector<Twin> twins_;
};

}  // namespace

Result<std::vector<LayerLoss>> isolated_losses(const Graph& graph, const QuantizationPlan& plan, const Dataset& data,
                                               const std::vector<int64_t>& images, const RunOptions& options) {
  Instrumenter instrumenter(graph, plan);
  OCTET_ASSIGN(const std::vector<Twin> twins, instrumenter.run());
  ExecutorOptions executor_options;
  for (const Twin& t : twins) {
    executor_options.taps.push_back(t.exact);
    executor_options.taps.push_back(t.quantized);
  }
  OCTET_ASSIGN(const std::unique_ptr<Executor> executor, Executor::create(instrumenter.graph(), executor_options));
  const int64_t group = std::max<int64_t>(1, fixed_batch(graph));
  const int64_t groups = static_cast<int64_t>(images.size()) / group;
  std::vector<std::vector<Similarity>> per_group(static_cast<size_t>(groups), std::vector<Similarity>(twins.size()));
  const auto body = [&](int, int64_t item) -> Status {
    const std::vector<int64_t> members(images.begin() + item * group, images.begin() + (item + 1) * group);
    OCTET_ASSIGN(const Batch batch, load_batch(graph, data, members, group));
    std::vector<Tensor> seen(executor_options.taps.size());
    const TapSink sink = [&](size_t tap, const TensorView& view) {
      seen[tap] = view.to_tensor();
      Tensor &exact = seen[tap & ~size_t{1}], &rounded = seen[tap | 1];
      if (!exact.defined() || !rounded.defined()) return;
      if (exact.dtype() == DType::kFloat32 && exact.dims() == rounded.dims())
        (void)per_group[static_cast<size_t>(item)][tap / 2].add(exact, rounded);  // types and sizes are equal
      exact = rounded = {};
    };
    return executor->run(batch.inputs, sink).status();
  };
  OCTET_RETURN_IF_ERROR(parallel_items(groups, options, "checking layers", group, groups * group, body));
  std::vector<LayerLoss> losses;
  for (size_t t = 0; t < twins.size(); ++t) {
    Similarity total;
    for (const std::vector<Similarity>& sums : per_group) total.merge(sums[t]);
    losses.push_back({twins[t].node, total.sqnr_db()});
  }
  return losses;
}

}  // namespace octet
