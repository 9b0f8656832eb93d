// Elementwise vector kernels; tails are masked, so every element takes the same path.

#include <math.h>

#include "avx512.h"

#if defined(__x86_64__)

// x, y: [count]; one rounding for each element (fused).
DSA_AVX512 void dsa_avx512_axpy_f32(size_t count, float a, const float *x, float *y) {
    __m512 factor = _mm512_set1_ps(a);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        _mm512_storeu_ps(y + i, _mm512_fmadd_ps(factor, _mm512_loadu_ps(x + i), _mm512_loadu_ps(y + i)));
    }
    if (i < count) {
        __mmask16 lanes = lanes16(count - i);
        __m512 sum = _mm512_fmadd_ps(
            factor, _mm512_maskz_loadu_ps(lanes, x + i), _mm512_maskz_loadu_ps(lanes, y + i));
        _mm512_mask_storeu_ps(y + i, lanes, sum);
    }
}

// x, y: [count]; one rounding for each element (fused).
DSA_AVX512 void dsa_avx512_axpy_bf16(size_t count, float a, const uint16_t *x, float *y) {
    __m512 factor = _mm512_set1_ps(a);
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 lanes = lanes16(count - i);
        __m512i codes = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, x + i));
        __m512 from_x = _mm512_castsi512_ps(_mm512_slli_epi32(codes, 16));
        __m512 sum = _mm512_fmadd_ps(factor, from_x, _mm512_maskz_loadu_ps(lanes, y + i));
        if (i + 16 <= count) {
            _mm512_storeu_ps(y + i, sum);
        } else {
            _mm512_mask_storeu_ps(y + i, lanes, sum);
        }
    }
}

// x: [count], in place.
DSA_AVX512 void dsa_avx512_scale_f32(size_t count, float a, float *x) {
    __m512 factor = _mm512_set1_ps(a);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        _mm512_storeu_ps(x + i, _mm512_mul_ps(factor, _mm512_loadu_ps(x + i)));
    }
    if (i < count) {
        __mmask16 lanes = lanes16(count - i);
        _mm512_mask_storeu_ps(x + i, lanes, _mm512_mul_ps(factor, _mm512_maskz_loadu_ps(lanes, x + i)));
    }
}

// kept: [ceil(count / 64)], x: [count], in place; 16 bits are the mask of a vector.
DSA_AVX512 void dsa_avx512_hide_f32(size_t count, const uint64_t *kept, float *x) {
    __m512 hidden = _mm512_set1_ps(-INFINITY);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __mmask16 lanes = (__mmask16)(kept[i / 64] >> i % 64);
        _mm512_storeu_ps(x + i, _mm512_mask_loadu_ps(hidden, lanes, x + i));
    }
    if (i < count) {
        __mmask16 lost = (__mmask16)~(kept[i / 64] >> i % 64) & lanes16(count - i);
        _mm512_mask_storeu_ps(x + i, lost, hidden);
    }
}

// silu(gate) * up: gate / (1 + e) * up with e = exp(-|gate|), and for a negative gate e = f * 2^n once more
// as a factor: f before the division, 2^n in two parts around `up`, so that no factor underflows
// before the product does.
// max_ps returns its second operand when either is NaN: t keeps a NaN gate.
DSA_AVX512_INLINE __m512 silu_times(__m512 gate, __m512 up) {
    __m512 one = _mm512_set1_ps(1);
    __m512 downwards = _mm512_or_ps(gate, _mm512_set1_ps(-0.0f)); // -|gate|
    __m512 t = _mm512_max_ps(_mm512_set1_ps(DSA_SILU_LOWEST), downwards);
    split_exp e = exp_parts(t);
    __m512 denominator = _mm512_add_ps(one, _mm512_scalef_ps(e.fraction, e.exponent));
    __mmask16 negative = _mm512_movepi32_mask(_mm512_castps_si512(gate));
    __m512 numerator = _mm512_mask_mul_ps(gate, negative, t, e.fraction);
    __m512 exponent = _mm512_maskz_mov_ps(negative, e.exponent);
    __m512 first = _mm512_max_ps(exponent, _mm512_set1_ps(-126));
    __m512 product = _mm512_mul_ps(_mm512_scalef_ps(_mm512_div_ps(numerator, denominator), first), up);
    return _mm512_scalef_ps(product, _mm512_sub_ps(exponent, first));
}

// gate, up, y: [count].
DSA_AVX512 void dsa_avx512_silu_multiply(size_t count, const float *gate, const float *up, float *y) {
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 lanes = lanes16(count - i);
        __m512 product = silu_times(
            _mm512_maskz_loadu_ps(lanes, gate + i), _mm512_maskz_loadu_ps(lanes, up + i));
        _mm512_mask_storeu_ps(y + i, lanes, product);
    }
}

#endif
