#include "engine/compiler/measure.h"

#include <algorithm>
#include <chrono>
#include <cstring>

namespace octet::engine {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

}  // namespace

Result<Rehearsal> Rehearsal::create(Program program, int threads) {
  Rehearsal r;
  OCTET_ASSIGN(r.engine_, Engine::from_program(std::move(program)));
  OCTET_ASSIGN(r.session_, Session::create(r.engine_, {.threads = threads}));
  const Program& made = r.engine_->program();
  const auto add = [&](TensorId id) -> Result<void*> {
    const TensorInfo& t = made.tensors[static_cast<size_t>(id)];
    OCTET_ASSIGN(Tensor zeros, Tensor::create(t.dtype, t.dims));
    std::memset(zeros.raw(), 0, static_cast<size_t>(zeros.nbytes()));
    r.held_.push_back(std::move(zeros));
    return static_cast<void*>(r.held_.back().raw());
  };
  for (TensorId id : made.inputs) {
    OCTET_ASSIGN(void* const data, add(id));
    r.inputs_.push_back(data);
  }
  for (TensorId id : made.outputs) {
    OCTET_ASSIGN(void* const data, add(id));
    r.outputs_.push_back(data);
  }
  return r;
}

Result<std::vector<double>> Rehearsal::time_operations(double seconds) {
  std::vector<double> best;
  const auto begin = Clock::now();
  for (int run = 0; run < 200; ++run) {
    OCTET_ASSIGN(const std::vector<double> ms, session_->profile(1, inputs_, outputs_));
    if (best.empty()) best = ms;
    for (size_t i = 0; i < ms.size(); ++i) best[i] = std::min(best[i], ms[i]);
    if (run >= 4 && seconds_since(begin) > seconds) break;
  }
  for (double& time : best) time *= 1000;
  return best;
}

Result<double> Rehearsal::time_once() {
  const auto begin = Clock::now();
  OCTET_RETURN_IF_ERROR(session_->run(1, inputs_, outputs_));
  return seconds_since(begin) * 1e6;
}

}  // namespace octet::engine
