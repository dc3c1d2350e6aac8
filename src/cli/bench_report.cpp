#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/bench.h"
#include "cli/console.h"

namespace octet::cli {
namespace {

using Json = nlohmann::ordered_json;

Json spread_json(const Spread& s) {
  return {{"min", s.min},   {"median", s.median},       {"p99", s.p99},     {"max", s.max},
          {"mean", s.mean}, {"deviation", s.deviation}, {"count", s.count}, {"bins", s.bins}};
}

std::string profile_table(const BenchRow& row) {
  Table table({"group (most to win first)", "<nodes", "<kernel", "ms", "share", "GMAC/s", "lost ms"});
  double total = 0;
  for (const GroupTime& g : row.groups) total += g.ms;
  for (const GroupTime& g : row.groups)
    table.add({shorten(g.group.what, 36), shorten(g.group.nodes, 40), g.group.kernel, fmt::format("{:.3f}", g.ms),
               fmt::format("{:.1f} %", 100 * g.share), g.gmacs > 0 ? fmt::format("{:.1f}", g.gmacs) : "-",
               fmt::format("{:.3f}", g.lost_ms)});
  return fmt::format("\n{}: {} groups, {:.3f} ms in all (threads {}, batch {})\n{}", row.model, row.groups.size(),
                     total, row.threads, row.batch, table.to_string());
}

std::string setting_table(const std::vector<const BenchRow*>& rows) {
  Table table({"model", "min ms", "median", "p99", "<min to p99", "deviation", "images/s", "ratio", "of minima",
               "with copies", "load ms", "load memory", "session"});
  for (const BenchRow* r : rows)
    table.add({shorten(r->model, 44), fmt::format("{:.3f}", r->ms.min), fmt::format("{:.3f}", r->ms.median),
               fmt::format("{:.3f}", r->ms.p99), sparkline(r->ms.bins, 12), fmt::format("{:.3f}", r->ms.deviation),
               fmt::format("{:.1f}", r->images_per_second), fmt::format("{:.2f}", r->ratio),
               fmt::format("{:.2f}", r->min_ratio), fmt::format("{:.3f}", r->copied_ms.median),
               fmt::format("{:.2f}", r->load_ms), human_bytes(r->load_bytes),
               r->session_bytes > 0 ? human_bytes(r->session_bytes) : "-"});
  return fmt::format("threads {}, batch {}, {} runs\n{}", rows[0]->threads, rows[0]->batch, rows[0]->ms.count,
                     table.to_string());
}

}  // namespace

std::string bench_table(const std::vector<BenchRow>& rows) {
  std::string text;
  for (size_t i = 0; i < rows.size();) {
    std::vector<const BenchRow*> setting;
    const size_t first = i;
    for (; i < rows.size() && rows[i].threads == rows[first].threads && rows[i].batch == rows[first].batch; ++i)
      setting.push_back(&rows[i]);
    text += (text.empty() ? "" : "\n") + setting_table(setting);
    for (const BenchRow* row : setting)
      if (!row->groups.empty()) text += profile_table(*row);
  }
  return text +
         "\nratio, of minima: of medians and of minima to the first model. with copies: median with inputs copied in "
         "and outputs out.\n";
}

std::string bench_json(const std::vector<BenchRow>& rows) {
  Json list = Json::array();
  for (const BenchRow& r : rows) {
    Json j;
    j["model"] = r.model;
    j["threads"] = r.threads;
    j["batch"] = r.batch;
    j["ms"] = spread_json(r.ms);
    j["copied_ms"] = spread_json(r.copied_ms);
    j["images_per_second"] = r.images_per_second;
    j["ratio"] = r.ratio;
    j["min_ratio"] = r.min_ratio;
    j["load_ms"] = r.load_ms;
    j["load_bytes"] = r.load_bytes;
    if (r.session_bytes > 0) j["session_bytes"] = r.session_bytes;
    for (const GroupTime& g : r.groups)
      j["groups"].push_back({{"what", g.group.what},
                             {"nodes", g.group.nodes},
                             {"precision", g.group.precision},
                             {"kernel", g.group.kernel},
                             {"macs", g.group.macs},
                             {"ms", g.ms},
                             {"share", g.share},
                             {"gmacs_per_second", g.gmacs},
                             {"lost_ms", g.lost_ms}});
    list.push_back(std::move(j));
  }
  return Json{{"results", list}}.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace octet::cli
