#include "search/unit_sweep.h"

#include <algorithm>
#include <chrono>

namespace octet {
namespace {

constexpr size_t kFirstChunk = 8;  // units of the first sweep, whose time tells the size of the next ones
constexpr double kSaveSeconds = 60;
constexpr double kMostUnits = 4096;

Result<SweepFigures> sweep_chunk(const std::vector<const DecisionUnit*>& units, size_t begin, size_t end,
                                 const UnitSweep& how) {
  std::vector<std::unique_ptr<Variant>> variants;
  for (size_t u = begin; u < end; ++u) {
    OCTET_ASSIGN(std::unique_ptr<Variant> v, how.make(*units[u]));
    variants.push_back(std::move(v));
  }
  SweepOptions options = how.options;
  if (units.size() > end - begin)
    options.stage +=
        " " + std::to_string(begin + 1) + "-" + std::to_string(end) + " of " + std::to_string(units.size());
  return sweep(*how.graph, *how.base, variants, *how.data, how.images, options);
}

}  // namespace

Status sweep_units(const std::vector<const DecisionUnit*>& units, const UnitSweep& how) {
  size_t chunk = kFirstChunk;
  for (size_t begin = 0; begin < units.size();) {
    const auto started = std::chrono::steady_clock::now();
    const size_t end = std::min(units.size(), begin + chunk);
    OCTET_ASSIGN(const SweepFigures figures, sweep_chunk(units, begin, end, how));
    for (size_t u = begin; u < end; ++u) how.store(*units[u], figures.variants[u - begin]);
    OCTET_RETURN_IF_ERROR(how.save());
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
    const double of_one = std::max(seconds / static_cast<double>(end - begin), 1e-6);
    chunk = static_cast<size_t>(std::clamp(kSaveSeconds / of_one, static_cast<double>(kFirstChunk), kMostUnits));
    begin = end;
  }
  return Status::ok();
}

}  // namespace octet
