#include "cli/commands.h"

#include <fmt/format.h>

#include <system_error>

namespace octet::cli {

void add_common_options(CLI::App& command, const std::shared_ptr<Common>& common) {
  command.add_flag("--json", common->json, "print one JSON document to stdout instead of tables");
  command.add_flag("-q,--quiet", common->quiet, "no progress");
  command.add_option("--threads", common->threads, "worker threads; 0: one per core")->check(CLI::Range(0, 1024));
}

RunOptions run_options(const Common& common) {
  return {common.threads, progress_sink(common.quiet || common.json), cancel_on_interrupt()};
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
