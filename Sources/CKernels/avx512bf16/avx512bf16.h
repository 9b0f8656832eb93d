// What the files of the table for AVX-512 with BF16 share: the instructions they may use.

#ifndef DSA_AVX512BF16_H
#define DSA_AVX512BF16_H

#include "../avx512/avx512.h"

#if defined(__x86_64__)

#define DSA_AVX512BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512bf16")))
#define DSA_AVX512BF16_INLINE static inline __attribute__((always_inline)) DSA_AVX512BF16

// The slots, as in CKernels.h.
double dsa_avx512bf16_dot_peak(size_t rounds, float *sink);
void dsa_avx512bf16_multiply_bf16(
    size_t m, size_t n, size_t pairs, const uint16_t *a, size_t a_stride, const uint16_t *panels,
    size_t panel_stride, const float *factors, float *c, size_t c_stride, bool accumulating);
void dsa_avx512bf16_rescale_e4m3_bf16(size_t count, float scale, const uint8_t *x, uint16_t *y);
void dsa_avx512bf16_key_tile_bf16(dsa_format format, size_t keys, size_t dim, const void *rows, uint16_t *tile);
void dsa_avx512bf16_index_scores_bf16(
    size_t heads, size_t dim, const uint16_t *queries, const float *weights, const float *scales,
    const uint16_t *tile, const void *upcoming, size_t upcoming_bytes, float *scores);

#endif

#endif
