// One function per subcommand: adds its options to the application and runs when it is chosen.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>

#include "cli/console.h"
#include "octet/sensitivity.h"

namespace octet::cli {

// What every command has.
struct Common {
  bool json = false;
  bool quiet = false;
  int threads = 0;
  int exit = kSuccess;  // set by the command that ran
  // The other processes of the job; only octet-training can join them.
  std::function<Result<std::unique_ptr<Processes>>(std::string* device)> join;
  std::unique_ptr<Processes> processes;
  // Scores units by gradients on so many images; only octet-training can.
  std::function<decltype(SensitivityJob::fisher)(const Dataset& data, int64_t images, const Common& common)> fisher;

  bool is_first() const { return !processes || processes->is_first(); }
  bool talks() const { return !json && !quiet && is_first(); }
};

// Joins the other processes, where there are any. `device` as join_processes takes it.
Status join(Common& common, std::string* device);
// The exit code of a command that ended so. Of several processes with the same error the first one alone prints it.
int finish(Common& common, const Status& status);

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
void add_report(CLI::App& app, std::shared_ptr<Common> common);
void add_zoo(CLI::App& app, std::shared_ptr<Common> common);
void add_sensitivity(CLI::App& app, std::shared_ptr<Common> common);
void add_calib_check(CLI::App& app, std::shared_ptr<Common> common);
void add_search(CLI::App& app, std::shared_ptr<Common> common);

// --json, --quiet and --threads, with the same words everywhere.
void add_common_options(CLI::App& command, const std::shared_ptr<Common>& common);
RunOptions run_options(const Common& common);

// Parses, runs the command that was chosen, and gives the exit code of the process.
int run_commands(CLI::App& app, const Common& common, int argc, char** argv);

// Opens a data set for a network's inputs.
Result<std::unique_ptr<Dataset>> open_data(const DataSpec& spec, const Graph& graph);

}  // namespace octet::cli
