// What a network is worth: accuracy on labels, or how far it agrees with float where there are none.
#pragma once

#include <string>

#include "octet/pipeline.h"

namespace octet {

enum class ScoreKind {
  kTop1,       // percent
  kMap50,      // percent
  kMeanIou,    // percent
  kAgreement,  // percent of images with the class that the float network gives
  kSqnr,       // dB of the outputs over their difference to float
};

// By labels where the data has some; else agreement for class scores [N, C], else kSqnr.
ScoreKind score_kind(const Dataset& data, const Graph& network, bool labels_count);
const char* score_name(ScoreKind kind);
// "points" or "dB".
const char* score_unit(ScoreKind kind);
// Not for kSqnr, which is no part of a report.
double score_of(ScoreKind kind, const EvalReport& report, const EvalReport& float_report);

// Whether the first output is one score for each class.
bool gives_class_scores(const Graph& network);

}  // namespace octet
