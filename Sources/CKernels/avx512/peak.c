// What fused multiply-adds of float32 reach on registers alone: twelve chains hide their latency.

#include "avx512.h"

#if defined(__x86_64__)

DSA_AVX512 double dsa_avx512_dot_peak(size_t rounds, float *sink) {
    enum { chains = 12 };
    __m512 sums[chains];
#pragma clang loop unroll(full)
    for (int k = 0; k < chains; k++) {
        sums[k] = _mm512_setzero_ps();
    }
    // Through volatile, so that nothing is folded away.
    volatile float factor = 0.999f;
    __m512 f = _mm512_set1_ps(factor);
    for (size_t r = 0; r < rounds; r++) {
#pragma clang loop unroll(full)
        for (int k = 0; k < chains; k++) {
            sums[k] = _mm512_fmadd_ps(sums[k], f, f);
        }
    }
    __m512 total = sums[0];
#pragma clang loop unroll(full)
    for (int k = 1; k < chains; k++) {
        total = _mm512_add_ps(total, sums[k]);
    }
    _mm512_storeu_ps(sink, total);
    return 32.0 * chains * (double)rounds;
}

#endif
