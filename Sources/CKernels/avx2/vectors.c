// Elementwise vector kernels; tails are masked, so every element takes the same path.

#include <math.h>

#include "avx2.h"

#if defined(__x86_64__)

// x, y: [count]; one rounding for each element (fused).
DSA_AVX2 void dsa_avx2_axpy_f32(size_t count, float a, const float *x, float *y) {
    __m256 factor = _mm256_set1_ps(a);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        _mm256_storeu_ps(y + i, _mm256_fmadd_ps(factor, _mm256_loadu_ps(x + i), _mm256_loadu_ps(y + i)));
    }
    if (i < count) {
        __m256i lanes = lanes8(count - i);
        __m256 from_x = _mm256_maskload_ps(x + i, lanes);
        __m256 from_y = _mm256_maskload_ps(y + i, lanes);
        _mm256_maskstore_ps(y + i, lanes, _mm256_fmadd_ps(factor, from_x, from_y));
    }
}

// x, y: [count]; one rounding for each element (fused).
DSA_AVX2 void dsa_avx2_axpy_bf16(size_t count, float a, const uint16_t *x, float *y) {
    __m256 factor = _mm256_set1_ps(a);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256i codes = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(x + i)));
        __m256 from_x = _mm256_castsi256_ps(_mm256_slli_epi32(codes, 16));
        _mm256_storeu_ps(y + i, _mm256_fmadd_ps(factor, from_x, _mm256_loadu_ps(y + i)));
    }
    if (i < count) {
        uint16_t room[8] = {0};
        memcpy(room, x + i, (count - i) * sizeof *x);
        __m256i codes = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)room));
        __m256 from_x = _mm256_castsi256_ps(_mm256_slli_epi32(codes, 16));
        __m256i lanes = lanes8(count - i);
        __m256 sum = _mm256_fmadd_ps(factor, from_x, _mm256_maskload_ps(y + i, lanes));
        _mm256_maskstore_ps(y + i, lanes, sum);
    }
}

// x: [count], in place.
DSA_AVX2 void dsa_avx2_scale_f32(size_t count, float a, float *x) {
    __m256 factor = _mm256_set1_ps(a);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        _mm256_storeu_ps(x + i, _mm256_mul_ps(factor, _mm256_loadu_ps(x + i)));
    }
    if (i < count) {
        __m256i lanes = lanes8(count - i);
        _mm256_maskstore_ps(x + i, lanes, _mm256_mul_ps(factor, _mm256_maskload_ps(x + i, lanes)));
    }
}

// kept: [ceil(count / 64)], x: [count], in place; a byte of bits is spread over a vector.
DSA_AVX2 void dsa_avx2_hide_f32(size_t count, const uint64_t *kept, float *x) {
    __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    __m256 hidden = _mm256_set1_ps(-INFINITY);
    for (size_t i = 0; i < count; i += 8) {
        __m256i byte = _mm256_set1_epi32((int)(kept[i / 64] >> i % 64 & 0xFF));
        __m256i kept_lanes = _mm256_cmpeq_epi32(_mm256_and_si256(byte, bits), bits);
        if (i + 8 <= count) {
            __m256 scores = _mm256_blendv_ps(hidden, _mm256_loadu_ps(x + i), _mm256_castsi256_ps(kept_lanes));
            _mm256_storeu_ps(x + i, scores);
        } else {
            _mm256_maskstore_ps(x + i, _mm256_andnot_si256(kept_lanes, lanes8(count - i)), hidden);
        }
    }
}

// silu(gate) * up: gate / (1 + e) * up with e = exp(-|gate|), and for a negative gate e = f * 2^n once more
// as a factor: f before the division, 2^n in three parts around `up`, so that no factor underflows
// before the product does.
// max_ps returns its second operand when either is NaN: t keeps a NaN gate, whatever the powers of two.
DSA_AVX2_INLINE __m256 silu_times(__m256 gate, __m256 up) {
    __m256 downwards = _mm256_or_ps(gate, _mm256_set1_ps(-0.0f)); // -|gate|
    __m256 t = _mm256_max_ps(_mm256_set1_ps(DSA_SILU_LOWEST), downwards);
    split_exp e = exp_parts(t);
    __m256i lowest = _mm256_set1_epi32(-126);
    __m256 exponential = _mm256_mul_ps(e.fraction, power_of_two(_mm256_max_epi32(e.exponent, lowest)));
    __m256 denominator = _mm256_add_ps(_mm256_set1_ps(1), exponential);
    __m256 numerator = _mm256_blendv_ps(gate, _mm256_mul_ps(t, e.fraction), gate); // by the sign of gate
    __m256i negative = _mm256_srai_epi32(_mm256_castps_si256(gate), 31);
    __m256i exponent = _mm256_and_si256(e.exponent, negative);
    __m256i first = _mm256_max_epi32(exponent, lowest);
    __m256i rest = _mm256_sub_epi32(exponent, first);
    __m256i second = _mm256_max_epi32(rest, lowest);
    __m256i third = _mm256_sub_epi32(rest, second);
    __m256 quotient = _mm256_div_ps(numerator, denominator);
    __m256 product = _mm256_mul_ps(_mm256_mul_ps(quotient, power_of_two(first)), up);
    return _mm256_mul_ps(_mm256_mul_ps(product, power_of_two(second)), power_of_two(third));
}

// gate, up, y: [count].
DSA_AVX2 void dsa_avx2_silu_multiply(size_t count, const float *gate, const float *up, float *y) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        _mm256_storeu_ps(y + i, silu_times(_mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i)));
    }
    if (i < count) {
        __m256i lanes = lanes8(count - i);
        __m256 product = silu_times(_mm256_maskload_ps(gate + i, lanes), _mm256_maskload_ps(up + i, lanes));
        _mm256_maskstore_ps(y + i, lanes, product);
    }
}

#endif
