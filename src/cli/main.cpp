// octet: quantizes trained ONNX networks, proves what they lost, and compiles and runs them.
#include <fmt/format.h>

#include <system_error>

#include "cli/commands.h"

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

}  // namespace octet::cli

namespace {

constexpr const char* kFooter = R"(Data (--data D) is a YAML file or one line:
  cifar10:DIR   idx:DIR   folder:DIR   npz:FILE   npy:FILE   yolo:DIR     e.g. 'cifar10:data?split=test&scale=1'

Example:
  octet quantize resnet.onnx --data folder:calibration_images -o out
  octet eval out/model_int8.onnx --data folder:validation
  octet compile out/model_int8.onnx -o model.octet
  octet bench model.octet resnet.onnx --threads 1,2

Exit codes: 0 success, 1 internal error, 2 wrong usage or recipe, 3 file or name not found, 4 not supported,
  5 damaged file, 6 input/output error, 7 too large, 10 accuracy budget missed, 130 interrupted.
'octet COMMAND --help' explains each command.)";

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Octet trains networks, quantizes them to INT8, measures what it costs, and runs them."};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("octet ") + OCTET_VERSION);
  app.footer(kFooter);
  auto common = std::make_shared<octet::cli::Common>();
  octet::cli::add_quantize(app, common);
  octet::cli::add_train(app, common);
  octet::cli::add_qat(app, common);
  octet::cli::add_eval(app, common);
  octet::cli::add_compare(app, common);
  octet::cli::add_inspect(app, common);
  octet::cli::add_export_ranges(app, common);
  octet::cli::add_compile(app, common);
  octet::cli::add_explain(app, common);
  octet::cli::add_run(app, common);
  octet::cli::add_bench(app, common);
  try {
    app.parse(argc, argv);
    return octet::cli::flushed(common->exit);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? octet::cli::flushed(octet::cli::kSuccess) : octet::cli::kUsage;
  } catch (const std::system_error& e) {
    return octet::cli::output_lost(e.code().message());
  } catch (const std::exception& e) {
    fmt::print(stderr, "octet: internal error: {}\n", e.what());
    return octet::cli::kInternalFailure;
  }
}
