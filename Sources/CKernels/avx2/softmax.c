// Maximum, exponential and sum, 32 elements at a time in four independent chains.

#include <math.h>

#include "avx2.h"

#if defined(__x86_64__)

enum { chains = 4 };

// x: [count]. max_ps drops a NaN in its first operand; one unordered compare for each two vectors finds it.
DSA_AVX2 float dsa_avx2_max_f32(size_t count, const float *x) {
    __m256 lowest = _mm256_set1_ps(-INFINITY);
    __m256 largest[chains];
    for (int k = 0; k < chains; k++) {
        largest[k] = lowest;
    }
    __m256 nan = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 * chains <= count; i += 8 * chains) {
#pragma clang loop unroll(full)
        for (int k = 0; k < chains; k += 2) {
            __m256 a = _mm256_loadu_ps(x + i + 8 * k);
            __m256 b = _mm256_loadu_ps(x + i + 8 * k + 8);
            nan = _mm256_or_ps(nan, _mm256_cmp_ps(a, b, _CMP_UNORD_Q));
            largest[k] = _mm256_max_ps(a, largest[k]);
            largest[k + 1] = _mm256_max_ps(b, largest[k + 1]);
        }
    }
    for (; i < count; i += 8) {
        __m256i lanes = lanes8(count - i);
        __m256 a = _mm256_blendv_ps(lowest, _mm256_maskload_ps(x + i, lanes), _mm256_castsi256_ps(lanes));
        nan = _mm256_or_ps(nan, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
        largest[0] = _mm256_max_ps(a, largest[0]);
    }
    if (_mm256_movemask_ps(nan) != 0) {
        return NAN;
    }
    __m256 low = _mm256_max_ps(largest[0], largest[1]);
    __m256 high = _mm256_max_ps(largest[2], largest[3]);
    __m256 all = _mm256_max_ps(low, high);
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
    __m128 quarter = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(quarter, _mm_movehdup_ps(quarter)));
}

// exp(scale * x - shift).
DSA_AVX2_INLINE __m256 exp_of(__m256 scale, __m256 shift, __m256 x) {
    __m256 t = _mm256_fmsub_ps(scale, x, shift);
    __m256 kept = _mm256_and_ps(
        _mm256_cmp_ps(t, _mm256_set1_ps(DSA_EXP_FLUSH), _CMP_NLT_UQ),
        _mm256_cmp_ps(x, _mm256_set1_ps(-INFINITY), _CMP_NEQ_UQ));
    // min_ps returns its second operand when either is NaN: t keeps it.
    split_exp e = exp_parts(_mm256_min_ps(_mm256_set1_ps(DSA_EXP_OVERFLOW), t));
    // Two factors: 2^128 is no float, yet 2^128 times a fraction below 1 is. For what is not kept they may
    // be any number.
    __m256i half = _mm256_srai_epi32(e.exponent, 1);
    __m256 first = _mm256_mul_ps(e.fraction, power_of_two(half));
    __m256 value = _mm256_mul_ps(first, power_of_two(_mm256_sub_epi32(e.exponent, half)));
    return _mm256_and_ps(value, kept);
}

DSA_AVX2_INLINE float sum_lanes(__m256 vector) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(vector), _mm256_extractf128_ps(vector, 1));
    __m128 quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)));
}

// x, y: [count]; four float32 vectors of partial sums.
DSA_AVX2 float dsa_avx2_exp_sum(size_t count, float scale, float shift, const float *x, float *y) {
    __m256 factor = _mm256_set1_ps(scale);
    __m256 offset = _mm256_set1_ps(shift);
    __m256 sums[chains];
    for (int k = 0; k < chains; k++) {
        sums[k] = _mm256_setzero_ps();
    }
    size_t i = 0;
    for (; i + 8 * chains <= count; i += 8 * chains) {
#pragma clang loop unroll(full)
        for (int k = 0; k < chains; k++) {
            __m256 value = exp_of(factor, offset, _mm256_loadu_ps(x + i + 8 * k));
            _mm256_storeu_ps(y + i + 8 * k, value);
            sums[k] = _mm256_add_ps(sums[k], value);
        }
    }
    for (; i + 8 <= count; i += 8) {
        __m256 value = exp_of(factor, offset, _mm256_loadu_ps(x + i));
        _mm256_storeu_ps(y + i, value);
        sums[0] = _mm256_add_ps(sums[0], value);
    }
    if (i < count) {
        __m256i lanes = lanes8(count - i);
        __m256 value = exp_of(factor, offset, _mm256_maskload_ps(x + i, lanes));
        _mm256_maskstore_ps(y + i, lanes, value);
        sums[0] = _mm256_add_ps(sums[0], _mm256_and_ps(value, _mm256_castsi256_ps(lanes)));
    }
    return sum_lanes(_mm256_add_ps(_mm256_add_ps(sums[0], sums[1]), _mm256_add_ps(sums[2], sums[3])));
}

#endif
