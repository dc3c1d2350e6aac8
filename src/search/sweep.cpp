#include "search/sweep.h"

#include <algorithm>
#include <cmath>

#include "pipeline/image_runner.h"
#include "pipeline/image_scores.h"

namespace octet {
namespace {

// Rows of numbers that are no less than 0 and add up to 1: the network ends in a Softmax.
bool are_distributions(const Tensor& scores) {
  const int64_t rows = scores.dim(0), columns = scores.numel() / std::max<int64_t>(1, rows);
  for (int64_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (int64_t c = 0; c < columns; ++c) {
      const float p = scores.data<float>()[r * columns + c];
      if (!(p >= 0)) return false;
      sum += p;
    }
    if (std::fabs(sum - 1) > 1e-3) return false;
  }
  return true;
}

// The scores whose softmax the distributions are.
Tensor logarithms(const Tensor& distributions) {
  constexpr float kLeast = 1e-12F;
  Tensor out = distributions.clone();
  for (int64_t i = 0; i < out.numel(); ++i) out.data<float>()[i] = std::log(std::max(out.data<float>()[i], kLeast));
  return out;
}

class Sweep {
 public:
  Sweep(const Graph& graph, const BaseNetwork& base, const std::vector<std::unique_ptr<Variant>>& variants,
        const Dataset& data, const std::vector<int64_t>& images, const SweepOptions& options)
      : graph_(graph), base_(base), variants_(variants), data_(data), images_(images), options_(options) {
    group_ = std::max<int64_t>(1, fixed_batch(graph));
    groups_ = (static_cast<int64_t>(images.size()) + group_ - 1) / group_;
    const int workers = resolve_threads(options.run.threads);
    const size_t networks = options.reports ? variants.size() + 1 : 0;
    for (size_t n = 0; n < networks; ++n)
      scores_.push_back(
          std::make_unique<ImageScores>(data, options.detection, static_cast<int64_t>(images.size()), workers));
    if (options.similarity) seen_.resize(static_cast<size_t>(groups_) * variants.size());
  }

  Result<SweepFigures> run() {
    OCTET_RETURN_IF_ERROR(parallel_items(groups_, options_.run, options_.stage, group_,
                                         static_cast<int64_t>(images_.size()),
                                         [&](int worker, int64_t item) { return run_group(worker, item); }));
    SweepFigures figures;
    figures.variants.resize(variants_.size());
    if (options_.reports) {
      OCTET_ASSIGN(figures.base, scores_[0]->report());
    }
    for (size_t v = 0; v < variants_.size(); ++v) {
      VariantFigures& f = figures.variants[v];
      if (options_.reports) {
        OCTET_ASSIGN(f.report, scores_[v + 1]->report());
      }
      if (!options_.similarity) continue;
      for (int64_t g = 0; g < groups_; ++g) {
        const Seen& seen = seen_[static_cast<size_t>(g) * variants_.size() + v];
        f.outputs.merge(seen.outputs);
        f.kl += seen.kl / static_cast<double>(compared_groups());
      }
    }
    return figures;
  }

 private:
  struct Seen {
    Similarity outputs;
    double kl = 0;
  };

  // Filled-up batches would count their last image more than once.
  int64_t compared_groups() const { return std::max<int64_t>(1, static_cast<int64_t>(images_.size()) / group_); }

  Status run_group(int worker, int64_t item) {
    const int64_t first = item * group_;
    const int64_t last = std::min(first + group_, static_cast<int64_t>(images_.size()));
    const std::vector<int64_t> members(images_.begin() + first, images_.begin() + last);
    OCTET_ASSIGN(const Batch batch, load_batch(graph_, data_, members, group_));
    OCTET_ASSIGN(const RunValues values, base_.run(batch.inputs));
    OCTET_ASSIGN(const std::vector<Tensor> exact, base_.outputs(values));
    if (exact.empty()) return invalid_argument("the network has no output");
    if (options_.reports) OCTET_RETURN_IF_ERROR(scores_[0]->add(worker, batch.samples, exact, first));
    for (size_t v = 0; v < variants_.size(); ++v) {
      if (options_.run.cancel != nullptr && *options_.run.cancel) return cancelled("interrupted");
      OCTET_ASSIGN(const std::vector<Tensor> outputs, variants_[v]->run(values));
      if (options_.reports) OCTET_RETURN_IF_ERROR(scores_[v + 1]->add(worker, batch.samples, outputs, first));
      if (options_.similarity && item < compared_groups())
        OCTET_RETURN_IF_ERROR(compare(exact, outputs, &seen_[static_cast<size_t>(item) * variants_.size() + v]));
    }
    return Status::ok();
  }

  Status compare(const std::vector<Tensor>& exact, const std::vector<Tensor>& outputs, Seen* seen) const {
    for (size_t o = 0; o < exact.size(); ++o)
      if (exact[o].dtype() == DType::kFloat32) OCTET_RETURN_IF_ERROR(seen->outputs.add(exact[o], outputs[o]));
    if (!options_.class_scores || exact[0].dtype() != DType::kFloat32) return Status::ok();
    const bool logs = are_distributions(exact[0]) && are_distributions(outputs[0]);
    const Result<double> kl = logs ? softmax_kl_divergence(logarithms(exact[0]), logarithms(outputs[0]))
                                   : softmax_kl_divergence(exact[0], outputs[0]);
    if (kl.is_ok()) seen->kl = *kl;
    return kl.status();
  }

  const Graph& graph_;
  const BaseNetwork& base_;
  const std::vector<std::unique_ptr<Variant>>& variants_;
  const Dataset& data_;
  const std::vector<int64_t>& images_;
  const SweepOptions& options_;
  int64_t group_ = 1, groups_ = 0;
  std::vector<std::unique_ptr<ImageScores>> scores_;  // of the base, then of the variants
  std::vector<Seen> seen_;                            // by group and variant
};

}  // namespace

Result<SweepFigures> sweep(const Graph& graph, const BaseNetwork& base,
                           const std::vector<std::unique_ptr<Variant>>& variants, const Dataset& data,
                           const std::vector<int64_t>& images, const SweepOptions& options) {
  return Sweep(graph, base, variants, data, images, options).run();
}

}  // namespace octet
