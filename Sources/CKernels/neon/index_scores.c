// The weighted sum over heads of the lightning indexer: keys in registers, heads in the loop.

#include "neon.h"

#if defined(__aarch64__)

enum { widest = 8 };

// The scores of 4 * `vectors` keys. A fused multiply-add for each logit, heads ascending. vmaxq gives NaN
// when either operand is NaN: a NaN logit stays.
DSA_NEON_INLINE void score_block(
    int vectors, size_t heads, size_t stride, const float *logits, const float *weights, float *scores) {
    float32x4_t zero = vdupq_n_f32(0);
    float32x4_t sums[widest];
#pragma clang loop unroll(full)
    for (int k = 0; k < vectors; k++) {
        sums[k] = zero;
    }
    for (size_t h = 0; h < heads; h++) {
        const float *row = logits + h * stride;
        float32x4_t weight = vdupq_n_f32(weights[h]);
#pragma clang loop unroll(full)
        for (int k = 0; k < vectors; k++) {
            sums[k] = vfmaq_f32(sums[k], weight, vmaxq_f32(zero, vld1q_f32(row + 4 * k)));
        }
    }
#pragma clang loop unroll(full)
    for (int k = 0; k < vectors; k++) {
        vst1q_f32(scores + 4 * k, sums[k]);
    }
}

// The score of one of the last keys, in the same order.
DSA_NEON_INLINE float score_one(size_t heads, size_t stride, const float *logits, const float *weights) {
    float32x2_t sum = vdup_n_f32(0);
    for (size_t h = 0; h < heads; h++) {
        float32x2_t logit = vdup_n_f32(logits[h * stride]);
        sum = vfma_f32(sum, vdup_n_f32(weights[h]), vmax_f32(vdup_n_f32(0), logit));
    }
    return vget_lane_f32(sum, 0);
}

// logits: [heads, stride], weights: [heads], scores: [keys].
void dsa_neon_relu_weighted_sum(
    size_t heads, size_t keys, size_t stride, const float *logits, const float *weights, float *scores) {
    size_t t = 0;
    for (; t + 4 * widest <= keys; t += 4 * widest) {
        score_block(widest, heads, stride, logits + t, weights, scores + t);
    }
    for (; t + 4 <= keys; t += 4) {
        score_block(1, heads, stride, logits + t, weights, scores + t);
    }
    for (; t < keys; t++) {
        scores[t] = score_one(heads, stride, logits + t, weights);
    }
}

#endif
