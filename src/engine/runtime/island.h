// Islands: the parts of a program that run node by node, on the float executor.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/program.h"

namespace octet {
class Executor;
}

namespace octet::engine {

// The compiled islands of an engine, shared by its sessions; made when the first session asks.
class IslandRunners {
 public:
  IslandRunners();
  ~IslandRunners();
  Result<std::shared_ptr<const Executor>> get(const IslandOp& island, int threads);

 private:
  std::mutex mutex_;
  std::map<std::pair<const IslandOp*, int>, std::shared_ptr<const Executor>> executors_;
};

class Step;
Result<std::unique_ptr<Step>> make_island_step(const IslandOp& op, int threads, IslandRunners& islands);

}  // namespace octet::engine
