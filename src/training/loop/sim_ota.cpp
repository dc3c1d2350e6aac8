#include "training/loop/sim_ota.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "metrics/detection.h"

namespace octet::training {
namespace {

constexpr double kCentreRadius = 2.5, kIouWeight = 3, kFarCost = 1e5, kNever = 1e30;
constexpr size_t kBestCandidates = 10;
constexpr double kLeastLog = -100;  // so that one hopeless class does not outweigh everything

double safe_log(double p) { return p > 0 ? std::max(std::log(p), kLeastLog) : kLeastLog; }

struct Place {
  bool in_box, near_centre;
};

Place place_of(const GridCell& cell, const Box& target) {
  const double x = (cell.x + 0.5) * cell.stride, y = (cell.y + 0.5) * cell.stride;
  const double reach = kCentreRadius * cell.stride;
  const double cx = (static_cast<double>(target.x1) + target.x2) / 2;
  const double cy = (static_cast<double>(target.y1) + target.y2) / 2;
  return {x > target.x1 && x < target.x2 && y > target.y1 && y < target.y2,
          std::abs(x - cx) < reach && std::abs(y - cy) < reach};
}

// Costs and overlaps of the candidates, [targets, candidates].
struct Costs {
  std::vector<int64_t> cells;
  std::vector<double> cost, iou;
  double* cost_of(size_t target) { return cost.data() + target * cells.size(); }
  double* iou_of(size_t target) { return iou.data() + target * cells.size(); }
};

std::vector<int64_t> candidates(const std::vector<GridCell>& cells, const std::vector<Box>& targets) {
  std::vector<int64_t> out;
  for (size_t c = 0; c < cells.size(); ++c) {
    const bool any = std::any_of(targets.begin(), targets.end(), [&](const Box& target) {
      const Place place = place_of(cells[c], target);
      return place.in_box || place.near_centre;
    });
    if (any) out.push_back(static_cast<int64_t>(c));
  }
  return out;
}

Costs costs_of(const std::vector<GridCell>& cells, const CellPredictions& p, const std::vector<Box>& targets) {
  Costs costs;
  costs.cells = candidates(cells, targets);
  const size_t n = costs.cells.size();
  costs.cost.resize(targets.size() * n);
  costs.iou.resize(costs.cost.size());
  for (size_t i = 0; i < n; ++i) {
    const int64_t cell = costs.cells[i];
    const float* b = p.boxes + cell * 4;
    const Box box{b[0], b[1], b[2], b[3], 0, 1};
    const float* chances = p.classes + cell * p.class_count;
    const auto joint = [&](int64_t k) {
      return std::sqrt(static_cast<double>(p.objectness[cell]) * static_cast<double>(chances[k]));
    };
    double none = 0;  // cross-entropy if no class were right
    for (int64_t k = 0; k < p.class_count; ++k) none -= safe_log(1 - joint(k));
    for (size_t t = 0; t < targets.size(); ++t) {
      const Place place = place_of(cells[static_cast<size_t>(cell)], targets[t]);
      const double own = joint(targets[t].label), iou = box_iou(box, targets[t]);
      const double cost = none + safe_log(1 - own) - safe_log(own) - kIouWeight * std::log(iou + 1e-8) +
                          (place.in_box && place.near_centre ? 0 : kFarCost);
      costs.cost_of(t)[i] = std::isfinite(cost) ? cost : kNever;
      costs.iou_of(t)[i] = std::isfinite(iou) ? iou : 0;
    }
  }
  return costs;
}

// The candidates that a target takes, by their place in the list.
std::vector<size_t> taken_by(size_t target, Costs& costs) {
  const size_t n = costs.cells.size(), most = std::min(kBestCandidates, n);
  std::vector<double> overlaps(costs.iou_of(target), costs.iou_of(target) + n);
  std::partial_sort(overlaps.begin(), overlaps.begin() + static_cast<int64_t>(most), overlaps.end(),
                    std::greater<>());
  const double sum = std::accumulate(overlaps.begin(), overlaps.begin() + static_cast<int64_t>(most), 0.0);
  const size_t k = std::clamp<size_t>(static_cast<size_t>(sum), 1, n);
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  const double* cost = costs.cost_of(target);
  std::partial_sort(order.begin(), order.begin() + static_cast<int64_t>(k), order.end(),
                    [&](size_t a, size_t b) { return cost[a] != cost[b] ? cost[a] < cost[b] : a < b; });
  order.resize(k);
  return order;
}

}  // namespace

std::vector<CellMatch> sim_ota(const std::vector<GridCell>& cells, const CellPredictions& predicted,
                               const std::vector<Box>& targets) {
  if (targets.empty()) return {};
  Costs costs = costs_of(cells, predicted, targets);
  const size_t n = costs.cells.size();
  if (n == 0) return {};
  std::vector<int> takers(n, 0);
  std::vector<size_t> owner(n, 0);
  for (size_t t = 0; t < targets.size(); ++t)
    for (size_t i : taken_by(t, costs)) {
      ++takers[i];
      owner[i] = t;
    }
  std::vector<CellMatch> matches;
  for (size_t i = 0; i < n; ++i) {
    if (takers[i] == 0) continue;
    size_t target = owner[i];
    for (size_t t = 0; takers[i] > 1 && t < targets.size(); ++t)
      if (t == 0 || costs.cost_of(t)[i] < costs.cost_of(target)[i]) target = t;
    matches.push_back({costs.cells[i], static_cast<int64_t>(target), static_cast<float>(costs.iou_of(target)[i])});
  }
  return matches;
}

}  // namespace octet::training
