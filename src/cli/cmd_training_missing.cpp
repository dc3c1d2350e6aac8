// octet train and octet qat in a build without LibTorch.
#include "cli/commands.h"

namespace octet::cli {
namespace {

void add_missing(CLI::App& app, const std::shared_ptr<Common>& common, const std::string& name) {
  CLI::App* cmd = app.add_subcommand(name, "Not in this build: it was made without LibTorch");
  cmd->allow_extras();
  cmd->callback([common, name] {
    common->exit = fail(unsupported("'octet " + name +
                                    "' needs LibTorch, and this octet was built without it; install Debian's "
                                    "libtorch-dev and build again with -DOCTET_TRAINING=ON"));
  });
}

}  // namespace

void add_train(CLI::App& app, std::shared_ptr<Common> common) { add_missing(app, common, "train"); }
void add_qat(CLI::App& app, std::shared_ptr<Common> common) { add_missing(app, common, "qat"); }

}  // namespace octet::cli
