// octet eval: the accuracy of a network on labelled data.
#include <fmt/format.h>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/network_file.h"
#include "cli/report_json.h"

namespace octet::cli {
namespace {

struct Options {
  std::string model, data, predictions;
  int64_t images = 0;
  int batch = 8;
  bool simulate = false;
};

void print_report(const EvalReport& r) {
  const double rate = r.seconds > 0 ? static_cast<double>(r.count) / r.seconds : 0;
  if (r.task == "detection") {
    fmt::print("mAP@0.5 {:.2f} %   mAP@[.5:.95] {:.2f} %   {} images, {:.1f}/s\n", r.map50, r.map, r.count, rate);
  } else if (r.task == "segmentation") {
    fmt::print("mIoU {:.2f} %   pixel accuracy {:.2f} %   {} images, {:.1f}/s\n", r.miou, r.pixel_accuracy, r.count,
               rate);
  } else {
    fmt::print("top-1 {:.2f} % (95 % interval {:.2f} to {:.2f})   top-5 {:.2f} %   {} images, {:.1f}/s\n", r.top1,
               r.top1_low, r.top1_high, r.top5, r.count, rate);
  }
  if (r.arithmetic == "simulated") fmt::print("computed in float: quantizers round, sums are float sums\n");
  for (const std::string& note : nonfinite_notes(r, "the network")) fmt::print("note: {}\n", note);
}

// The network as it came: a graph, or an engine.
struct Model {
  Graph graph;
  std::shared_ptr<const Engine> engine;
};

Result<Model> load_model(const std::string& path) {
  Model model;
  if (is_engine_file(path)) {
    OCTET_ASSIGN(model.engine, Engine::load(path));
  } else {
    OCTET_ASSIGN(model.graph, load_network(path));
  }
  return model;
}

Result<EvalReport> run(const Options& o, const Common& common) {
  OCTET_ASSIGN(const Model model, load_model(o.model));
  OCTET_ASSIGN(const DataSpec spec, load_data_spec(o.data));
  OCTET_ASSIGN(const std::unique_ptr<Dataset> data,
               open_dataset(spec, model.engine ? network_inputs(*model.engine) : network_inputs(model.graph)));
  if (!data->has_labels() && !data->has_boxes() && !data->has_masks())
    return invalid_argument("'" + o.data +
                            "' has no labels, so there is no accuracy to measure; 'octet compare' works without");
  EvalOptions options;
  options.run = run_options(common);
  options.batch_size = o.batch;
  options.max_images = o.images;
  options.detection = spec.detection;
  options.simulate = o.simulate;
  OCTET_ASSIGN(EvalReport report,
               model.engine ? evaluate(model.engine, *data, options) : evaluate(model.graph, *data, options));
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
  CLI::App* cmd = app.add_subcommand("eval", "Measure the accuracy of a network or an engine on labelled data");
  cmd->add_option("MODEL", o->model, "ONNX file, where Q/DQ networks run in integers, or .octet file")->required();
  cmd->add_option("--data", o->data, "labelled data: a YAML file or kind:PATH")->required();
  cmd->add_option("--images", o->images, "evaluate the first N images only; 0: all")->check(CLI::NonNegativeNumber);
  cmd->add_option("--batch", o->batch, "images a thread runs at once")->check(CLI::Range(1, 4096));
  cmd->add_flag("--simulate", o->simulate,
                "compute Q/DQ networks in float, node by node, instead of the engine's integers");
  cmd->add_option("--predictions", o->predictions,
                  "write the predicted class of every image to this file, one a line");
  cmd->footer(
      "Prints top-1 and top-5 with the 95 % Wilson interval, mAP for detectors, or mean IoU for masks.\n"
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
