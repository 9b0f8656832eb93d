// What fused multiply-adds of float32 reach on registers alone: twelve chains hide their latency.

#include "avx2.h"

#if defined(__x86_64__)

DSA_AVX2 double dsa_avx2_dot_peak(size_t rounds, float *sink) {
    enum { chains = 12 };
    __m256 sums[chains];
#pragma clang loop unroll(full)
    for (int k = 0; k < chains; k++) {
        sums[k] = _mm256_setzero_ps();
    }
    // Through volatile, so that nothing is folded away.
    volatile float factor = 0.999f;
    __m256 f = _mm256_set1_ps(factor);
    for (size_t r = 0; r < rounds; r++) {
#pragma clang loop unroll(full)
        for (int k = 0; k < chains; k++) {
            sums[k] = _mm256_fmadd_ps(sums[k], f, f);
        }
    }
    __m256 total = sums[0];
#pragma clang loop unroll(full)
    for (int k = 1; k < chains; k++) {
        total = _mm256_add_ps(total, sums[k]);
    }
    _mm256_storeu_ps(sink, total);
    _mm256_storeu_ps(sink + 8, total);
    return 16.0 * chains * (double)rounds;
}

#endif
