#include "cli/training_program.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/launch.h"
#include "cli/console.h"

namespace octet::cli {
namespace {

constexpr const char* kProgram = "octet-training";

struct TrainingCommand {
  const char* name;
  const char* what;
};
constexpr TrainingCommand kCommands[] = {{"train", "Train a network of the zoo, or of a file, on data"},
                                         {"qat", "Fine-tune a network for INT8 (quantization-aware training)"}};

constexpr const char* kGradients = "sensitivity";
constexpr const char* kShared = "quantize";  // calibration and evaluation can be shared by processes

// Gradients take LibTorch.
bool wants_fisher(int argc, char** argv) {
  return std::any_of(argv + 1, argv + argc, [](const char* word) { return std::string_view(word) == "--fisher"; });
}

// Wrong variables too: octet-training says what is wrong with them.
bool is_one_of_several() {
  const Result<Launch> launch = read_launch();
  return !launch.is_ok() || !launch->is_alone();
}

}  // namespace

void add_training_commands(CLI::App& app) {
  for (const TrainingCommand& c : kCommands) app.add_subcommand(c.name, c.what);
}

std::optional<int> run_training_program(int argc, char** argv) {
  const std::string asked = argc > 1 ? argv[1] : "";
  for (const TrainingCommand& c : kCommands) {
    const bool hands_over = asked == c.name || (asked == kShared && is_one_of_several()) ||
                            (asked == kGradients && wants_fisher(argc, argv));
    if (!hands_over) continue;
    std::error_code error;
    const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
    const std::string program = (here / kProgram).string();
    ::execv(program.c_str(), argv);
    return fail(unsupported("'octet " + asked + "' needs LibTorch, and there is no '" + program +
                            "'; install Debian's libtorch-dev and build Octet again with -DOCTET_TRAINING=ON"));
  }
  return std::nullopt;
}

}  // namespace octet::cli
