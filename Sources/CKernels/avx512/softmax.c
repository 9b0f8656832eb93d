// Maximum, exponential and sum, 64 elements at a time in four independent chains.

#include <math.h>

#include "avx512.h"
#include "CKernels.h"

#if defined(__x86_64__)

enum { chains = 4 };

// x: [count]. max_ps drops a NaN in its first operand; one unordered compare for each two vectors finds it.
DSA_AVX512 float dsa_avx512_max_f32(size_t count, const float *x) {
    __m512 lowest = _mm512_set1_ps(-INFINITY);
    __m512 largest[chains];
    for (int k = 0; k < chains; k++) {
        largest[k] = lowest;
    }
    unsigned nan = 0;
    size_t i = 0;
    for (; i + 16 * chains <= count; i += 16 * chains) {
#pragma clang loop unroll(full)
        for (int k = 0; k < chains; k += 2) {
            __m512 a = _mm512_loadu_ps(x + i + 16 * k);
            __m512 b = _mm512_loadu_ps(x + i + 16 * k + 16);
            nan |= _mm512_cmp_ps_mask(a, b, _CMP_UNORD_Q);
            largest[k] = _mm512_max_ps(a, largest[k]);
            largest[k + 1] = _mm512_max_ps(b, largest[k + 1]);
        }
    }
    for (; i < count; i += 16) {
        __m512 a = _mm512_mask_loadu_ps(lowest, lanes16(count - i), x + i);
        nan |= _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
        largest[0] = _mm512_max_ps(a, largest[0]);
    }
    if (nan != 0) {
        return NAN;
    }
    __m512 low = _mm512_max_ps(largest[0], largest[1]);
    __m512 high = _mm512_max_ps(largest[2], largest[3]);
    return _mm512_reduce_max_ps(_mm512_max_ps(low, high));
}

// exp(scale * x - shift) of the chosen lanes, 0 in the others.
DSA_AVX512_INLINE __m512 exp_of(__mmask16 lanes, __m512 scale, __m512 shift, __m512 x) {
    __m512 t = _mm512_fmsub_ps(scale, x, shift);
    __mmask16 kept = _mm512_mask_cmp_ps_mask(lanes, t, _mm512_set1_ps(DSA_EXP_FLUSH), _CMP_NLT_UQ);
    kept = _mm512_mask_cmp_ps_mask(kept, x, _mm512_set1_ps(-INFINITY), _CMP_NEQ_UQ);
    // min_ps returns its second operand when either is NaN: t keeps it.
    split_exp e = exp_parts(_mm512_min_ps(_mm512_set1_ps(DSA_EXP_OVERFLOW), t));
    return _mm512_maskz_scalef_ps(kept, e.fraction, e.exponent);
}

// x, y: [count]; four float32 vectors of partial sums.
DSA_AVX512 float dsa_avx512_exp_sum(size_t count, float scale, float shift, const float *x, float *y) {
    __m512 factor = _mm512_set1_ps(scale);
    __m512 offset = _mm512_set1_ps(shift);
    __m512 sums[chains];
    for (int k = 0; k < chains; k++) {
        sums[k] = _mm512_setzero_ps();
    }
    size_t i = 0;
    for (; i + 16 * chains <= count; i += 16 * chains) {
#pragma clang loop unroll(full)
        for (int k = 0; k < chains; k++) {
            __m512 value = exp_of(0xFFFF, factor, offset, _mm512_loadu_ps(x + i + 16 * k));
            _mm512_storeu_ps(y + i + 16 * k, value);
            sums[k] = _mm512_add_ps(sums[k], value);
        }
    }
    for (; i < count; i += 16) {
        __mmask16 lanes = lanes16(count - i);
        __m512 value = exp_of(lanes, factor, offset, _mm512_maskz_loadu_ps(lanes, x + i));
        _mm512_mask_storeu_ps(y + i, lanes, value);
        sums[0] = _mm512_add_ps(sums[0], value);
    }
    __m512 low = _mm512_add_ps(sums[0], sums[1]);
    return _mm512_reduce_add_ps(_mm512_add_ps(low, _mm512_add_ps(sums[2], sums[3])));
}

// MARK: Lanes

// Sixteen lanes of one row, or the first eight of two, of which the second may be beyond the last and is -infinity then.
DSA_AVX512_INLINE __m512 load_lanes(bool half, const float *row, bool second) {
    if (!half) {
        return _mm512_loadu_ps(row);
    }
    __m256 next = second ? _mm256_loadu_ps(row + dsa_lanes) : _mm256_set1_ps(-INFINITY);
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(row)), next, 1);
}

DSA_AVX512_INLINE __m512 swap_halves(__m512 x) {
    return _mm512_shuffle_f32x4(x, x, 0x4E);
}

DSA_AVX512_INLINE void exp_sum_lanes(bool half, size_t count, float scale, float *x, float *maxima, float *sums) {
    size_t step = half ? 2 : 1;
    __m512 largest = _mm512_set1_ps(-INFINITY);
    __mmask16 nan = 0;
    for (size_t i = 0; i < count; i += step) {
        __m512 values = load_lanes(half, x + i * dsa_lanes, i + 1 < count);
        nan |= _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
        largest = _mm512_max_ps(values, largest);
    }
    if (half) {
        largest = _mm512_max_ps(largest, swap_halves(largest));
        nan |= (__mmask16)((nan >> 8) | (nan << 8));
    }
    __m512 factor = _mm512_set1_ps(scale);
    __m512 shift = _mm512_mask_mov_ps(_mm512_mul_ps(factor, largest), nan, _mm512_set1_ps(NAN));
    __m512 sum = _mm512_setzero_ps();
    for (size_t i = 0; i < count; i += step) {
        float *row = x + i * dsa_lanes;
        bool second = i + 1 < count;
        __m512 values = exp_of(0xFFFF, factor, shift, load_lanes(half, row, second));
        sum = _mm512_add_ps(sum, values);
        if (!half) {
            _mm512_storeu_ps(row, values);
            continue;
        }
        _mm256_storeu_ps(row, _mm512_castps512_ps256(values));
        if (second) {
            _mm256_storeu_ps(row + dsa_lanes, _mm512_extractf32x8_ps(values, 1));
        }
    }
    if (half) {
        sum = _mm512_add_ps(sum, swap_halves(sum));
    }
    _mm512_storeu_ps(maxima, shift);
    _mm512_storeu_ps(sums, sum);
}

// x: [count, 16], maxima, sums: [16].
DSA_AVX512 void dsa_avx512_exp_sum_lanes(
    size_t count, size_t lanes, float scale, float *x, float *maxima, float *sums) {
    if (lanes > dsa_lanes / 2) {
        exp_sum_lanes(false, count, scale, x, maxima, sums);
    } else {
        exp_sum_lanes(true, count, scale, x, maxima, sums);
    }
}

#endif
