// Gathered rows against sixteen columns, in index order.

#pragma STDC FP_CONTRACT OFF

#include "scalar.h"

void dsa_scalar_gather_multiply_f32(
    size_t count, const int32_t *positions, size_t columns, const float *rows, size_t stride, size_t lanes,
    const float *m, float *y) {
    for (size_t i = 0; i < count; i++) {
        const float *row = rows + (size_t)positions[i] * stride;
        float sums[dsa_lanes] = {0};
        for (size_t c = 0; c < columns; c++) {
            for (size_t j = 0; j < lanes; j++) {
                sums[j] += row[c] * m[c * dsa_lanes + j];
            }
        }
        memcpy(y + i * dsa_lanes, sums, lanes * sizeof *sums);
    }
}

void dsa_scalar_gather_add_f32(
    size_t count, const int32_t *positions, size_t columns, const float *rows, size_t stride, size_t lanes,
    const float *w, float *y) {
    for (size_t i = 0; i < count; i++) {
        const float *row = rows + (size_t)positions[i] * stride;
        for (size_t j = 0; j < lanes; j++) {
            float factor = w[i * dsa_lanes + j];
            for (size_t c = 0; c < columns; c++) {
                y[j * columns + c] += factor * row[c];
            }
        }
    }
}

void dsa_scalar_scatter_add_f32(
    size_t count, const int32_t *positions, size_t columns, size_t lanes, const float *w,
    const float *m, float *rows, size_t stride) {
    for (size_t i = 0; i < count; i++) {
        float *row = rows + (size_t)positions[i] * stride;
        for (size_t j = 0; j < lanes; j++) {
            float factor = w[i * dsa_lanes + j];
            for (size_t c = 0; c < columns; c++) {
                row[c] += factor * m[j * columns + c];
            }
        }
    }
}
