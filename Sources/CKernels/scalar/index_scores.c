// The weighted sum over heads of the lightning indexer.

#pragma STDC FP_CONTRACT OFF

#include "scalar.h"

// logits: [heads, stride], weights: [heads], scores: [keys]; one float32 accumulator for each key.
void dsa_scalar_relu_weighted_sum(
    size_t heads, size_t keys, size_t stride, const float *logits, const float *weights, float *scores) {
    for (size_t t = 0; t < keys; t++) {
        float sum = 0;
        for (size_t h = 0; h < heads; h++) {
            float logit = logits[h * stride + t];
            sum += weights[h] * (logit < 0 ? 0 : logit); // a NaN is not below 0 and stays
        }
        scores[t] = sum;
    }
}
