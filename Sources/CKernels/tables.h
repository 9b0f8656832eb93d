// The tables that dispatch.c lists. A table exists only on the architecture it is written for.

#ifndef DSA_TABLES_H
#define DSA_TABLES_H

#include "CKernels.h"

extern const dsa_kernels dsa_scalar_kernels;

// Scalar slots that other tables point to.
double dsa_scalar_dot_peak(size_t rounds, float *sink);
void dsa_scalar_arrange_bf16(size_t count, const float *x, float *y);
void dsa_scalar_pack_columns_bf16(size_t n, size_t k, const uint16_t *const *columns, uint16_t *panels);
void dsa_scalar_pack_rows_bf16(size_t k, size_t n, const uint16_t *const *rows, uint16_t *panels);
void dsa_scalar_multiply_bf16(
    size_t m, size_t n, size_t pairs, const uint16_t *a, size_t a_stride, const uint16_t *panels,
    size_t panel_stride, const float *factors, float *c, size_t c_stride, bool accumulating);
void dsa_scalar_rescale_e4m3_bf16(size_t count, float scale, const uint8_t *x, uint16_t *y);
float dsa_scalar_exp_sum_bf16(size_t count, float scale, float shift, const float *x, uint16_t *y);
void dsa_scalar_prefetch(size_t count, const void *x);
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
// Scalar slots of the indexer that other tables point to.
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

#if defined(__x86_64__)
extern const dsa_kernels dsa_avx2_kernels;
extern const dsa_kernels dsa_avx512_kernels;
extern const dsa_kernels dsa_avx512bf16_kernels;
#elif defined(__aarch64__)
extern const dsa_kernels dsa_neon_kernels;
#endif

#endif
