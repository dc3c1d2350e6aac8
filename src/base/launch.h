// Who a process is among those of one job, as its launcher says in environment variables.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "octet/status.h"

namespace octet {

struct Launch {
  int rank = 0, size = 1, local_rank = 0;
  std::string address;  // of process 0
  int port = 0;
  std::chrono::seconds timeout{60};  // how long one process waits for another
  bool is_alone() const { return size == 1; }
};

using Environment = std::function<const char*(const char* name)>;  // null: not set

// In this order: RANK, WORLD_SIZE, LOCAL_RANK (torchrun, or by hand), those of mpirun (Open MPI; MPICH and its kin),
// those of srun. MASTER_ADDR and MASTER_PORT say where process 0 listens; jobs of mpirun and srun on one machine take
// 127.0.0.1:29500 without them. OCTET_PROCESS_TIMEOUT: seconds. Without such variables, or with one process, the
// process is alone. kInvalidArgument, naming the variable, when they do not fit together.
Result<Launch> read_launch(const Environment& environment);
Result<Launch> read_launch();  // of this process

}  // namespace octet
