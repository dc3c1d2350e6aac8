#include "arith/isa.h"
#include "repair/product_loops.h"

namespace octet::repair {

const ProductLoops& product_loops() {
#ifdef OCTET_X86_LEVELS
  switch (active_isa()) {
    case Isa::kAvx512: return avx512::kProductLoops;
    case Isa::kAvx2: return avx2::kProductLoops;
    case Isa::kBase: break;
  }
#endif
  return base::kProductLoops;
}

}  // namespace octet::repair
