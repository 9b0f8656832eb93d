// What the files of the scalar table share: bits of a float, one element of each format, and exp.

#ifndef DSA_SCALAR_H
#define DSA_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "CKernels.h"

static inline uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// The value of one stored number, exactly.
float dsa_scalar_from_bf16(uint16_t code);
float dsa_scalar_from_f16(uint16_t code);
float dsa_scalar_from_e4m3(uint8_t code);

// exp(t) = fraction * 2^exponent, fraction within about sqrt(1/2) ... sqrt(2); for |t| <= 300.
float dsa_scalar_exp_fraction(float t, int *exponent);

// 2^exponent, for -126 <= exponent <= 127.
static inline float power_of_two(int exponent) {
    return float_of((uint32_t)(exponent + 127) << 23);
}

// The slots, as in CKernels.h.
double dsa_scalar_dot_peak(size_t rounds, float *sink);
void dsa_scalar_widen_bf16(size_t count, const uint16_t *x, float *y);
void dsa_scalar_widen_f16(size_t count, const uint16_t *x, float *y);
void dsa_scalar_widen_e4m3(size_t count, const uint8_t *x, float *y);
void dsa_scalar_narrow_bf16(size_t count, const float *x, uint16_t *y);
void dsa_scalar_narrow_e4m3(size_t count, const float *x, uint8_t *y);
float dsa_scalar_dot_f32(size_t count, const float *x, const float *y);
void dsa_scalar_gemv_f32(
    size_t rows, size_t columns, size_t stride, const float *w, const float *x, float *y);
void dsa_scalar_gemv_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y);
void dsa_scalar_gemv_many_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, size_t vectors, const float *const *x,
    float *const *y);
void dsa_scalar_arrange_bf16(size_t count, const float *x, float *y);
void dsa_scalar_gemv_f16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y);
void dsa_scalar_gemv_e4m3(
    size_t rows, size_t columns, size_t stride, const uint8_t *w, const float *scales, const float *x, float *y);
void dsa_scalar_axpy_f32(size_t count, float a, const float *x, float *y);
void dsa_scalar_axpy_bf16(size_t count, float a, const uint16_t *x, float *y);
void dsa_scalar_scale_f32(size_t count, float a, float *x);
void dsa_scalar_hide_f32(size_t count, const uint64_t *kept, float *x);
void dsa_scalar_silu_multiply(size_t count, const float *gate, const float *up, float *y);
float dsa_scalar_max_f32(size_t count, const float *x);
float dsa_scalar_exp_sum(size_t count, float scale, float shift, const float *x, float *y);
void dsa_scalar_pack_columns_bf16(size_t n, size_t k, const uint16_t *const *columns, uint16_t *panels);
void dsa_scalar_pack_rows_bf16(size_t k, size_t n, const uint16_t *const *rows, uint16_t *panels);
void dsa_scalar_multiply_bf16(
    size_t m, size_t n, size_t pairs, const uint16_t *a, size_t a_stride, const uint16_t *panels,
    size_t panel_stride, const float *factors, float *c, size_t c_stride, bool accumulating);
void dsa_scalar_rescale_e4m3_bf16(size_t count, float scale, const uint8_t *x, uint16_t *y);
float dsa_scalar_exp_sum_bf16(size_t count, float scale, float shift, const float *x, uint16_t *y);
void dsa_scalar_prefetch(size_t count, const void *x);
void dsa_scalar_key_tile_f32(dsa_format format, size_t keys, size_t dim, const void *rows, float *tile);
void dsa_scalar_key_tile_bf16(dsa_format format, size_t keys, size_t dim, const void *rows, uint16_t *tile);
void dsa_scalar_index_scores_f32(
    size_t heads, size_t dim, const float *queries, const float *weights, const float *scales,
    const float *tile, const void *upcoming, size_t upcoming_bytes, float *scores);
void dsa_scalar_index_scores_bf16(
    size_t heads, size_t dim, const uint16_t *queries, const float *weights, const float *scales,
    const uint16_t *tile, const void *upcoming, size_t upcoming_bytes, float *scores);
size_t dsa_scalar_ranks_above(
    size_t count, const float *scores, int32_t first, uint32_t floor, uint32_t *ranks, int32_t *positions);
uint32_t dsa_scalar_keep_highest(size_t count, size_t wanted, uint32_t *ranks, int32_t *positions);

void dsa_scalar_gather_multiply_f32(
    size_t count, const int32_t *positions, size_t columns, const float *rows, size_t stride, size_t lanes,
    const float *m, float *y);
void dsa_scalar_gather_add_f32(
    size_t count, const int32_t *positions, size_t columns, const float *rows, size_t stride, size_t lanes,
    const float *w, float *y);
void dsa_scalar_exp_sum_lanes(
    size_t count, size_t lanes, float scale, float *x, float *maxima, float *sums);
void dsa_scalar_scatter_add_f32(
    size_t count, const int32_t *positions, size_t columns, size_t lanes, const float *w,
    const float *m, float *rows, size_t stride);

#endif
