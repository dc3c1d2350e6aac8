// What rounding costs by gradients: expected squared gradient times squared rounding error.
#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <set>

#include "arith/quantize.h"
#include "base/counter_random.h"
#include "octet/train.h"
#include "pipeline/image_runner.h"
#include "training/loop/losses.h"
#include "training/module.h"

namespace octet {
namespace {

using namespace training;

// The numbers of a quantized tensor that a unit reads, with their rounding errors.
class Fisher {
 public:
  Fisher(const Graph& graph, const QuantizationPlan& plan, const std::vector<std::vector<std::string>>& units)
      : graph_(graph), plan_(plan) {
    std::map<std::string, size_t> unit_of;
    for (size_t u = 0; u < units.size(); ++u)
      for (const std::string& node : units[u]) unit_of[node] = u;
    for (const auto& [name, t] : plan.tensors)
      for (const TensorReader& reader : t.readers)
        if (const auto it = unit_of.find(reader.node); it != unit_of.end() && t.dtype != DType::kFloat16)
          readers_[name].insert(it->second);
    scores_.assign(units.size(), 0);
  }

  Result<std::vector<double>> run(const Dataset& data, const std::vector<int64_t>& images, const RunOptions& run) {
    OCTET_ASSIGN(module_, TrainableModule::create(graph_));
    module_->eval();
    std::vector<std::string> activations;
    for (const auto& [name, units] : readers_)
      if (!graph_.is_constant(graph_.find_value(name)) && !is_input(name)) activations.push_back(name);
    OCTET_RETURN_IF_ERROR(module_->keep(activations));
    const int64_t batch = std::max<int64_t>(1, fixed_batch(graph_));
    for (size_t i = 0; i < images.size(); ++i) {
      if (run.cancel != nullptr && *run.cancel) return cancelled("interrupted");
      OCTET_ASSIGN(const Batch one, load_batch(graph_, data, {images[i]}, batch));
      OCTET_RETURN_IF_ERROR(add_image(one, static_cast<uint64_t>(images[i])));
      if (run.progress) run.progress("gradients", static_cast<int64_t>(i + 1), static_cast<int64_t>(images.size()));
    }
    for (double& score : scores_) score /= 2 * static_cast<double>(images.size());
    return scores_;
  }

 private:
  bool is_input(const std::string& name) const {
    const auto& inputs = graph_.inputs;
    return std::find(inputs.begin(), inputs.end(), graph_.find_value(name)) != inputs.end();
  }

  // Minus the log-likelihood of a sample from the network's own distribution: a class, or outputs with noise of
  // variance 1 around what they are. Its expected squared gradient is the Fisher information's diagonal.
  static at::Tensor loss_of(const at::Tensor& output, uint64_t image) {
    CounterRandom random({0x66697368, image});
    if (output.dim() == 2 && output.size(1) > 1) {
      const at::Tensor shares = at::softmax(output.detach().to(at::kDouble), 1).contiguous();
      double rest = random.uniform();
      int64_t label = 0;
      for (; label + 1 < shares.size(1); ++label)
        if ((rest -= shares.data_ptr<double>()[label]) < 0) break;
      return cross_entropy(output, {at::full({output.size(0)}, label, at::kLong), {}, 1}, 0);
    }
    at::Tensor noise = at::empty(output.sizes(), at::kFloat);
    for (int64_t i = 0; i < noise.numel(); ++i)
      noise.data_ptr<float>()[i] =
          static_cast<float>(std::sqrt(-2 * std::log(1 - random.uniform())) *
                             std::cos(2 * std::numbers::pi * random.uniform()));  // Box and Muller, 1958
    return (output * noise).sum();
  }

  Status add_image(const Batch& batch, uint64_t image) {
    module_->zero_grad();
    std::map<std::string, at::Tensor> tensors;
    std::vector<at::Tensor> inputs;
    for (size_t i = 0; i < batch.inputs.size(); ++i) {
      OCTET_ASSIGN(at::Tensor input, to_torch(batch.inputs[i]));
      if (input.is_floating_point()) input.requires_grad_(true);
      tensors[graph_.value(graph_.inputs[i]).name] = input;
      inputs.push_back(input);
    }
    OCTET_ASSIGN(const std::vector<at::Tensor> outputs, module_->forward(inputs));
    for (const auto& [name, units] : readers_)
      if (at::Tensor kept = module_->kept(name); kept.defined() && kept.requires_grad()) {
        kept.retain_grad();
        tensors[name] = kept;
      }
    for (const NamedTensor& p : module_->parameters()) tensors[p.name] = p.tensor;
    loss_of(outputs[0], image).backward();
    for (const auto& [name, units] : readers_) {
      const auto it = tensors.find(name);
      if (it == tensors.end() || !it->second.grad().defined()) continue;
      OCTET_ASSIGN(const double cost, cost_of(name, it->second));
      for (size_t u : units) scores_[u] += cost;
    }
    return Status::ok();
  }

  // Sum over the elements of (gradient times rounding error) squared.
  Result<double> cost_of(const std::string& name, const at::Tensor& tensor) const {
    const QuantParams* p = plan_.params_of(name);
    if (p == nullptr) return 0.0;
    OCTET_ASSIGN(const Tensor exact, from_torch(tensor.detach().contiguous()));
    OCTET_ASSIGN(const Tensor gradient, from_torch(tensor.grad().detach().contiguous()));
    OCTET_ASSIGN(const Tensor rounded, fake_quantize(exact, *p));
    double sum = 0;
    for (int64_t i = 0; i < exact.numel(); ++i) {
      const double error = static_cast<double>(exact.data<float>()[i]) - rounded.data<float>()[i];
      const double product = gradient.data<float>()[i] * error;
      sum += product * product;
    }
    return sum;
  }

  const Graph& graph_;
  const QuantizationPlan& plan_;
  std::map<std::string, std::set<size_t>> readers_;  // tensor -> units that read it quantized
  std::vector<double> scores_;
  std::unique_ptr<TrainableModule> module_;
};

}  // namespace

Result<std::vector<double>> fisher_scores(const Graph& graph, const QuantizationPlan& plan,
                                          const std::vector<std::vector<std::string>>& units, const Dataset& data,
                                          const std::vector<int64_t>& images, const RunOptions& run) {
  try {
    return Fisher(graph, plan, units).run(data, images, run);
  } catch (const std::exception& e) {
    return unsupported(std::string("the gradients could not be computed: ") + e.what());
  }
}

}  // namespace octet
