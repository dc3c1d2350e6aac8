#include "graph/shape_inference.h"

#include <algorithm>

#include "base/text.h"
#include "graph/infer/follow.h"
#include "graph/infer/op_inference.h"

namespace octet {
namespace {

// All followed elements of one graph together; beyond it, shapes that depend on further ones stay unknown.
constexpr int64_t kMostFollowed = 1 << 20;

class Inference {
 public:
  Inference(Graph& graph, const std::map<std::string, Dims>& input_dims)
      : graph_(graph), input_dims_(input_dims), followed_(graph.value_count()) {}

  Status run() {
    OCTET_RETURN_IF_ERROR(check_ids());
    OCTET_RETURN_IF_ERROR(replace_input_dims());
    OCTET_RETURN_IF_ERROR(start_from_scratch());
    for (const Node& node : graph_.nodes) {
      const Status inferred = infer_node(node);
      if (!inferred.is_ok())
        return Status(inferred.code(), inferred.message() + describe_inputs(node))
            .at("node '" + node.name + "' (" + node.op_type + ")");
    }
    return Status::ok();
  }

 private:
  // verify() says more; this is only what keeps the code below within bounds.
  Status check_ids() const {
    const auto valid = [&](const std::vector<ValueId>& ids, bool optional) {
      return std::all_of(ids.begin(), ids.end(), [&](ValueId id) {
        return (optional && id == kNoValue) || (id >= 0 && static_cast<size_t>(id) < graph_.value_count());
      });
    };
    if (!valid(graph_.inputs, false) || !valid(graph_.outputs, false))
      return data_corrupt("a graph input or output refers to a value that does not exist");
    for (const Node& node : graph_.nodes)
      if (!valid(node.inputs, true) || !valid(node.outputs, true))
        return data_corrupt("node '" + node.name + "' refers to a value that does not exist");
    return Status::ok();
  }

  Status replace_input_dims() {
    std::vector<std::string> names;
    for (ValueId id : graph_.inputs) names.push_back(graph_.value(id).name);
    for (const auto& [name, dims] : input_dims_) {
      const ValueId id = graph_.find_value(name);
      if (std::find(graph_.inputs.begin(), graph_.inputs.end(), id) == graph_.inputs.end())
        return not_found("the graph has no input '" + name + "'." + did_you_mean(name, names));
      Value& v = graph_.value(id);
      OCTET_RETURN_IF_ERROR(checked_numel(dims).status().at("input '" + name + "'"));
      if (v.shape && v.shape->size() != dims.size())
        return invalid_argument("input '" + name + "' has the shape " + shape_to_string(*v.shape) +
                                ", which cannot become " + dims_to_string(dims) + " of another rank");
      v.shape = static_shape(dims);
    }
    return Status::ok();
  }

  // Inputs and constants are the truth; what the file declares for the rest is only a fallback.
  Status start_from_scratch() {
    std::vector<bool> given(graph_.value_count(), false);
    for (ValueId id : graph_.inputs) given[static_cast<size_t>(id)] = true;
    declared_.resize(graph_.value_count());
    for (size_t i = 0; i < graph_.value_count(); ++i) {
      Value& v = graph_.value(static_cast<ValueId>(i));
      if (v.constant) {
        v.dtype = v.constant->dtype();
        v.shape = static_shape(v.constant->dims());
      } else if (!given[i]) {
        declared_[i].dtype = v.dtype;
        if (input_dims_.empty()) declared_[i].shape = std::move(v.shape);
        v.dtype = DType::kUndefined;
        v.shape.reset();
      } else if (v.shape) {
        for (Dim& d : *v.shape)
          if (!d.symbol.empty()) d.symbol = symbols_.reserve(d.symbol);
      }
      if (v.shape && v.shape->size() > kMaxRank)
        return unsupported("'" + v.name + "' has " + std::to_string(v.shape->size()) +
                           " dimensions; Octet handles at most 64");
    }
    return Status::ok();
  }

  Status infer_node(const Node& node) {
    OpInference op(graph_, node, followed_, symbols_);
    const bool own_domain = node.domain.empty() || node.domain == "ai.onnx";
    if (const InferFn infer = own_domain ? find_infer(node.op_type) : nullptr) {
      const bool has_first_input = node.op_type == "Constant" || op.has(0);
      if (!has_first_input) return data_corrupt("its first input is missing");
      OCTET_RETURN_IF_ERROR(infer(op));
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == kNoValue) continue;
      OCTET_RETURN_IF_ERROR(store(node.outputs[i], std::move(op.outputs()[i])));
    }
    return Status::ok();
  }

  Status store(ValueId id, OpInference::Output output) {
    Value& v = graph_.value(id);
    if (v.constant) return data_corrupt("it produces the constant '" + v.name + "'");
    const auto index = static_cast<size_t>(id);
    if (output.shape && output.shape->size() > kMaxRank)
      return unsupported("its output would have more than 64 dimensions");
    v.dtype = output.dtype != DType::kUndefined ? output.dtype : declared_[index].dtype;
    v.shape = merged(std::move(output.shape), declared_[index].shape);
    if (!output.values) return Status::ok();
    keep_representable(*output.values, v.dtype);
    const auto known = [](const MaybeInt& e) { return e.has_value(); };
    const bool useful = std::any_of(output.values->elements.begin(), output.values->elements.end(), known);
    total_followed_ += static_cast<int64_t>(output.values->elements.size());
    if (total_followed_ > kMostFollowed) return Status::ok();
    if (useful || output.values->elements.empty()) followed_[index] = std::move(output.values);
    return Status::ok();
  }

  // Sizes that could not be inferred are taken from the declaration, where it has them.
  MaybeShape merged(MaybeShape inferred, const MaybeShape& declared) {
    if (!declared || declared->size() > kMaxRank) return inferred;
    if (inferred && inferred->size() != declared->size()) return inferred;
    MaybeShape out = inferred ? std::move(inferred) : MaybeShape(unknown_shape(declared->size()));
    for (size_t i = 0; i < out->size(); ++i) {
      if ((*out)[i].is_known() || !(*declared)[i].is_known()) continue;
      (*out)[i] = (*declared)[i];
      if (!(*out)[i].symbol.empty()) (*out)[i].symbol = symbols_.reserve((*out)[i].symbol);
    }
    return out;
  }

  std::string describe_inputs(const Node& node) const {
    constexpr size_t kMostShown = 8;
    std::string text;
    for (size_t i = 0; i < node.inputs.size() && i < kMostShown; ++i) {
      if (node.inputs[i] == kNoValue) continue;
      const Value& v = graph_.value(node.inputs[i]);
      text += (text.empty() ? " (inputs: '" : ", '") + v.name + "' " + dtype_name(v.dtype) +
              (v.shape ? shape_to_string(*v.shape) : " of unknown shape");
    }
    if (node.inputs.size() > kMostShown) text += ", ...";
    return text.empty() ? text : text + ")";
  }

  struct Declared {
    DType dtype = DType::kUndefined;
    MaybeShape shape;
  };

  Graph& graph_;
  const std::map<std::string, Dims>& input_dims_;
  SymbolTable symbols_;
  std::vector<std::optional<SymTensor>> followed_;
  std::vector<Declared> declared_;
  int64_t total_followed_ = 0;
};

}  // namespace

Status infer_shapes(Graph& graph, const std::map<std::string, Dims>& input_dims) {
  return Inference(graph, input_dims).run();
}

}  // namespace octet
