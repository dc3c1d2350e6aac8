#include "cli/bench.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <random>
#include <thread>

#include "cli/memory_use.h"
#include "pipeline/image_runner.h"

namespace octet::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPause(10);  // in which threads of the last one that still spin go to sleep
constexpr double kTurnMs = 50;  // a turn is long against a switch of threads and short against a busy neighbour

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// One input for `batch` images; float values spread like normalised pixels, integers small.
Result<Tensor> make_input(const std::string& model, const TensorDesc& input, int64_t batch) {
  Dims dims = input.dims;
  if (!dims.empty() && dims[0] < 0) dims[0] = batch;
  for (int64_t d : dims)
    if (d < 0)
      return unsupported("'" + model + "': input '" + input.name + "' has shape " + dims_to_string(input.dims) +
                         ", which leaves more open than the batch; export it with fixed sizes");
  if (input.dims.empty() || (input.dims[0] >= 0 && input.dims[0] != batch))
    return invalid_argument("'" + model + "' has the fixed input shape " + dims_to_string(input.dims) +
                            " and cannot run batches of " + std::to_string(batch) + "; see --batch");
  OCTET_ASSIGN(Tensor t, Tensor::create(input.dtype, dims));
  std::mt19937 random(1);
  if (input.dtype == DType::kFloat32) {
    std::uniform_real_distribution<float> values(-2.1F, 2.6F);
    for (int64_t i = 0; i < t.numel(); ++i) t.data<float>()[i] = values(random);
  } else if (dtype_size(input.dtype) == 1 && input.dtype != DType::kBool) {
    for (int64_t i = 0; i < t.numel(); ++i) t.data<uint8_t>()[i] = static_cast<uint8_t>(random());
  } else {
    std::fill_n(t.data<uint8_t>(), t.nbytes(), uint8_t{0});
  }
  return t;
}

// A loaded model at one number of threads, with what was measured while loading.
struct Entrant {
  std::string path;
  std::unique_ptr<Runnable> network;
  double load_ms = 0;
  int64_t load_bytes = 0;
};

Result<Entrant> load_entrant(const std::string& path, int threads, int64_t batch) {
  Entrant e;
  e.path = path;
  reset_peak_memory();
  const int64_t before = memory_use().resident;
  auto begin = Clock::now();
  OCTET_ASSIGN(e.network, Runnable::load(path, threads));
  e.load_ms = ms_since(begin);
  std::vector<Tensor> inputs;
  for (const TensorDesc& input : e.network->inputs()) {
    OCTET_ASSIGN(Tensor t, make_input(path, input, batch));
    inputs.push_back(std::move(t));
  }
  Result<std::vector<Tensor>> first = e.network->run(inputs);
  if (!first.is_ok()) return first.status().at("'" + path + "'");
  e.load_bytes = std::max<int64_t>(0, memory_use().peak - before);
  // The file is in the page cache from here on: later loads say what the format costs, not the disk.
  for (int again = 0; again < 2 && e.load_ms < 2000; ++again) {
    begin = Clock::now();
    OCTET_RETURN_IF_ERROR(Runnable::load(path, threads).status());
    e.load_ms = std::min(e.load_ms, ms_since(begin));
  }
  return e;
}

// An entrant at one batch size.
struct Lane {
  Entrant* entrant = nullptr;
  int64_t batch = 1;
  std::vector<Tensor> inputs, outputs;
  std::vector<double> ms, copied_ms;

  Status prepare() {
    for (const TensorDesc& input : entrant->network->inputs()) {
      OCTET_ASSIGN(Tensor t, make_input(entrant->path, input, batch));
      inputs.push_back(std::move(t));
    }
    OCTET_ASSIGN(outputs, entrant->network->run(inputs));
    return Status::ok();
  }
  Status run(bool copying, bool counted) {
    const auto begin = Clock::now();
    if (copying) {
      std::vector<Tensor> fresh;
      for (const Tensor& t : inputs) fresh.push_back(t.clone());
      OCTET_RETURN_IF_ERROR(entrant->network->run(fresh).status());
    } else {
      OCTET_RETURN_IF_ERROR(entrant->network->run_in_place(batch, inputs, &outputs));
    }
    if (counted) (copying ? copied_ms : ms).push_back(ms_since(begin));
    return Status::ok();
  }
};

class Race {
 public:
  Race(const BenchOptions& options, std::vector<Lane>& lanes) : options_(options), lanes_(lanes) {}

  Status run() {
    for (Lane& lane : lanes_) {
      OCTET_RETURN_IF_ERROR(lane.prepare());
      for (int64_t i = 0; i < options_.warm_up; ++i) OCTET_RETURN_IF_ERROR(lane.run(i % 2 == 1, false));
    }
    for (int64_t round = 0; !finished(); ++round)
      for (size_t k = 0; k < lanes_.size(); ++k) {
        if (options_.cancel != nullptr && *options_.cancel) return cancelled("interrupted");
        OCTET_RETURN_IF_ERROR(turn(lanes_[round % 2 == 0 ? k : lanes_.size() - 1 - k]));
      }
    return Status::ok();
  }

 private:
  static double spent(const Lane& lane) {
    return std::accumulate(lane.ms.begin(), lane.ms.end(), 0.0) +
           std::accumulate(lane.copied_ms.begin(), lane.copied_ms.end(), 0.0);
  }
  bool lane_finished(const Lane& lane) const {
    if (options_.runs > 0) return static_cast<int64_t>(lane.ms.size()) >= options_.runs;
    return lane.ms.size() >= 3 && spent(lane) >= 1000 * options_.seconds;
  }
  bool finished() const {
    return std::all_of(lanes_.begin(), lanes_.end(), [this](const Lane& lane) { return lane_finished(lane); });
  }
  // The first run finds the caches full of the others' data and is not counted. Of each pair of runs one copies, in
  // random order: a busy system takes the core away at regular intervals, which must not always meet the same kind.
  Status turn(Lane& lane) {
    if (options_.runs > 0 && lane_finished(lane)) return Status::ok();
    std::this_thread::sleep_for(kPause);
    const auto begin = Clock::now();
    OCTET_RETURN_IF_ERROR(lane.run(false, false));
    do {
      const bool copies_first = random_() % 2 == 0;
      OCTET_RETURN_IF_ERROR(lane.run(copies_first, true));
      OCTET_RETURN_IF_ERROR(lane.run(!copies_first, true));
    } while (ms_since(begin) < kTurnMs && !(options_.runs > 0 && lane_finished(lane)));
    return Status::ok();
  }

  const BenchOptions& options_;
  std::vector<Lane>& lanes_;
  std::minstd_rand random_;
};

Result<std::vector<GroupTime>> profile_lane(Lane& lane) {
  const std::vector<Group> groups = lane.entrant->network->groups();
  std::vector<std::vector<double>> times(groups.size());
  const auto begin = Clock::now();
  for (int run = 0; run < 5 || (run < 50 && ms_since(begin) < 1000); ++run) {
    OCTET_ASSIGN(const std::vector<double> ms,
                 lane.entrant->network->profile(lane.batch, lane.inputs, &lane.outputs));
    if (ms.size() != groups.size())
      return internal_error("a profile of '" + lane.entrant->path + "' has " + std::to_string(ms.size()) +
                            " times for " + std::to_string(groups.size()) + " groups");
    if (run == 0) continue;  // cold
    for (size_t g = 0; g < ms.size(); ++g) times[g].push_back(ms[g]);
  }
  std::vector<GroupTime> rows;
  double sum = 0, best = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    GroupTime row;
    row.group = groups[g];
    row.ms = spread_of(times[g]).median;
    if (row.ms > 0) row.gmacs = row.group.macs * static_cast<double>(lane.batch) / row.ms / 1e6;
    sum += row.ms;
    best = std::max(best, row.gmacs);
    rows.push_back(std::move(row));
  }
  for (GroupTime& row : rows) {
    row.share = sum > 0 ? row.ms / sum : 0;
    row.lost_ms = row.gmacs > 0 ? row.ms * (1 - row.gmacs / best) : row.ms;
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const GroupTime& a, const GroupTime& b) { return a.lost_ms > b.lost_ms; });
  return rows;
}

Result<BenchRow> row_of(Lane& lane, int threads, bool profile) {
  BenchRow row;
  row.model = lane.entrant->path;
  row.threads = threads;
  row.batch = lane.batch;
  row.ms = spread_of(lane.ms);
  row.copied_ms = spread_of(lane.copied_ms);
  row.images_per_second = row.ms.median > 0 ? 1000 * static_cast<double>(lane.batch) / row.ms.median : 0;
  row.load_ms = lane.entrant->load_ms;
  row.load_bytes = lane.entrant->load_bytes;
  row.session_bytes = lane.entrant->network->memory_bytes();
  if (profile) {
    OCTET_ASSIGN(row.groups, profile_lane(lane));
  }
  return row;
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  Spread s;
  s.count = static_cast<int64_t>(n);
  s.min = values.front();
  s.max = values.back();
  s.median = n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
  s.p99 = values[(n * 99 + 99) / 100 - 1];  // the smallest that 99 % of the values do not exceed
  s.mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(n);
  double squares = 0;
  for (double v : values) squares += (v - s.mean) * (v - s.mean);
  s.deviation = n > 1 ? std::sqrt(squares / static_cast<double>(n - 1)) : 0;
  s.bins.assign(kSpreadBins, 0);
  const double width = (s.p99 - s.min) / static_cast<double>(kSpreadBins);
  for (double v : values)
    ++s.bins[width > 0 ? static_cast<size_t>(std::min((v - s.min) / width, static_cast<double>(kSpreadBins - 1)))
                       : 0];
  return s;
}

Result<std::vector<BenchRow>> run_bench(const BenchOptions& options) {
  std::vector<BenchRow> rows;
  const auto settings = static_cast<int64_t>(options.threads.size() * options.batches.size());
  int64_t done = 0;
  for (int threads : options.threads) {
    std::vector<Entrant> entrants;
    for (const std::string& path : options.models) {
      OCTET_ASSIGN(Entrant e, load_entrant(path, threads, options.batches[0]));
      entrants.push_back(std::move(e));
    }
    for (int64_t batch : options.batches) {
      std::vector<Lane> lanes(entrants.size());
      for (size_t i = 0; i < lanes.size(); ++i) {
        lanes[i].entrant = &entrants[i];
        lanes[i].batch = batch;
      }
      OCTET_RETURN_IF_ERROR(Race(options, lanes).run());
      const Spread first = spread_of(lanes[0].ms);
      for (Lane& lane : lanes) {
        OCTET_ASSIGN(BenchRow row, row_of(lane, threads, options.profile));
        row.ratio = first.median > 0 ? row.ms.median / first.median : 1;
        row.min_ratio = first.min > 0 ? row.ms.min / first.min : 1;
        rows.push_back(std::move(row));
      }
      if (options.progress) options.progress("benchmark", ++done, settings);
    }
  }
  return rows;
}

}  // namespace octet::cli
