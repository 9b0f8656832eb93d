// The weighted sum over heads of the lightning indexer: keys in registers, heads in the loop.

#include "avx2.h"

#if defined(__x86_64__)

enum { widest = 8 };

// The scores of 8 * `vectors` keys. A fused multiply-add for each logit, heads ascending. max_ps returns
// its second operand when either is NaN: a NaN logit stays.
DSA_AVX2_INLINE void score_block(
    int vectors, size_t heads, size_t stride, const float *logits, const float *weights, float *scores) {
    __m256 sums[widest];
#pragma clang loop unroll(full)
    for (int k = 0; k < vectors; k++) {
        sums[k] = _mm256_setzero_ps();
    }
    for (size_t h = 0; h < heads; h++) {
        const float *row = logits + h * stride;
        __m256 weight = _mm256_set1_ps(weights[h]);
#pragma clang loop unroll(full)
        for (int k = 0; k < vectors; k++) {
            __m256 logit = _mm256_loadu_ps(row + 8 * k);
            sums[k] = _mm256_fmadd_ps(weight, _mm256_max_ps(_mm256_setzero_ps(), logit), sums[k]);
        }
    }
#pragma clang loop unroll(full)
    for (int k = 0; k < vectors; k++) {
        _mm256_storeu_ps(scores + 8 * k, sums[k]);
    }
}

// The scores of the last 1 ... 7 keys, in the same order.
DSA_AVX2_INLINE void score_tail(
    __m256i lanes, size_t heads, size_t stride, const float *logits, const float *weights, float *scores) {
    __m256 sum = _mm256_setzero_ps();
    for (size_t h = 0; h < heads; h++) {
        __m256 logit = _mm256_maskload_ps(logits + h * stride, lanes);
        sum = _mm256_fmadd_ps(_mm256_set1_ps(weights[h]), _mm256_max_ps(_mm256_setzero_ps(), logit), sum);
    }
    _mm256_maskstore_ps(scores, lanes, sum);
}

// logits: [heads, stride], weights: [heads], scores: [keys].
DSA_AVX2 void dsa_avx2_relu_weighted_sum(
    size_t heads, size_t keys, size_t stride, const float *logits, const float *weights, float *scores) {
    size_t t = 0;
    for (; t + 8 * widest <= keys; t += 8 * widest) {
        score_block(widest, heads, stride, logits + t, weights, scores + t);
    }
    for (; t + 8 <= keys; t += 8) {
        score_block(1, heads, stride, logits + t, weights, scores + t);
    }
    if (t < keys) {
        score_tail(lanes8(keys - t), heads, stride, logits + t, weights, scores + t);
    }
}

#endif
