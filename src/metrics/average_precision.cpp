#include <algorithm>

#include "metrics/detection.h"

namespace octet {
namespace {

constexpr int kRecallSteps = 100;

// COCO counts an overlap of exactly the threshold as a hit.
double threshold_at(int i) { return 0.5 + 0.05 * i; }

std::map<int64_t, std::vector<Box>> by_class(const std::vector<Box>& boxes) {
  std::map<int64_t, std::vector<Box>> groups;
  for (const Box& box : boxes) groups[box.label].push_back(box);
  return groups;
}

// Which detections (best first) find an annotation of their own: each takes the free one of the largest overlap, the
// later one when overlaps are equal.
std::vector<bool> match(const std::vector<Box>& detections, const std::vector<Box>& annotations, double threshold) {
  std::vector<bool> hits(detections.size()), taken(annotations.size());
  for (size_t d = 0; d < detections.size(); ++d) {
    double best = std::min(threshold, 1 - 1e-10);
    size_t chosen = annotations.size();
    for (size_t a = 0; a < annotations.size(); ++a) {
      if (taken[a]) continue;
      const double overlap = box_iou(detections[d], annotations[a]);
      if (overlap < best) continue;
      best = overlap;
      chosen = a;
    }
    if (chosen == annotations.size()) continue;
    taken[chosen] = true;
    hits[d] = true;
  }
  return hits;
}

}  // namespace

void AveragePrecision::add_image(const std::vector<Box>& detections, const std::vector<Box>& annotations) {
  ++images_;
  const auto truth = by_class(annotations);
  for (const auto& [label, boxes] : truth) classes_[label].annotations += static_cast<int64_t>(boxes.size());
  for (auto& [label, found] : by_class(detections)) {
    std::vector<Box> best = found;
    std::stable_sort(best.begin(), best.end(), [](const Box& a, const Box& b) { return a.score > b.score; });
    if (static_cast<int64_t>(best.size()) > max_detections_) best.resize(static_cast<size_t>(max_detections_));
    const auto annotated = truth.find(label);
    const std::vector<Box> here = annotated == truth.end() ? std::vector<Box>{} : annotated->second;
    std::vector<Scored> scored(best.size());
    for (size_t d = 0; d < best.size(); ++d) scored[d].score = best[d].score;
    for (int t = 0; t < kThresholds; ++t) {
      const std::vector<bool> hits = match(best, here, threshold_at(t));
      for (size_t d = 0; d < best.size(); ++d) scored[d].hit[t] = hits[d];
    }
    std::vector<Scored>& all = classes_[label].detections;
    all.insert(all.end(), scored.begin(), scored.end());
  }
}

double AveragePrecision::average_precision(std::vector<Scored> detections, int64_t annotations, int threshold) {
  std::stable_sort(detections.begin(), detections.end(),
                   [](const Scored& a, const Scored& b) { return a.score > b.score; });
  std::vector<double> recall, precision;
  int64_t hits = 0;
  for (size_t d = 0; d < detections.size(); ++d) {
    hits += detections[d].hit[threshold] ? 1 : 0;
    recall.push_back(static_cast<double>(hits) / static_cast<double>(annotations));
    precision.push_back(static_cast<double>(hits) / static_cast<double>(d + 1));
  }
  for (size_t d = precision.size(); d-- > 1;) precision[d - 1] = std::max(precision[d - 1], precision[d]);
  double sum = 0;
  for (int step = 0; step <= kRecallSteps; ++step) {
    const double wanted = static_cast<double>(step) / kRecallSteps;
    const auto reached = std::lower_bound(recall.begin(), recall.end(), wanted);
    if (reached != recall.end()) sum += precision[static_cast<size_t>(reached - recall.begin())];
  }
  return sum / (kRecallSteps + 1);
}

AveragePrecision::Summary AveragePrecision::summarize(const std::vector<int64_t>& labels) const {
  Summary out;
  out.images = images_;
  for (const auto& [label, record] : classes_) {
    if (!labels.empty() && std::count(labels.begin(), labels.end(), label) == 0) continue;
    out.annotations += record.annotations;
    out.detections += static_cast<int64_t>(record.detections.size());
    if (record.annotations == 0) continue;
    ClassResult result{label, record.annotations, 0, 0};
    for (int t = 0; t < kThresholds; ++t) {
      const double ap = average_precision(record.detections, record.annotations, t);
      if (t == 0) result.ap50 = ap;
      result.ap += ap / kThresholds;
    }
    out.map50 += result.ap50;
    out.map += result.ap;
    out.classes.push_back(result);
  }
  const auto n = static_cast<double>(std::max<size_t>(out.classes.size(), 1));
  out.map50 /= n;
  out.map /= n;
  return out;
}

}  // namespace octet
