// What the files of the AVX2 table share: tails as masks or copies, 16 elements of each format, and exp.

#ifndef DSA_AVX2_H
#define DSA_AVX2_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../exponential.h"
#include "CKernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define DSA_AVX2 __attribute__((target("avx2,fma,f16c")))
#define DSA_AVX2_INLINE static inline __attribute__((always_inline)) DSA_AVX2

// The lanes of a vector of 8 for which `left` elements are left: all, some or none.
DSA_AVX2_INLINE __m256i lanes8(size_t left) {
    __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(left >= 8 ? 8 : (int)left), lane);
}

// MARK: Formats

typedef enum { format_f32, format_bf16, format_f16, format_e4m3 } stored_format;

typedef struct {
    __m256 low, high;
} float_pair;

// The binary16 numbers 2^-8 times the 16 E4M3 codes. Shifting the seven low bits of a code under the sign
// reads its exponent, of bias 7, with bias 15, and turns subnormals into subnormals. NaN has no
// counterpart: 0x7F is read as 1.875, the one magnitude from which the next step carries into bit 14;
// setting that bit makes the exponent all ones.
DSA_AVX2_INLINE __m256i e4m3_as_f16(__m128i codes) {
    __m256i shifted = _mm256_slli_epi16(_mm256_cvtepi8_epi16(codes), 7);
    __m256i scaled = _mm256_and_si256(shifted, _mm256_set1_epi16((short)0xBFFF)); // bit 14: the copied sign
    __m256i next = _mm256_add_epi16(scaled, _mm256_set1_epi16(0x80));
    return _mm256_or_si256(scaled, _mm256_and_si256(next, _mm256_set1_epi16(0x4000)));
}

DSA_AVX2_INLINE float_pair widen_f16_pair(__m256i codes) {
    return (float_pair){
        _mm256_cvtph_ps(_mm256_castsi256_si128(codes)),
        _mm256_cvtph_ps(_mm256_extracti128_si256(codes, 1)),
    };
}

// The 16 stored numbers at element `at` of w, exactly. E4M3 comes scaled by 2^-8, which the caller takes
// back. bfloat16 comes as the even elements and the odd ones, which saves the shuffle; x must
// then be loaded likewise.
DSA_AVX2_INLINE float_pair load_stored(stored_format format, const void *w, size_t at) {
    switch (format) {
    case format_f32: {
        const float *from = (const float *)w + at;
        return (float_pair){_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)};
    }
    case format_bf16: {
        __m256i codes = _mm256_loadu_si256((const __m256i *)(const void *)((const uint16_t *)w + at));
        return (float_pair){
            _mm256_castsi256_ps(_mm256_slli_epi32(codes, 16)),
            _mm256_castsi256_ps(_mm256_and_si256(codes, _mm256_set1_epi32((int)0xFFFF0000))),
        };
    }
    case format_f16:
        return widen_f16_pair(_mm256_loadu_si256((const __m256i *)(const void *)((const uint16_t *)w + at)));
    case format_e4m3:
        return widen_f16_pair(
            e4m3_as_f16(_mm_loadu_si128((const __m128i *)(const void *)((const uint8_t *)w + at))));
    }
}

// The 16 elements of x that face load_stored's, in its order.
DSA_AVX2_INLINE float_pair load_facing(stored_format format, const float *x) {
    if (format != format_bf16) {
        return load_stored(format_f32, x, 0);
    }
    // Shuffles work within 128-bit lanes, hence elements 0 ... 3 beside 8 ... 11.
    __m256 first = _mm256_set_m128(_mm_loadu_ps(x + 8), _mm_loadu_ps(x));
    __m256 second = _mm256_set_m128(_mm_loadu_ps(x + 12), _mm_loadu_ps(x + 4));
    return (float_pair){
        _mm256_shuffle_ps(first, second, _MM_SHUFFLE(2, 0, 2, 0)),
        _mm256_shuffle_ps(first, second, _MM_SHUFFLE(3, 1, 3, 1)),
    };
}

// Copies the last `left` (1 ... 15) stored numbers, from element `at` of w, to `room` and puts zeros behind
// them: a tail that can be loaded whole.
DSA_AVX2_INLINE void stage(stored_format format, const void *w, size_t at, size_t left, float room[16]) {
    size_t size = format == format_f32 ? 4 : format == format_e4m3 ? 1 : 2;
    memset(room, 0, 16 * sizeof *room);
    memcpy(room, (const char *)w + at * size, left * size);
}

// MARK: Exponential

typedef struct {
    __m256 fraction;
    __m256i exponent;
} split_exp;

// exp(t) = fraction * 2^exponent; see exponential.h. For finite t; NaN gives a NaN fraction.
DSA_AVX2_INLINE split_exp exp_parts(__m256 t) {
    __m256 n = _mm256_round_ps(
        _mm256_mul_ps(t, _mm256_set1_ps(DSA_LOG2_E)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(DSA_LN2_HIGH), t);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(DSA_LN2_LOW), r);
    __m256 p = _mm256_set1_ps(DSA_EXP_C6);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(DSA_EXP_C5));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(DSA_EXP_C4));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(DSA_EXP_C3));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(DSA_EXP_C2));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1));
    return (split_exp){p, _mm256_cvtps_epi32(n)};
}

// 2^exponent, for -126 <= exponent <= 127.
DSA_AVX2_INLINE __m256 power_of_two(__m256i exponent) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(exponent, _mm256_set1_epi32(127)), 23));
}

// The slots, as in CKernels.h.
double dsa_avx2_dot_peak(size_t rounds, float *sink);
void dsa_avx2_widen_bf16(size_t count, const uint16_t *x, float *y);
void dsa_avx2_widen_f16(size_t count, const uint16_t *x, float *y);
void dsa_avx2_widen_e4m3(size_t count, const uint8_t *x, float *y);
void dsa_avx2_narrow_bf16(size_t count, const float *x, uint16_t *y);
void dsa_avx2_narrow_e4m3(size_t count, const float *x, uint8_t *y);
float dsa_avx2_dot_f32(size_t count, const float *x, const float *y);
void dsa_avx2_gemv_f32(
    size_t rows, size_t columns, size_t stride, const float *w, const float *x, float *y);
void dsa_avx2_gemv_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y);
void dsa_avx2_gemv_many_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, size_t vectors, const float *const *x,
    float *const *y);
void dsa_avx2_gemv_f16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y);
void dsa_avx2_gemv_e4m3(
    size_t rows, size_t columns, size_t stride, const uint8_t *w, const float *scales, const float *x, float *y);
void dsa_avx2_axpy_f32(size_t count, float a, const float *x, float *y);
void dsa_avx2_axpy_bf16(size_t count, float a, const uint16_t *x, float *y);
void dsa_avx2_scale_f32(size_t count, float a, float *x);
void dsa_avx2_hide_f32(size_t count, const uint64_t *kept, float *x);
void dsa_avx2_silu_multiply(size_t count, const float *gate, const float *up, float *y);
float dsa_avx2_max_f32(size_t count, const float *x);
float dsa_avx2_exp_sum(size_t count, float scale, float shift, const float *x, float *y);
void dsa_avx2_multiply_bf16(
    size_t m, size_t n, size_t pairs, const uint16_t *a, size_t a_stride, const uint16_t *panels,
    size_t panel_stride, const float *factors, float *c, size_t c_stride, bool accumulating);
void dsa_avx2_rescale_e4m3_bf16(size_t count, float scale, const uint8_t *x, uint16_t *y);
float dsa_avx2_exp_sum_bf16(size_t count, float scale, float shift, const float *x, uint16_t *y);
void dsa_avx2_key_tile_f32(dsa_format format, size_t keys, size_t dim, const void *rows, float *tile);
void dsa_avx2_index_scores_f32(
    size_t heads, size_t dim, const float *queries, const float *weights, const float *scales,
    const float *tile, const void *upcoming, size_t upcoming_bytes, float *scores);
size_t dsa_avx2_ranks_above(
    size_t count, const float *scores, int32_t first, uint32_t floor, uint32_t *ranks, int32_t *positions);
uint32_t dsa_avx2_keep_highest(size_t count, size_t wanted, uint32_t *ranks, int32_t *positions);

#endif

#endif
