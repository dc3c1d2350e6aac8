// Panels with AVX2, two products in 16 bits: exact where no pair leaves them, which BlockedConv::reject proves.
#include "kernels/cpu/panel_block_inline.h"

namespace octet::cpu {

void multiply_panel_pairs_avx2(const PanelCall& call) {
  alignas(64) int32_t sums[kMaxRows * 16];
  const PanelStore<1> store(call);
  for_each_block(
      call.pixels, kMaxRows, [&](int64_t begin, int64_t rows) __attribute__((always_inline)) {
        multiply_rows<PairProducts>(call, call.offsets + begin, rows, sums);
        store.store(sums, begin, rows);
      });
}

}  // namespace octet::cpu
