// octet report: pictures of what the other commands wrote.
#include <fmt/format.h>

#include "base/files.h"
#include "cli/commands.h"
#include "cli/report_files.h"
#include "octet/report.h"

namespace octet::cli {
namespace {

struct Options {
  ReportOptions report;
  std::string output, figures;
  bool serve = false;
  int port = 0;
};

Status serve(const Options& o) {
  const auto ready = [](const std::string& url) {
    fmt::print("open {} in a browser of this machine; Ctrl-C ends\n", url);
    std::fflush(stdout);
  };
  return serve_report(o.report, o.port, ready, cancel_on_interrupt());
}

Status run(const Options& o, const Common& common) {
  if (o.serve && (!o.output.empty() || !o.figures.empty() || common.json))
    return invalid_argument("--serve writes no files; leave -o, --figures and --json away");
  if (!o.serve && o.port != 0) return invalid_argument("--port is for --serve; leave it away");
  if (o.serve) return serve(o);
  OCTET_ASSIGN(const Report report, make_report(o.report));
  const std::string path = o.output.empty() ? o.report.folder + "/report.html" : o.output;
  OCTET_RETURN_IF_ERROR(write_file_atomically(path, report.html));
  for (const std::string& problem : report.problems) fmt::print(stderr, "octet: {}\n", problem);
  if (common.json) fmt::print("{}\n", report.data);
  else fmt::print("wrote {} ({})\n", path, human_bytes(static_cast<int64_t>(report.html.size())));
  std::fflush(stdout);
  return o.figures.empty() ? Status::ok() : write_figures(o.figures, report.data);
}

}  // namespace

void add_report(CLI::App& app, std::shared_ptr<Common> common) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd = app.add_subcommand("report", "Make one HTML file of pictures from what the other commands wrote");
  cmd->add_option("DIR", o->report.folder, "output folder of quantize, qat, train; or a folder of such folders")
      ->required();
  cmd->add_option("DIR2", o->report.other, "a second run, to be compared with the first");
  cmd->add_option("-o,--output", o->output, "the HTML file; default: DIR/report.html");
  cmd->add_option("--figures", o->figures, "also write every figure as SVG and CSV into this folder");
  cmd->add_flag("--serve", o->serve, "show it on 127.0.0.1 instead, always from the files as they are: for training");
  cmd->add_option("--port", o->port, "of --serve; default: a free one")->check(CLI::Range(1, 65535));
  cmd->add_flag("--json", common->json, "print the numbers of the report to stdout");
  cmd->footer(
      "It reads run.json, plan.json, ranges.json, statistics.json, metrics.jsonl, compile.json, bench.json, "
      "compare.json,\n"
      "sensitivity.json, search.json and the network, as far as they are there. compile, bench and compare write\n"
      "theirs with --report DIR.\n"
      "Example: octet report out --figures out/figures");
  cmd->callback([o, common] {
    const Status status = run(*o, *common);
    if (!status.is_ok()) common->exit = fail(status);
  });
}

}  // namespace octet::cli
