// Runs a program on made-up inputs to time it.
#pragma once

#include <memory>
#include <vector>

#include "engine/program.h"
#include "octet/runtime.h"

namespace octet::engine {

class Rehearsal {
 public:
  static Result<Rehearsal> create(Program program, int threads);

  // Microseconds of every operation: the least of at least 5 runs, more within `seconds`.
  Result<std::vector<double>> time_operations(double seconds);
  // Microseconds of one run as a whole.
  Result<double> time_once();

 private:
  Rehearsal() = default;

  std::shared_ptr<const Engine> engine_;
  std::unique_ptr<Session> session_;
  std::vector<Tensor> held_;
  std::vector<const void*> inputs_;
  std::vector<void*> outputs_;
};

}  // namespace octet::engine
