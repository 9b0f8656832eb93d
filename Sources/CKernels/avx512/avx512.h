// What the files of the AVX-512 table share: tails as masks, 32 elements of each format, and exp.

#ifndef DSA_AVX512_H
#define DSA_AVX512_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../exponential.h"
#include "CKernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define DSA_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl")))
#define DSA_AVX512_INLINE static inline __attribute__((always_inline)) DSA_AVX512

// The lanes of a vector of 16 or 32 of which `count` elements are left: all, some or none.
DSA_AVX512_INLINE __mmask16 lanes16(size_t count) {
    return count >= 16 ? 0xFFFF : (__mmask16)((1u << count) - 1);
}

DSA_AVX512_INLINE __mmask32 lanes32(size_t count) {
    return count >= 32 ? 0xFFFFFFFF : (1u << count) - 1;
}

// MARK: Formats

typedef enum { format_f32, format_bf16, format_f16, format_e4m3 } stored_format;

typedef struct {
    __m512 low, high;
} float_pair;

// The binary16 numbers 2^-8 times the 32 E4M3 codes. Shifting the seven low bits of a code under the sign
// reads its exponent, of bias 7, with bias 15, and turns subnormals into subnormals. NaN has no
// counterpart: 0x7F is read as 1.875, the one magnitude from which the next step carries into bit 14;
// setting that bit makes the exponent all ones.
DSA_AVX512_INLINE __m512i e4m3_as_f16(__m256i codes) {
    __m512i shifted = _mm512_slli_epi16(_mm512_cvtepi8_epi16(codes), 7);
    __m512i scaled = _mm512_and_si512(shifted, _mm512_set1_epi16((short)0xBFFF)); // bit 14: the copied sign
    __m512i next = _mm512_add_epi16(scaled, _mm512_set1_epi16(0x80));
    return _mm512_or_si512(scaled, _mm512_and_si512(next, _mm512_set1_epi16(0x4000)));
}

// The 32 stored numbers at w whose bit in `lanes` is set, exactly, and zeros for the others; nothing is
// read for those. E4M3 comes scaled by 2^-8, which the caller takes back. bfloat16 comes as the
// even elements and the odd ones, which saves the shuffle; x must then be loaded likewise.
DSA_AVX512_INLINE float_pair load_stored(stored_format format, const void *w, size_t at, __mmask32 lanes) {
    switch (format) {
    case format_f32: {
        const float *from = (const float *)w + at;
        return (float_pair){
            _mm512_maskz_loadu_ps((__mmask16)lanes, from),
            _mm512_maskz_loadu_ps((__mmask16)(lanes >> 16), from + 16),
        };
    }
    case format_bf16: {
        __m512i codes = _mm512_maskz_loadu_epi16(lanes, (const uint16_t *)w + at);
        return (float_pair){
            _mm512_castsi512_ps(_mm512_slli_epi32(codes, 16)),
            _mm512_castsi512_ps(_mm512_and_si512(codes, _mm512_set1_epi32((int)0xFFFF0000))),
        };
    }
    case format_f16: {
        __m512i codes = _mm512_maskz_loadu_epi16(lanes, (const uint16_t *)w + at);
        return (float_pair){
            _mm512_cvtph_ps(_mm512_castsi512_si256(codes)),
            _mm512_cvtph_ps(_mm512_extracti64x4_epi64(codes, 1)),
        };
    }
    case format_e4m3: {
        __m512i codes = e4m3_as_f16(_mm256_maskz_loadu_epi8(lanes, (const uint8_t *)w + at));
        return (float_pair){
            _mm512_cvtph_ps(_mm512_castsi512_si256(codes)),
            _mm512_cvtph_ps(_mm512_extracti64x4_epi64(codes, 1)),
        };
    }
    }
}

// The 32 elements of x that face load_stored's, in its order.
DSA_AVX512_INLINE float_pair load_facing(stored_format format, const float *x, __mmask32 lanes) {
    float_pair pair = load_stored(format_f32, x, 0, lanes);
    if (format != format_bf16) {
        return pair;
    }
    __m512i even = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    return (float_pair){
        _mm512_permutex2var_ps(pair.low, even, pair.high),
        _mm512_permutex2var_ps(pair.low, odd, pair.high),
    };
}

// MARK: Exponential

typedef struct {
    __m512 fraction, exponent;
} split_exp;

// exp(t) = fraction * 2^exponent; see exponential.h. For finite t; NaN gives a NaN fraction.
DSA_AVX512_INLINE split_exp exp_parts(__m512 t) {
    __m512 n = _mm512_roundscale_ps(
        _mm512_mul_ps(t, _mm512_set1_ps(DSA_LOG2_E)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(DSA_LN2_HIGH), t);
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(DSA_LN2_LOW), r);
    __m512 p = _mm512_set1_ps(DSA_EXP_C6);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(DSA_EXP_C5));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(DSA_EXP_C4));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(DSA_EXP_C3));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(DSA_EXP_C2));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
    return (split_exp){p, n};
}

// The slots, as in CKernels.h.
double dsa_avx512_dot_peak(size_t rounds, float *sink);
void dsa_avx512_widen_bf16(size_t count, const uint16_t *x, float *y);
void dsa_avx512_widen_f16(size_t count, const uint16_t *x, float *y);
void dsa_avx512_widen_e4m3(size_t count, const uint8_t *x, float *y);
void dsa_avx512_narrow_bf16(size_t count, const float *x, uint16_t *y);
void dsa_avx512_narrow_e4m3(size_t count, const float *x, uint8_t *y);
float dsa_avx512_dot_f32(size_t count, const float *x, const float *y);
void dsa_avx512_gemv_f32(
    size_t rows, size_t columns, size_t stride, const float *w, const float *x, float *y);
void dsa_avx512_gemv_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y);
void dsa_avx512_gemv_many_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, size_t vectors, const float *const *x,
    float *const *y);
void dsa_avx512_arrange_bf16(size_t count, const float *x, float *y);
void dsa_avx512_gemv_f16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y);
void dsa_avx512_gemv_e4m3(
    size_t rows, size_t columns, size_t stride, const uint8_t *w, const float *scales, const float *x, float *y);
void dsa_avx512_axpy_f32(size_t count, float a, const float *x, float *y);
void dsa_avx512_axpy_bf16(size_t count, float a, const uint16_t *x, float *y);
void dsa_avx512_scale_f32(size_t count, float a, float *x);
void dsa_avx512_hide_f32(size_t count, const uint64_t *kept, float *x);
void dsa_avx512_silu_multiply(size_t count, const float *gate, const float *up, float *y);
float dsa_avx512_max_f32(size_t count, const float *x);
float dsa_avx512_exp_sum(size_t count, float scale, float shift, const float *x, float *y);
void dsa_avx512_pack_columns_bf16(size_t n, size_t k, const uint16_t *const *columns, uint16_t *panels);
void dsa_avx512_pack_rows_bf16(size_t k, size_t n, const uint16_t *const *rows, uint16_t *panels);
void dsa_avx512_multiply_bf16(
    size_t m, size_t n, size_t pairs, const uint16_t *a, size_t a_stride, const uint16_t *panels,
    size_t panel_stride, const float *factors, float *c, size_t c_stride, bool accumulating);
void dsa_avx512_rescale_e4m3_bf16(size_t count, float scale, const uint8_t *x, uint16_t *y);
float dsa_avx512_exp_sum_bf16(size_t count, float scale, float shift, const float *x, uint16_t *y);
void dsa_avx512_gather_multiply_f32(
    size_t count, const int32_t *positions, size_t columns, const float *rows, size_t stride, size_t lanes,
    const float *m, float *y);
void dsa_avx512_gather_add_f32(
    size_t count, const int32_t *positions, size_t columns, const float *rows, size_t stride, size_t lanes,
    const float *w, float *y);
void dsa_avx512_exp_sum_lanes(
    size_t count, size_t lanes, float scale, float *x, float *maxima, float *sums);
void dsa_avx512_scatter_add_f32(
    size_t count, const int32_t *positions, size_t columns, size_t lanes, const float *w,
    const float *m, float *rows, size_t stride);
void dsa_avx512_key_tile_f32(dsa_format format, size_t keys, size_t dim, const void *rows, float *tile);
void dsa_avx512_index_scores_f32(
    size_t heads, size_t dim, const float *queries, const float *weights, const float *scales,
    const float *tile, const void *upcoming, size_t upcoming_bytes, float *scores);
size_t dsa_avx512_ranks_above(
    size_t count, const float *scores, int32_t first, uint32_t floor, uint32_t *ranks, int32_t *positions);
uint32_t dsa_avx512_keep_highest(size_t count, size_t wanted, uint32_t *ranks, int32_t *positions);

#endif

#endif
