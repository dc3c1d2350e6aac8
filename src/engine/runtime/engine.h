// What an Engine holds.
#pragma once

#include "engine/program.h"
#include "engine/runtime/island.h"
#include "octet/runtime.h"

namespace octet {

struct Engine::Impl {
  engine::Program program;
  std::vector<TensorDesc> inputs, outputs;
  mutable engine::IslandRunners islands;

  // A verified program.
  static std::shared_ptr<const Engine> wrap(engine::Program program);
  static engine::IslandRunners& islands_of(const Engine& engine);
};

}  // namespace octet
