// octet bench: how fast networks are on this machine, against each other.
#include <fmt/format.h>

#include "cli/bench.h"
#include "cli/commands.h"
#include "cli/report_files.h"
#include "pipeline/image_runner.h"

namespace octet::cli {

void add_bench(CLI::App& app, std::shared_ptr<Common> common) {
  auto o = std::make_shared<BenchOptions>();
  auto report = std::make_shared<std::string>();
  CLI::App* cmd = app.add_subcommand("bench", "Time engines and ONNX networks against each other");
  cmd->add_option("MODELS", o->models, ".octet and ONNX files; ratios are to the first")->required();
  cmd->add_option("--batch", o->batches, "batch sizes, such as 1,8")->delimiter(',')->check(CLI::Range(1, 65536));
  cmd->add_option("--threads", o->threads, "numbers of threads, such as 1,2; 0: one per core")
      ->delimiter(',')
      ->check(CLI::Range(0, 1024));
  cmd->add_option("--warm-up", o->warm_up, "runs before the first that counts")->check(CLI::Range(0, 1000000));
  cmd->add_option("--seconds", o->seconds, "time for each model and setting")->check(CLI::Range(0.0, 86400.0));
  cmd->add_option("--runs", o->runs, "counted runs of each model and setting, instead of --seconds")
      ->check(CLI::Range(1, 1000000000));
  cmd->add_flag("--profile", o->profile, "also show where the time goes, group by group");
  add_report_option(*cmd, report.get(), "bench.json");
  cmd->add_flag("--json", common->json, "print one JSON document to stdout instead of tables");
  cmd->add_flag("-q,--quiet", common->quiet, "no progress");
  cmd->footer(
      "All models take turns of 50 ms, so that a busy machine slows all of them alike.\n"
      "ONNX files run on Octet's float executor; quantized ones as simulation, which is slow.\n"
      "Example: octet bench model.octet float.onnx --threads 1,2 --batch 1,8 --profile");
  cmd->callback([o, report, common] {
    if (o->threads.empty()) o->threads = {0};
    for (int& threads : o->threads) threads = resolve_threads(threads);
    const bool asked = o->profile;  // what the report profiles besides is not printed
    o->profile = asked || !report->empty();
    o->progress = progress_sink(common->quiet || common->json);
    o->cancel = cancel_on_interrupt();
    const Result<std::vector<BenchRow>> rows = run_bench(*o);
    std::vector<BenchRow> shown = rows.is_ok() ? *rows : std::vector<BenchRow>();
    if (!asked)
      for (BenchRow& row : shown) row.groups.clear();
    if (!rows.is_ok()) common->exit = fail(rows.status());
    else if (common->json) fmt::print("{}\n", bench_json(shown));
    else fmt::print("{}", bench_table(shown));
    if (!rows.is_ok()) return;
    const Status saved = add_to_report(*report, "bench", bench_json(*rows));
    if (!saved.is_ok()) common->exit = fail(saved);
  });
}

}  // namespace octet::cli
