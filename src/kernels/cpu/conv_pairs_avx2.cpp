// Panels with AVX2: vpmaddubsw adds two u8 x s8 products in 16 bits, vpmaddwd with ones two of those in 32 bits.
// Exact where no pair leaves 16 bits: what BlockedConv::reject proves.
#include "kernels/cpu/panel_block_inline.h"

namespace octet::cpu {
namespace {

struct PairProducts {
  static OCTET_ALWAYS_INLINE __m256i add_up(__m256i codes, __m256i weights) {
    return _mm256_madd_epi16(_mm256_maddubs_epi16(codes, weights), _mm256_set1_epi16(1));
  }
};

}  // namespace

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
