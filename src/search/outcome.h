// What a search came to, in numbers and words.
#pragma once

#include "search/trials.h"

namespace octet {

// Everything of the result that follows from the trials: front, landmarks, verdict, advice. `best` and `offenders`
// are there.
void fill_outcome(Trials& trials, const SearchJob& job, SearchResult* result);

}  // namespace octet
