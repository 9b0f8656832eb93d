// Dot products in index order. The sum is kept in double and rounded once: every product of two floats is exact in
// it, so this is the value that faster tables approximate.

#pragma STDC FP_CONTRACT OFF

#include "scalar.h"

float dsa_scalar_dot_f32(size_t count, const float *x, const float *y) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)x[i] * y[i];
    }
    return (float)sum;
}

// In all of these: w is [rows, stride], x is [columns], y is [rows].

void dsa_scalar_gemv_f32(
    size_t rows, size_t columns, size_t stride, const float *w, const float *x, float *y) {
    for (size_t r = 0; r < rows; r++) {
        y[r] = dsa_scalar_dot_f32(columns, w + r * stride, x);
    }
}

void dsa_scalar_gemv_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y) {
    for (size_t r = 0; r < rows; r++) {
        double sum = 0;
        for (size_t c = 0; c < columns; c++) {
            sum += (double)dsa_scalar_from_bf16(w[r * stride + c]) * x[c];
        }
        y[r] = (float)sum;
    }
}

void dsa_scalar_gemv_many_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, size_t vectors, const float *const *x,
    float *const *y) {
    for (size_t v = 0; v < vectors; v++) {
        dsa_scalar_gemv_bf16(rows, columns, stride, w, x[v], y[v]);
    }
}

void dsa_scalar_arrange_bf16(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) {
        y[i] = x[i];
    }
}

void dsa_scalar_gemv_f16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y) {
    for (size_t r = 0; r < rows; r++) {
        double sum = 0;
        for (size_t c = 0; c < columns; c++) {
            sum += (double)dsa_scalar_from_f16(w[r * stride + c]) * x[c];
        }
        y[r] = (float)sum;
    }
}

void dsa_scalar_gemv_e4m3(
    size_t rows, size_t columns, size_t stride, const uint8_t *w, const float *scales, const float *x, float *y) {
    for (size_t r = 0; r < rows; r++) {
        double sum = 0;
        for (size_t start = 0; start < columns; start += dsa_block_columns) {
            double block = 0;
            for (size_t c = start; c < columns && c < start + dsa_block_columns; c++) {
                block += (double)dsa_scalar_from_e4m3(w[r * stride + c]) * x[c];
            }
            sum += block * scales[start / dsa_block_columns];
        }
        y[r] = (float)sum;
    }
}
