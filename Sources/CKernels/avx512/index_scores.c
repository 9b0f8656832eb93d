// The weighted sum over heads of the lightning indexer: keys in registers, heads in the loop.

#include "avx512.h"

#if defined(__x86_64__)

enum { widest = 8 };

// The scores of 16 * `vectors` keys, each vector limited to `lanes`. A fused multiply-add for each logit,
// heads ascending. max_ps returns its second operand when either is NaN: a NaN logit stays.
DSA_AVX512_INLINE void score_block(
    int vectors, __mmask16 lanes, size_t heads, size_t stride, const float *logits, const float *weights,
    float *scores) {
    __m512 sums[widest];
#pragma clang loop unroll(full)
    for (int k = 0; k < vectors; k++) {
        sums[k] = _mm512_setzero_ps();
    }
    for (size_t h = 0; h < heads; h++) {
        const float *row = logits + h * stride;
        __m512 weight = _mm512_set1_ps(weights[h]);
#pragma clang loop unroll(full)
        for (int k = 0; k < vectors; k++) {
            __m512 logit = _mm512_maskz_loadu_ps(lanes, row + 16 * k);
            sums[k] = _mm512_fmadd_ps(weight, _mm512_max_ps(_mm512_setzero_ps(), logit), sums[k]);
        }
    }
#pragma clang loop unroll(full)
    for (int k = 0; k < vectors; k++) {
        _mm512_mask_storeu_ps(scores + 16 * k, lanes, sums[k]);
    }
}

// logits: [heads, stride], weights: [heads], scores: [keys].
DSA_AVX512 void dsa_avx512_relu_weighted_sum(
    size_t heads, size_t keys, size_t stride, const float *logits, const float *weights, float *scores) {
    size_t t = 0;
    for (; t + 16 * widest <= keys; t += 16 * widest) {
        score_block(widest, 0xFFFF, heads, stride, logits + t, weights, scores + t);
    }
    for (; t < keys; t += 16) {
        score_block(1, lanes16(keys - t), heads, stride, logits + t, weights, scores + t);
    }
}

#endif
