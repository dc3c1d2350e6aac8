// Sweeps over decision units, some at a time, so that what is done can be saved in between.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "search/sweep.h"
#include "search/units.h"

namespace octet {

struct UnitSweep {
  const Graph* graph = nullptr;  // that the images fit
  std::shared_ptr<const BaseNetwork> base;
  std::function<Result<std::unique_ptr<Variant>>(const DecisionUnit&)> make;
  const Dataset* data = nullptr;
  std::vector<int64_t> images;
  SweepOptions options;
  std::function<void(const DecisionUnit&, const VariantFigures&)> store;
  std::function<Status()> save;  // after every sweep, about once a minute
};

// The units of one sweep share the base's run for each image; how many they are changes no figure.
Status sweep_units(const std::vector<const DecisionUnit*>& units, const UnitSweep& how);

}  // namespace octet
