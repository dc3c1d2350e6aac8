// octet: quantizes trained ONNX networks, proves what they lost, and compiles and runs them.
#include "cli/commands.h"
#include "cli/training_program.h"

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
  if (const std::optional<int> code = octet::cli::run_training_program(argc, argv)) return *code;
  CLI::App app{"Octet trains networks, quantizes them to INT8, measures what it costs, and runs them."};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string("octet ") + OCTET_VERSION);
  app.footer(kFooter);
  auto common = std::make_shared<octet::cli::Common>();
  octet::cli::add_quantize(app, common);
  octet::cli::add_training_commands(app);
  octet::cli::add_sensitivity(app, common);
  octet::cli::add_search(app, common);
  octet::cli::add_calib_check(app, common);
  octet::cli::add_eval(app, common);
  octet::cli::add_compare(app, common);
  octet::cli::add_inspect(app, common);
  octet::cli::add_export_ranges(app, common);
  octet::cli::add_compile(app, common);
  octet::cli::add_explain(app, common);
  octet::cli::add_run(app, common);
  octet::cli::add_bench(app, common);
  octet::cli::add_report(app, common);
  octet::cli::add_zoo(app, common);
  return octet::cli::run_commands(app, *common, argc, argv);
}
