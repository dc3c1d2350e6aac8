#include <algorithm>
#include <type_traits>

#include "engine/program.h"
#include "metrics/similarity.h"
#include "pipeline/image_runner.h"

namespace octet {
namespace {

// A tensor of the engine and the value of the graph that it must equal.
struct Pair {
  size_t operation;  // that writes it
  engine::TensorId tensor;
  std::string value;
  std::string op_type;
};

std::vector<engine::TensorId> written_by(const engine::Operation& operation) {
  return std::visit(
      [](const auto& op) -> std::vector<engine::TensorId> {
        if constexpr (std::is_same_v<std::decay_t<decltype(op)>, engine::IslandOp>) return op.outputs;
        else return {op.dst};
      },
      operation);
}

bool is_code(DType dtype) { return dtype == DType::kUint8 || dtype == DType::kInt8; }

// The engine names a tensor of codes after a value of codes, after the real values that they stand for, or after what
// was quantized into them.
std::string matching_value(const Graph& graph, const GraphIndex& index, const engine::TensorInfo& tensor) {
  const ValueId id = graph.find_value(tensor.name);
  if (id == kNoValue || index.producer(id) < 0 || graph.is_output(id)) return {};  // outputs are compared anyway
  const Value& value = graph.value(id);
  const Node& maker = graph.nodes[static_cast<size_t>(index.producer(id))];
  if (tensor.dtype == DType::kFloat32) return value.dtype == DType::kFloat32 ? value.name : std::string();
  if (tensor.dtype != DType::kUint8) return {};
  if (is_code(value.dtype) || maker.is("DequantizeLinear")) return value.name;
  for (const GraphIndex::Use& use : index.uses(id)) {
    const Node& reader = graph.nodes[use.node];
    if (reader.is("QuantizeLinear") && use.input == 0) return graph.value(reader.outputs[0]).name;
  }
  return {};
}

std::vector<Pair> matching_tensors(const Graph& graph, const engine::Program& program) {
  const GraphIndex index(graph);
  std::vector<Pair> pairs;
  for (size_t o = 0; o < program.operations.size(); ++o)
    for (engine::TensorId id : written_by(program.operations[o])) {
      if (id < 0 || static_cast<size_t>(id) >= program.tensors.size()) continue;
      std::string value = matching_value(graph, index, program.tensors[static_cast<size_t>(id)]);
      if (value.empty()) continue;
      const std::string what = o < program.notes.size() ? program.notes[o].what : std::string();
      pairs.push_back({o, id, std::move(value), what});
    }
  return pairs;
}

// Both as float32: codes on the engine's unsigned grid, or real values. Undefined when the types do not belong
// together.
Tensor as_floats(const Tensor& t, int32_t shift) {
  Tensor out(DType::kFloat32, t.dims());
  float* dst = out.data<float>();
  for (int64_t i = 0; i < t.numel(); ++i)
    dst[i] = static_cast<float>((t.dtype() == DType::kInt8 ? t.data<int8_t>()[i] : t.data<uint8_t>()[i]) + shift);
  return out;
}

Tensor real_values(const Tensor& codes, const engine::TensorInfo& tensor) {
  Tensor out = as_floats(codes, -tensor.zero);
  for (int64_t i = 0; i < out.numel(); ++i) out.data<float>()[i] *= tensor.scale;
  return out;
}

void add_pair(Similarity& sum, const Tensor& simulated, const Tensor& engine_value,
              const engine::TensorInfo& tensor) {
  if (!simulated.defined() || !engine_value.defined() || simulated.numel() != engine_value.numel()) return;
  Tensor a = simulated, b = engine_value;
  if (is_code(a.dtype())) {
    a = as_floats(a, a.dtype() == DType::kInt8 ? 128 : 0);
    b = as_floats(b, 0);
  } else if (is_code(b.dtype())) {
    b = real_values(b, tensor);
  }
  (void)sum.add(a, b);  // cannot fail: both are float32 of one size
}

class EngineComparison {
 public:
  EngineComparison(const Graph& graph, std::shared_ptr<const Engine> engine, const Dataset& data,
                   const RunOptions& options)
      : graph_(graph), engine_(std::move(engine)), data_(data), options_(options) {}

  Result<CompareReport> run(int64_t images) {
    OCTET_RETURN_IF_ERROR(prepare(images));
    OCTET_RETURN_IF_ERROR(parallel_items(groups_, options_, "comparing", group_, count_,
                                         [&](int worker, int64_t item) { return run_group(worker, item); }));
    CompareReport report;
    report.count = count_;
    report.agreement = agreement(predicted_a_, predicted_b_);
    for (size_t p = 0; p < pairs_.size() + graph_.outputs.size(); ++p) report.tensors.push_back(summary(p));
    std::stable_sort(report.tensors.begin(), report.tensors.end(),
                     [](const TensorDifference& x, const TensorDifference& y) { return x.sqnr_db < y.sqnr_db; });
    return report;
  }

 private:
  Status prepare(int64_t images) {
    if (engine_->outputs().size() != graph_.outputs.size() || engine_->inputs().size() != graph_.inputs.size())
      return invalid_argument("the engine has " + std::to_string(engine_->inputs().size()) + " inputs and " +
                              std::to_string(engine_->outputs().size()) + " outputs, the network " +
                              std::to_string(graph_.inputs.size()) + " and " + std::to_string(graph_.outputs.size()) +
                              "; compare an engine with the network that it was compiled from");
    pairs_ = matching_tensors(graph_, engine_->program());
    ExecutorOptions executor_options;
    for (const Pair& pair : pairs_) executor_options.taps.push_back(pair.value);
    OCTET_ASSIGN(executor_, Executor::create(graph_, executor_options));
    group_ = std::max<int64_t>(1, std::max(fixed_batch(graph_), fixed_batch(network_inputs(*engine_))));
    count_ = images > 0 ? std::min(images, data_.size()) : data_.size();
    groups_ = (count_ + group_ - 1) / group_;
    sums_.assign(static_cast<size_t>(groups_), std::vector<Similarity>(pairs_.size() + graph_.outputs.size()));
    predicted_a_.resize(static_cast<size_t>(count_));
    predicted_b_.resize(static_cast<size_t>(count_));
    sessions_.resize(static_cast<size_t>(resolve_threads(options_.threads)));
    return Status::ok();
  }

  Result<std::vector<Tensor>> run_engine(int worker, const std::vector<Tensor>& inputs, std::vector<Tensor>* seen) {
    std::unique_ptr<Session>& session = sessions_[static_cast<size_t>(worker)];
    if (session == nullptr) {
      OCTET_ASSIGN(session, Session::create(engine_, {.threads = 1}));
    }
    session->set_probe([&](size_t operation) {
      for (size_t p = 0; p < pairs_.size(); ++p) {
        if (pairs_[p].operation != operation) continue;
        Result<Tensor> value = session->read_tensor(pairs_[p].tensor);
        if (value.is_ok()) (*seen)[p] = std::move(*value);
      }
    });
    Result<std::vector<Tensor>> outputs = session->run(inputs);
    session->set_probe({});
    return outputs;
  }

  Status run_group(int worker, int64_t item) {
    std::vector<int64_t> members;
    for (int64_t i = item * group_; i < std::min(count_, (item + 1) * group_); ++i) members.push_back(i);
    OCTET_ASSIGN(const Batch batch, load_batch(graph_, data_, members, group_));
    std::vector<Tensor> simulated(pairs_.size()), computed(pairs_.size());
    OCTET_ASSIGN(const std::vector<Tensor> out_a, executor_->run(batch.inputs, [&](size_t tap, const TensorView& v) {
      simulated[tap] = v.to_tensor();
    }));
    OCTET_ASSIGN(const std::vector<Tensor> out_b, run_engine(worker, batch.inputs, &computed));
    std::vector<Similarity>& sums = sums_[static_cast<size_t>(item)];
    for (size_t p = 0; p < pairs_.size(); ++p) add_pair(sums[p], simulated[p], computed[p], tensor_of(p));
    for (size_t k = 0; k < out_a.size(); ++k)
      if (out_a[k].dtype() == DType::kFloat32 && out_b[k].dtype() == DType::kFloat32 &&
          out_a[k].numel() == out_b[k].numel())
        (void)sums[pairs_.size() + k].add(out_a[k], out_b[k]);  // cannot fail: types and sizes were just compared
    const auto n = static_cast<int64_t>(members.size());
    const std::vector<int64_t> best_a = arg_max_rows(out_a[0], n), best_b = arg_max_rows(out_b[0], n);
    std::copy(best_a.begin(), best_a.end(), predicted_a_.begin() + item * group_);
    std::copy(best_b.begin(), best_b.end(), predicted_b_.begin() + item * group_);
    return Status::ok();
  }

  const engine::TensorInfo& tensor_of(size_t pair) const {
    return engine_->program().tensors[static_cast<size_t>(pairs_[pair].tensor)];
  }

  // Sums were kept by group and are added in the order of images: the report does not depend on the number of
  // threads.
  TensorDifference summary(size_t p) const {
    Similarity total;
    for (const std::vector<Similarity>& sums : sums_) total.merge(sums[p]);
    TensorDifference d;
    d.sqnr_db = total.sqnr_db();
    d.cosine = total.cosine();
    d.max_abs = total.max_abs_diff();
    d.is_output = p >= pairs_.size();
    d.tensor = d.is_output ? graph_.value(graph_.outputs[p - pairs_.size()]).name : pairs_[p].value;
    d.op_type = d.is_output ? std::string("graph") : pairs_[p].op_type;
    return d;
  }

  const Graph& graph_;
  std::shared_ptr<const Engine> engine_;
  const Dataset& data_;
  const RunOptions& options_;
  std::vector<Pair> pairs_;
  std::unique_ptr<Executor> executor_;
  std::vector<std::unique_ptr<Session>> sessions_;  // by worker
  int64_t group_ = 1, count_ = 0, groups_ = 0;
  std::vector<std::vector<Similarity>> sums_;  // by group of images: pairs, then outputs
  std::vector<int64_t> predicted_a_, predicted_b_;
};

}  // namespace

Result<CompareReport> compare(const Graph& graph, std::shared_ptr<const Engine> engine, const Dataset& data,
                              int64_t images, const RunOptions& options) {
  return EngineComparison(graph, std::move(engine), data, options).run(images);
}

}  // namespace octet
