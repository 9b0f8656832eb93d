// Tiles of keys and index scores, one number at a time: their definition.

#pragma STDC FP_CONTRACT OFF

#include "scalar.h"

static float value_of(dsa_format format, const void *rows, size_t at) {
    const uint8_t *bytes = rows; // rows need no alignment
    uint16_t half;
    float value;
    switch (format) {
    case dsa_format_e4m3:
        return dsa_scalar_from_e4m3(bytes[at]);
    case dsa_format_bf16:
        memcpy(&half, bytes + at * sizeof half, sizeof half);
        return dsa_scalar_from_bf16(half);
    case dsa_format_f32:
        memcpy(&value, bytes + at * sizeof value, sizeof value);
        return value;
    }
}

// rows: [keys, dim], tile: [dim, 64].
void dsa_scalar_key_tile_f32(dsa_format format, size_t keys, size_t dim, const void *rows, float *tile) {
    for (size_t c = 0; c < dim; c++) {
        for (size_t t = 0; t < dsa_tile_keys; t++) {
            tile[c * dsa_tile_keys + t] = t < keys ? value_of(format, rows, t * dim + c) : 0;
        }
    }
}

// rows: [keys, dim], tile: [dim / 2 rounded up, 64, 2]. The value of either format is the upper half of its
// float32.
void dsa_scalar_key_tile_bf16(dsa_format format, size_t keys, size_t dim, const void *rows, uint16_t *tile) {
    for (size_t c = 0; c < dim + dim % 2; c++) {
        for (size_t t = 0; t < dsa_tile_keys; t++) {
            float value = t < keys && c < dim ? value_of(format, rows, t * dim + c) : 0;
            tile[c / 2 * 2 * dsa_tile_keys + 2 * t + c % 2] = (uint16_t)(bits_of(value) >> 16);
        }
    }
}

// queries: [heads, dim], weights: [heads], scales: [64], tile: [dim, 64], scores: [64].
void dsa_scalar_index_scores_f32(
    size_t heads, size_t dim, const float *queries, const float *weights, const float *scales,
    const float *tile, const void *upcoming, size_t upcoming_bytes, float *scores) {
    (void)upcoming, (void)upcoming_bytes;
    for (size_t t = 0; t < dsa_tile_keys; t++) {
        float sum = 0;
        for (size_t h = 0; h < heads; h++) {
            float logit = 0;
            for (size_t c = 0; c < dim; c++) {
                logit += queries[h * dim + c] * tile[c * dsa_tile_keys + t];
            }
            sum += weights[h] * (logit < 0 ? 0 : logit); // a NaN is not below 0 and stays
        }
        scores[t] = scales[t] * sum;
    }
}

// queries: [heads, dsa_tile_rows(dim)], weights: [heads], scales: [64], tile: [dim / 2 rounded up, 64, 2],
// scores: [64].
void dsa_scalar_index_scores_bf16(
    size_t heads, size_t dim, const uint16_t *queries, const float *weights, const float *scales,
    const uint16_t *tile, const void *upcoming, size_t upcoming_bytes, float *scores) {
    (void)upcoming, (void)upcoming_bytes;
    for (size_t t = 0; t < dsa_tile_keys; t++) {
        float sum = 0;
        for (size_t h = 0; h < heads; h++) {
            float logit = 0;
            for (size_t c = 0; c < dim; c++) {
                float query = dsa_scalar_from_bf16(queries[h * dsa_tile_rows(dim) + c]);
                logit += query * dsa_scalar_from_bf16(tile[c / 2 * 2 * dsa_tile_keys + 2 * t + c % 2]);
            }
            sum += weights[h] * (logit < 0 ? 0 : logit);
        }
        scores[t] = scales[t] * sum;
    }
}
