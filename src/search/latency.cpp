#include "search/latency.h"

#include <algorithm>
#include <chrono>

#include "engine/compiler/compile.h"
#include "engine/compiler/measure.h"
#include "kernels/cpu/features.h"

namespace octet {

Result<Latency> measure_latency(const Graph& graph, const LatencyOptions& options) {
  engine::CompileOptions compile;
  compile.threads = options.threads;
  compile.seconds = options.seconds;
  compile.integers = options.integers;
  const std::string path = options.folder.empty() ? "" : options.folder + "/timings.cache";
  engine::TimingCache cache;
  if (!path.empty()) {
    OCTET_ASSIGN(cache, engine::TimingCache::load(path));
  }
  OCTET_ASSIGN(engine::Program program, engine::compile(graph, compile, cache));
  Latency latency{0, engine::fingerprint(program)};
  const std::string key =
      "search " + latency.fingerprint + engine::TimingCache::machine(options.threads, cpu::cpu_features());
  std::optional<double> best = cache.find(key, "whole");
  if (!best) {
    OCTET_ASSIGN(engine::Rehearsal rehearsal, engine::Rehearsal::create(std::move(program), options.threads));
    const auto begin = std::chrono::steady_clock::now();
    for (int run = 0; run < 10000; ++run) {
      OCTET_ASSIGN(const double us, rehearsal.time_once());
      best = best ? std::min(*best, us) : us;
      const double spent = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
      if (run >= 20 && spent > options.seconds) break;
    }
    cache.set(key, "whole", *best);
    best = cache.find(key, "whole");  // as rounded there, which is what the next run reads
  }
  if (!path.empty() && cache.changed()) OCTET_RETURN_IF_ERROR(cache.save(path));
  latency.ms = *best / 1000;
  return latency;
}

}  // namespace octet
