// octet-training: the commands of octet that need LibTorch. `octet train` and `octet qat` become this program.
// With several processes `octet quantize` does too, because they talk through LibTorch, and `octet sensitivity
// --fisher`.
#include "cli/commands.h"
#include "octet/train.h"

int main(int argc, char** argv) {
  CLI::App app{"The commands of Octet that train networks.", "octet"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("octet ") + OCTET_VERSION);
  auto common = std::make_shared<octet::cli::Common>();
  common->join = octet::join_processes;
  common->fisher = [](const octet::Dataset& data, int64_t images, const octet::cli::Common& all) {
    return [&data, images, run = octet::cli::run_options(all)](const octet::Graph& graph,
                                                               const octet::QuantizationPlan& plan,
                                                               const std::vector<std::vector<std::string>>& units) {
      return octet::fisher_scores(graph, plan, units, data, octet::deterministic_subset(data.size(), images, 0), run);
    };
  };
  octet::cli::add_quantize(app, common);
  octet::cli::add_sensitivity(app, common);
  octet::cli::add_train(app, common);
  octet::cli::add_qat(app, common);
  return octet::cli::run_commands(app, *common, argc, argv);
}
