#include "arith/isa.h"
#include "calibration/histogram_loops.h"

namespace octet {

const HistogramLoops& histogram_loops() {
#ifdef OCTET_X86_LEVELS
  switch (active_isa()) {
    case Isa::kAvx512: return avx512::kHistogramLoops;
    case Isa::kAvx2: return avx2::kHistogramLoops;
    case Isa::kBase: break;
  }
#endif
  return base::kHistogramLoops;
}

}  // namespace octet
