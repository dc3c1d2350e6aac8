// octet eval: the accuracy of a network on labelled data.
#include <fmt/format.h>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/report_json.h"
#include "octet/onnx.h"

namespace octet::cli {
namespace {

struct Options {
  std::string model, data, predictions;
  int64_t images = 0;
  int batch = 8;
};

void print_report(const EvalReport& r) {
  const double rate = r.seconds > 0 ? static_cast<double>(r.count) / r.seconds : 0;
  if (r.task == "detection") {
    fmt::print("mAP@0.5 {:.2f} %   mAP@[.5:.95] {:.2f} %   {} images, {:.1f}/s\n", r.map50, r.map, r.count, rate);
  } else {
    fmt::print("top-1 {:.2f} % (95 % interval {:.2f} to {:.2f})   top-5 {:.2f} %   {} images, {:.1f}/s\n", r.top1, r.top1_low,
               r.top1_high, r.top5, r.count, rate);
  }
}

Result<EvalReport> run(const Options& o, const Common& common) {
  OCTET_ASSIGN(const Graph graph, load_onnx(o.model));
  OCTET_ASSIGN(const DataSpec spec, load_data_spec(o.data));
  OCTET_ASSIGN(const std::unique_ptr<Dataset> data, open_data(spec, graph));
  if (!data->has_labels() && !data->has_boxes())
    return invalid_argument("'" + o.data + "' has no labels, so there is no accuracy to measure; 'octet compare' works without");
  EvalOptions options;
  options.run = run_options(common);
  options.batch_size = o.batch;
  options.max_images = o.images;
  options.detection = spec.detection;
  OCTET_ASSIGN(EvalReport report, evaluate(graph, *data, options));
  if (!o.predictions.empty()) {
    std::string lines;
    for (int64_t p : report.predictions) lines += fmt::format("{}\n", p);
    OCTET_RETURN_IF_ERROR(write_file_atomically(o.predictions, lines));
  }
  return report;
}

}  // namespace

void add_eval(CLI::App& app, std::shared_ptr<Common> common) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand("eval", "Measure the accuracy of a float or quantized ONNX network on labelled data");
  cmd->add_option("MODEL", o->model, "ONNX file; Q/DQ networks are simulated exactly")->required();
  cmd->add_option("--data", o->data, "labelled data: a YAML file or kind:PATH")->required();
  cmd->add_option("--images", o->images, "evaluate the first N images only; 0: all")->check(CLI::NonNegativeNumber);
  cmd->add_option("--batch", o->batch, "images a thread runs at once")->check(CLI::Range(1, 4096));
  cmd->add_option("--predictions", o->predictions, "write the predicted class of every image to this file, one a line");
  cmd->footer("Prints top-1 and top-5 with the 95 % Wilson interval, or mAP for detectors.\n"
              "Example: octet eval resnet20.onnx --data cifar10:cifar --json");
  add_common_options(*cmd, common);
  cmd->callback([o, common] {
    const Result<EvalReport> report = run(*o, *common);
    if (!report.is_ok()) {
      common->exit = fail(report.status());
      return;
    }
    if (common->json) fmt::print("{}\n", eval_json(o->model, *report));
    else print_report(*report);
  });
}

}  // namespace octet::cli
