#include "cli/commands.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "pipeline/image_runner.h"

namespace octet::cli {

void add_common_options(CLI::App& command, const std::shared_ptr<Common>& common) {
  command.add_flag("--json", common->json, "print one JSON document to stdout instead of tables");
  command.add_flag("-q,--quiet", common->quiet, "no progress");
  command.add_option("--threads", common->threads, "worker threads; 0: one per core")->check(CLI::Range(0, 1024));
}

RunOptions run_options(const Common& common) {
  RunOptions run{common.threads, progress_sink(!common.talks()), cancel_on_interrupt(), common.processes.get()};
  if (run.threads > 0 || !common.processes || common.processes->local_size() == 1) return run;
  run.threads = std::max(1, resolve_threads(0) / common.processes->local_size());
  return run;
}

Status join(Common& common, std::string* device) {
  if (!common.join) return Status::ok();
  OCTET_ASSIGN(common.processes, common.join(device));
  return Status::ok();
}

int finish(Common& common, const Status& status) {
  Processes* processes = common.processes.get();
  if (status.is_ok() || processes == nullptr || processes->size() == 1)
    return status.is_ok() ? static_cast<int>(kSuccess) : fail(status);
  if (processes->failure().is_ok() && !processes->has_shared_error()) (void)processes->agree(status);
  return processes->say_nothing() ? exit_code(status) : fail(status);
}

Result<std::unique_ptr<Dataset>> open_data(const DataSpec& spec, const Graph& graph) {
  return open_dataset(spec, network_inputs(graph));
}

int run_commands(CLI::App& app, const Common& common, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return flushed(common.exit);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? flushed(kSuccess) : kUsage;
  } catch (const std::system_error& e) {
    return output_lost(e.code().message());
  } catch (const std::exception& e) {
    fmt::print(stderr, "octet: internal error: {}\n", e.what());
    return kInternalFailure;
  }
}

}  // namespace octet::cli
