#include "arith/isa.h"
#include "training/fake_quant_loops.h"

namespace octet {

const FakeQuantLoops& fake_quant_loops() {
#ifdef OCTET_X86_LEVELS
  switch (active_isa()) {
    case Isa::kAvx512: return avx512::kFakeQuantLoops;
    case Isa::kAvx2: return avx2::kFakeQuantLoops;
    case Isa::kBase: break;
  }
#endif
  return base::kFakeQuantLoops;
}

}  // namespace octet
