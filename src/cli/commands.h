// One function per subcommand: adds its options to the application and runs when it is chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "cli/console.h"

namespace octet::cli {

// What every command has.
struct Common {
  bool json = false;
  bool quiet = false;
  int threads = 0;
  int exit = kSuccess;  // set by the command that ran
};

void add_inspect(CLI::App& app, std::shared_ptr<Common> common);
void add_quantize(CLI::App& app, std::shared_ptr<Common> common);
// In the program octet-training.
void add_train(CLI::App& app, std::shared_ptr<Common> common);
void add_qat(CLI::App& app, std::shared_ptr<Common> common);
void add_eval(CLI::App& app, std::shared_ptr<Common> common);
void add_compare(CLI::App& app, std::shared_ptr<Common> common);
void add_export_ranges(CLI::App& app, std::shared_ptr<Common> common);
void add_compile(CLI::App& app, std::shared_ptr<Common> common);
void add_explain(CLI::App& app, std::shared_ptr<Common> common);
void add_run(CLI::App& app, std::shared_ptr<Common> common);
void add_bench(CLI::App& app, std::shared_ptr<Common> common);
void add_zoo(CLI::App& app, std::shared_ptr<Common> common);

// --json, --quiet and --threads, with the same words everywhere.
void add_common_options(CLI::App& command, const std::shared_ptr<Common>& common);
RunOptions run_options(const Common& common);

// Parses, runs the command that was chosen, and gives the exit code of the process.
int run_commands(CLI::App& app, const Common& common, int argc, char** argv);

// Opens a data set for a network's inputs.
Result<std::unique_ptr<Dataset>> open_data(const DataSpec& spec, const Graph& graph);

}  // namespace octet::cli
