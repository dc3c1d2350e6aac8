#include "passes/pass.h"

#include <algorithm>
#include <chrono>
#include <new>

#include "base/text.h"
#include "graph/shape_inference.h"
#include "graph/verify.h"
#include "passes/rewrites.h"

namespace octet {
namespace {

// Recognition stands before folding: fold_mul_add would take the "+ 3" of a hard sigmoid into the convolution's bias.
constexpr Pass kPasses[] = {
    {"sort_nodes", "restore topological order", sort_nodes},
    {"fold_constants", "compute what depends on constants only", fold_constants},
    {"remove_identity", "drop nodes that change nothing", remove_identity},
    {"eliminate_common_subexpressions", "compute equal things once", eliminate_common_subexpressions},
    {"recognize_hard_swish", "turn clip(x + 3, 0, 6) / 6 into HardSigmoid and HardSwish", recognize_hard_swish},
    {"fold_batch_norm", "fold batch normalization into the weights before it", fold_batch_norm},
    {"fold_mul_add", "fold per-channel constants into the weights before them", fold_mul_add},
    {"eliminate_dead_code", "drop what no output depends on", eliminate_dead_code},
};

std::vector<std::string> pass_names() {
  std::vector<std::string> names;
  for (const Pass& pass : kPasses) names.emplace_back(pass.name);
  return names;
}

Status check_disabled(const PassOptions& options) {
  for (const std::string& name : options.disabled)
    if (find_pass(name) == nullptr)
      return invalid_argument("there is no pass '" + name + "' to disable." + did_you_mean(name, pass_names()) +
                              " The passes are: " + join(pass_names(), ", "));
  return Status::ok();
}

// Index tables need ids in range; everything else is verify()'s business.
Status check_value_ids(const Graph& graph) {
  const auto count = static_cast<ValueId>(graph.value_count());
  auto sane = [&](const std::vector<ValueId>& ids, bool optional) {
    return std::all_of(ids.begin(), ids.end(),
                       [&](ValueId id) { return (id >= 0 && id < count) || (optional && id == kNoValue); });
  };
  if (!sane(graph.inputs, false) || !sane(graph.outputs, false))
    return internal_error("the graph's inputs or outputs mention a value that does not exist");
  for (const Node& node : graph.nodes)
    if (!sane(node.inputs, true) || !sane(node.outputs, true))
      return internal_error("node '" + node.name + "' mentions a value that does not exist");
  return Status::ok();
}

// Tensor constructors throw when memory is short; that must not leave the library.
Result<int> run_guarded(const Pass& pass, Graph& graph, const PassOptions& options) {
  try {
    return pass.run(graph, options);
  } catch (const std::bad_alloc&) {
    return resource_limit("not enough memory");
  } catch (const std::exception& e) {
    return internal_error(e.what());
  }
}

Status run_one(const Pass& pass, Graph& graph, const PassOptions& options, PassReport& report) {
  const std::string place = "pass '" + std::string(pass.name) + "'";
  const auto start = std::chrono::steady_clock::now();
  Result<int> rewrites = run_guarded(pass, graph, options);
  report.milliseconds += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (!rewrites.is_ok()) return rewrites.status().at(place);
  report.rewrites += *rewrites;
  if (options.verify_each)
    if (Status verified = verify(graph); !verified.is_ok()) return verified.at(place + " left a malformed graph");
  return Status::ok();
}

}  // namespace

std::span<const Pass> standard_passes() { return kPasses; }

const Pass* find_pass(std::string_view name) {
  for (const Pass& pass : kPasses)
    if (pass.name == name) return &pass;
  return nullptr;
}

Result<std::vector<PassReport>> run_passes(Graph& graph, const PassOptions& options) {
  OCTET_RETURN_IF_ERROR(check_disabled(options));
  OCTET_RETURN_IF_ERROR(check_value_ids(graph));
  OCTET_RETURN_IF_ERROR(graph.sort_topologically());
  OCTET_RETURN_IF_ERROR(verify(graph).at("before the first pass"));

  std::vector<const Pass*> enabled;
  std::vector<PassReport> reports;
  for (const Pass& pass : kPasses) {
    if (std::find(options.disabled.begin(), options.disabled.end(), pass.name) != options.disabled.end()) continue;
    enabled.push_back(&pass);
    reports.push_back({std::string(pass.name), 0, 0.0});
  }
  for (int round = 0; round < options.max_rounds; ++round) {
    OCTET_RETURN_IF_ERROR(infer_shapes(graph));
    int before = 0;
    int after = 0;
    for (size_t i = 0; i < enabled.size(); ++i) {
      before += reports[i].rewrites;
      OCTET_RETURN_IF_ERROR(run_one(*enabled[i], graph, options, reports[i]));
      after += reports[i].rewrites;
    }
    if (after == before) break;
  }
  OCTET_RETURN_IF_ERROR(infer_shapes(graph));
  return reports;
}

}  // namespace octet
