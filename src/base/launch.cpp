#include "base/launch.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace octet {
namespace {

// The variables of one launcher; the last three may be null.
struct Launcher {
  const char *rank, *size, *local_rank, *local_size, *needs;
};
constexpr Launcher kLaunchers[] = {
    {"RANK", "WORLD_SIZE", "LOCAL_RANK", nullptr, nullptr},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE",
     nullptr},
    {"PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS", nullptr},
    // A batch script has SLURM_PROCID too, and is no process of a job: only srun sets the number of tasks of a step.
    {"SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_STEP_TASKS_PER_NODE", "SLURM_STEP_NUM_TASKS"},
    {"SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_TASKS_PER_NODE", "SLURM_STEP_ID"},
};

bool is_set(const Environment& environment, const char* name) {
  const char* value = name == nullptr ? nullptr : environment(name);
  return value != nullptr && *value != '\0';
}

Result<int> number(const Environment& environment, const char* name, int low, int high) {
  const char* text = environment(name);
  const char* end = text + std::strlen(text);
  int value = 0;
  const auto [at, code] = std::from_chars(text, end, value);
  if (code == std::errc() && at == end && value >= low && value <= high) return value;
  return invalid_argument(std::string(name) + "='" + text + "' is not a number from " + std::to_string(low) + " to " +
                          std::to_string(high));
}

Status read_address(const Environment& environment, bool one_machine, Launch* launch) {
  const std::string job = "a job of " + std::to_string(launch->size) + " processes needs ";
  if (is_set(environment, "MASTER_ADDR")) launch->address = environment("MASTER_ADDR");
  else if (one_machine) launch->address = "127.0.0.1";
  else return invalid_argument(job + "MASTER_ADDR, the address of process 0 (127.0.0.1 on one machine)");
  if (is_set(environment, "MASTER_PORT")) {
    OCTET_ASSIGN(launch->port, number(environment, "MASTER_PORT", 1, 65535));
  } else if (one_machine) {
    launch->port = 29500;
  } else {
    return invalid_argument(job + "MASTER_PORT, a free port at process 0 (29500, for example)");
  }
  return Status::ok();
}

}  // namespace

Result<Launch> read_launch(const Environment& environment) {
  constexpr int kMost = 1 << 20;
  Launch launch;
  const Launcher* found = nullptr;
  for (const Launcher& l : kLaunchers) {
    if (l.needs != nullptr && !is_set(environment, l.needs)) continue;
    const bool rank = is_set(environment, l.rank), size = is_set(environment, l.size);
    if (!rank && !size) continue;
    if (rank != size)
      return invalid_argument(std::string(rank ? l.rank : l.size) + " is set and " + (rank ? l.size : l.rank) +
                              " is not; a job of several processes needs both, a single process neither");
    found = &l;
    break;
  }
  if (found == nullptr) return launch;
  OCTET_ASSIGN(launch.size, number(environment, found->size, 1, kMost));
  OCTET_ASSIGN(launch.rank, number(environment, found->rank, 0, kMost));
  if (launch.rank >= launch.size)
    return invalid_argument(std::string(found->rank) + "=" + std::to_string(launch.rank) + " does not fit " +
                            found->size + "=" + std::to_string(launch.size) + ": ranks count from 0 to " +
                            std::to_string(launch.size - 1));
  if (launch.is_alone()) return launch;
  launch.local_rank = launch.rank;
  if (is_set(environment, found->local_rank)) {
    OCTET_ASSIGN(launch.local_rank, number(environment, found->local_rank, 0, kMost));
  }
  if (is_set(environment, "OCTET_PROCESS_TIMEOUT")) {
    OCTET_ASSIGN(const int seconds, number(environment, "OCTET_PROCESS_TIMEOUT", 1, 86400));
    launch.timeout = std::chrono::seconds(seconds);
  }
  const bool one_machine =
      is_set(environment, found->local_size) && environment(found->local_size) == std::to_string(launch.size);
  OCTET_RETURN_IF_ERROR(read_address(environment, one_machine, &launch));
  return launch;
}

Result<Launch> read_launch() {
  return read_launch([](const char* name) -> const char* { return std::getenv(name); });
}

}  // namespace octet
