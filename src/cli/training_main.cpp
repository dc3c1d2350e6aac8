// octet-training: the commands of octet that need LibTorch. `octet train` and `octet qat` become this program.
// With several processes `octet quantize` does too, because they talk through LibTorch.
#include "cli/commands.h"
#include "octet/train.h"

int main(int argc, char** argv) {
  CLI::App app{"The commands of Octet that train networks.", "octet"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("octet ") + OCTET_VERSION);
  auto common = std::make_shared<octet::cli::Common>();
  common->join = octet::join_processes;
  octet::cli::add_quantize(app, common);
  octet::cli::add_train(app, common);
  octet::cli::add_qat(app, common);
  return octet::cli::run_commands(app, *common, argc, argv);
}
