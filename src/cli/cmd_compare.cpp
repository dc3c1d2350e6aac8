// octet compare: where two networks differ, layer by layer.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/commands.h"
#include "cli/network_file.h"
#include "cli/report_files.h"
#include "cli/report_json.h"

namespace octet::cli {
namespace {

struct Options {
  std::string a, b, data, report;
  int64_t images = 32;
  size_t rows = 20;
};

// About 20 dB and less deserves a look.
std::string sqnr_text(double db) {
  if (std::isinf(db)) return "equal";
  const std::string text = fmt::format("{:.1f}", db);
  return db < 20 ? painted(text, Ink::kBad) : text;
}

// How many tensors have which SQNR, in steps of 5 dB from 0 to 60.
std::string sqnr_histogram(const CompareReport& r) {
  std::vector<int64_t> counts(12, 0);
  for (const TensorDifference& d : r.tensors)
    if (!std::isinf(d.sqnr_db)) ++counts[static_cast<size_t>(std::clamp(d.sqnr_db / 5, 0.0, 11.0))];
  return "0 dB " + sparkline(counts, counts.size()) + " 60 dB";
}

void print_report(const CompareReport& r, size_t rows) {
  fmt::print("{} images", r.count);
  if (r.agreement) fmt::print(", equal predictions {:.2f} %", *r.agreement);
  fmt::print("\nSQNR of {} tensors: {}\n\n", r.tensors.size(), sqnr_histogram(r));
  Table table({"tensor (worst first)", "<made by", "SQNR dB", "cosine", "max |difference|"});
  for (size_t i = 0; i < r.tensors.size() && (rows == 0 || i < rows); ++i) {
    const TensorDifference& d = r.tensors[i];
    table.add({shorten(d.tensor, 48), d.op_type + (d.is_output ? " (output)" : ""), sqnr_text(d.sqnr_db),
               fmt::format("{:.6f}", d.cosine), fmt::format("{:.4g}", d.max_abs)});
  }
  fmt::print("{}", table.to_string());
  int64_t nonfinite = 0;
  for (const TensorDifference& d : r.tensors) nonfinite += d.nonfinite > 0 ? 1 : 0;
  if (nonfinite > 0)
    fmt::print("note: {} tensors have NaN or infinite values, which the figures leave out; check the data\n",
               nonfinite);
  if (rows != 0 && r.tensors.size() > rows) fmt::print("... {} more; --rows 0 shows all\n", r.tensors.size() - rows);
}

Result<CompareReport> run(const Options& o, const Common& common) {
  OCTET_ASSIGN(const Graph a, load_network(o.a));
  OCTET_ASSIGN(const DataSpec spec, load_data_spec(o.data));
  if (is_engine_file(o.b)) {
    OCTET_ASSIGN(const std::shared_ptr<const Engine> engine, Engine::load(o.b));
    OCTET_ASSIGN(const std::unique_ptr<Dataset> images, open_data(spec, a));
    return compare(a, engine, *images, o.images, run_options(common));
  }
  OCTET_ASSIGN(const Graph b, load_network(o.b));
  OCTET_ASSIGN(const std::unique_ptr<Dataset> data, open_data(spec, a));
  return compare(a, b, *data, o.images, run_options(common));
}

}  // namespace

void add_compare(CLI::App& app, std::shared_ptr<Common> common) {
  auto o = std::make_shared<Options>();
  CLI::App* cmd =
      app.add_subcommand("compare", "Show where two networks differ on the same images, worst layer first");
  cmd->add_option("A", o->a, "the reference, usually the float network")->required();
  cmd->add_option("B", o->b, "the other, usually the quantized network; or an engine compiled from A")->required();
  cmd->add_option("--data", o->data, "images, labels are not needed: a YAML file or kind:PATH")->required();
  cmd->add_option("--images", o->images, "how many images; 0: all")->check(CLI::NonNegativeNumber);
  cmd->add_option("--rows", o->rows, "rows of the table; 0: all");
  add_report_option(*cmd, &o->report, "compare.json");
  cmd->footer(
      "SQNR is 10 log10(sum a^2 / sum (a-b)^2) over all images: about 20 dB and less deserves a look.\n"
      "Tensors are matched by name. Equal predictions are told where the first output is scores of classes.");
  add_common_options(*cmd, common);
  cmd->callback([o, common] {
    const Result<CompareReport> report = run(*o, *common);
    if (!report.is_ok()) {
      common->exit = fail(report.status());
      return;
    }
    if (common->json) fmt::print("{}\n", compare_json(o->a, o->b, *report));
    else print_report(*report, o->rows);
    const Status saved = add_to_report(o->report, "compare", compare_json(o->a, o->b, *report));
    if (!saved.is_ok()) common->exit = fail(saved);
  });
}

}  // namespace octet::cli
