#include "search/score.h"

namespace octet {

bool gives_class_scores(const Graph& network) {
  if (network.outputs.empty()) return false;
  const std::optional<Shape>& shape = network.value(network.outputs[0]).shape;
  if (!shape || shape->size() < 2 || !(*shape)[1].is_static() || (*shape)[1].coefficient < 2) return false;
  for (size_t d = 2; d < shape->size(); ++d)
    if (!(*shape)[d].is_static() || (*shape)[d].coefficient != 1) return false;
  return true;
}

ScoreKind score_kind(const Dataset& data, const Graph& network, bool labels_count) {
  if (labels_count && data.has_boxes()) return ScoreKind::kMap50;
  if (labels_count && data.has_masks()) return ScoreKind::kMeanIou;
  if (labels_count && data.has_labels()) return ScoreKind::kTop1;
  return gives_class_scores(network) ? ScoreKind::kAgreement : ScoreKind::kSqnr;
}

const char* score_name(ScoreKind kind) {
  switch (kind) {
    case ScoreKind::kTop1: return "top-1 %";
    case ScoreKind::kMap50: return "mAP@0.5 %";
    case ScoreKind::kMeanIou: return "mIoU %";
    case ScoreKind::kAgreement: return "agreement with float %";
    case ScoreKind::kSqnr: return "output SQNR dB";
  }
  return "";
}

const char* score_unit(ScoreKind kind) { return kind == ScoreKind::kSqnr ? "dB" : "points"; }

double score_of(ScoreKind kind, const EvalReport& report, const EvalReport& float_report) {
  switch (kind) {
    case ScoreKind::kTop1: return report.top1;
    case ScoreKind::kMap50: return report.map50;
    case ScoreKind::kMeanIou: return report.miou;
    default: return agreement(float_report.predictions, report.predictions);
  }
}

}  // namespace octet
