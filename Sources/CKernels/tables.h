// The tables that dispatch.c lists. A table exists only on the architecture it is written for.

#ifndef DSA_TABLES_H
#define DSA_TABLES_H

#include "CKernels.h"

extern const dsa_kernels dsa_scalar_kernels;

// Scalar slots that other tables point to.
void dsa_scalar_pack_columns_bf16(size_t n, size_t k, const uint16_t *const *columns, uint16_t *panels);
void dsa_scalar_pack_rows_bf16(size_t k, size_t n, const uint16_t *const *rows, uint16_t *panels);
void dsa_scalar_multiply_bf16(
    size_t m, size_t n, size_t pairs, const uint16_t *a, size_t a_stride, const uint16_t *panels,
    size_t panel_stride, const float *factors, float *c, size_t c_stride, bool accumulating);
void dsa_scalar_rescale_e4m3_bf16(size_t count, float scale, const uint8_t *x, uint16_t *y);
float dsa_scalar_exp_sum_bf16(size_t count, float scale, float shift, const float *x, uint16_t *y);

#if defined(__x86_64__)
extern const dsa_kernels dsa_avx2_kernels;
extern const dsa_kernels dsa_avx512_kernels;
extern const dsa_kernels dsa_avx512bf16_kernels;
#elif defined(__aarch64__)
extern const dsa_kernels dsa_neon_kernels;
#endif

#endif
