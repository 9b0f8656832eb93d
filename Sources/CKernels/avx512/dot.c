// Dot products: fused multiply-adds into float32 accumulators, 16 sums each.

#include "avx512.h"

#if defined(__x86_64__)

// x, y: [count]. Eight accumulators hide the latency of the fused multiply-add at two loads for each.
DSA_AVX512 float dsa_avx512_dot_f32(size_t count, const float *x, const float *y) {
    enum { width = 8 };
    __m512 sums[width];
    for (int k = 0; k < width; k++) {
        sums[k] = _mm512_setzero_ps();
    }
    size_t i = 0;
    for (; i + 16 * width <= count; i += 16 * width) {
#pragma clang loop unroll(full)
        for (int k = 0; k < width; k++) {
            __m512 from_x = _mm512_loadu_ps(x + i + 16 * k);
            sums[k] = _mm512_fmadd_ps(from_x, _mm512_loadu_ps(y + i + 16 * k), sums[k]);
        }
    }
    for (; i < count; i += 16) {
        __mmask16 lanes = lanes16(count - i);
        sums[0] = _mm512_fmadd_ps(
            _mm512_maskz_loadu_ps(lanes, x + i), _mm512_maskz_loadu_ps(lanes, y + i), sums[0]);
    }
    for (int half = width / 2; half > 0; half /= 2) {
        for (int k = 0; k < half; k++) {
            sums[k] = _mm512_add_ps(sums[k], sums[k + half]);
        }
    }
    return _mm512_reduce_add_ps(sums[0]);
}

// MARK: Matrix times vector

enum {
    row_block = 4,    // rows that share each load of x
    accumulators = 4, // for each row: 16 chains in a block, and 4 when one row is left
};

// The sum of the 16 lanes, four rows at a time. A row's sum is taken in the same order in any place.
DSA_AVX512_INLINE __m128 sum_lanes(const __m512 rows[row_block]) {
    __m128 quarters[row_block];
    for (int r = 0; r < row_block; r++) {
        __m256 halves = _mm256_add_ps(_mm512_castps512_ps256(rows[r]), _mm512_extractf32x8_ps(rows[r], 1));
        quarters[r] = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
    }
    _MM_TRANSPOSE4_PS(quarters[0], quarters[1], quarters[2], quarters[3]);
    return _mm_add_ps(_mm_add_ps(quarters[0], quarters[1]), _mm_add_ps(quarters[2], quarters[3]));
}

// One chunk of 64 columns, or of the `left` that remain, added to the accumulators of `rows` rows.
DSA_AVX512_INLINE void add_columns(
    stored_format format, int rows, size_t left, size_t stride, const void *w, size_t at, const float *x,
    __m512 sums[row_block][accumulators]) {
#pragma clang loop unroll(full)
    for (int half = 0; half < 2; half++) {
        size_t skipped = 32 * (size_t)half;
        __mmask32 lanes = left <= skipped ? 0 : lanes32(left - skipped);
        float_pair facing = load_facing(format, x + skipped, lanes);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            float_pair stored = load_stored(format, w, at + (size_t)r * stride + skipped, lanes);
            sums[r][2 * half] = _mm512_fmadd_ps(stored.low, facing.low, sums[r][2 * half]);
            sums[r][2 * half + 1] = _mm512_fmadd_ps(stored.high, facing.high, sums[r][2 * half + 1]);
        }
    }
}

// w: `rows` (1 ... 4) rows beginning at element `at`, x: [columns]; the result has a lane for each row.
DSA_AVX512_INLINE __m128 dot_rows(
    stored_format format, int rows, size_t columns, size_t stride, const void *w, size_t at, const float *x) {
    __m512 sums[row_block][accumulators];
#pragma clang loop unroll(full)
    for (int r = 0; r < row_block; r++) {
#pragma clang loop unroll(full)
        for (int k = 0; k < accumulators; k++) {
            sums[r][k] = _mm512_setzero_ps();
        }
    }
    size_t c = 0;
    for (; c + 64 <= columns; c += 64) {
        add_columns(format, rows, 64, stride, w, at + c, x + c, sums);
    }
    if (c < columns) {
        add_columns(format, rows, columns - c, stride, w, at + c, x + c, sums);
    }
    __m512 totals[row_block];
#pragma clang loop unroll(full)
    for (int r = 0; r < row_block; r++) {
        __m512 low = _mm512_add_ps(sums[r][0], sums[r][1]);
        totals[r] = _mm512_add_ps(low, _mm512_add_ps(sums[r][2], sums[r][3]));
    }
    __m128 result = sum_lanes(totals);
    return format == format_e4m3 ? _mm_mul_ps(result, _mm_set1_ps(256)) : result; // load_stored's 2^-8
}

// w: [rows, stride], x: [columns], y: [rows].
DSA_AVX512_INLINE void gemv(
    stored_format format, size_t rows, size_t columns, size_t stride, const void *w, const float *x,
    float *y) {
    size_t r = 0;
    for (; r + row_block <= rows; r += row_block) {
        _mm_storeu_ps(y + r, dot_rows(format, row_block, columns, stride, w, r * stride, x));
    }
    for (; r < rows; r++) {
        y[r] = _mm_cvtss_f32(dot_rows(format, 1, columns, stride, w, r * stride, x));
    }
}

DSA_AVX512 void dsa_avx512_gemv_f32(
    size_t rows, size_t columns, size_t stride, const float *w, const float *x, float *y) {
    gemv(format_f32, rows, columns, stride, w, x, y);
}

DSA_AVX512 void dsa_avx512_gemv_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y) {
    gemv(format_bf16, rows, columns, stride, w, x, y);
}

DSA_AVX512 void dsa_avx512_gemv_f16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y) {
    gemv(format_f16, rows, columns, stride, w, x, y);
}

// dot_rows for E4M3 codes, whose blocks of columns have scales. Asks for the next rows while it goes through these:
// at one byte a number the processor's own prefetching falls behind.
DSA_AVX512_INLINE __m128 dot_codes(
    int rows, size_t columns, size_t stride, const uint8_t *w, size_t at, const float *scales, const float *x) {
    __m128 sum = _mm_setzero_ps();
    for (size_t start = 0; start < columns; start += dsa_block_columns) {
        size_t count = columns - start < dsa_block_columns ? columns - start : dsa_block_columns;
        for (int r = 0; r < rows; r++) {
            const uint8_t *next = w + at + start + ((size_t)r + row_block) * stride;
            _mm_prefetch((const char *)next, _MM_HINT_T0);
            _mm_prefetch((const char *)next + 64, _MM_HINT_T0);
        }
        __m128 part = dot_rows(format_e4m3, rows, count, stride, w, at + start, x + start);
        float scale = scales[start / dsa_block_columns];
        sum = _mm_fmadd_ps(part, _mm_set1_ps(scale), sum);
    }
    return sum;
}

DSA_AVX512 void dsa_avx512_gemv_e4m3(
    size_t rows, size_t columns, size_t stride, const uint8_t *w, const float *scales, const float *x, float *y) {
    size_t r = 0;
    for (; r + row_block <= rows; r += row_block) {
        _mm_storeu_ps(y + r, dot_codes(row_block, columns, stride, w, r * stride, scales, x));
    }
    for (; r < rows; r++) {
        y[r] = _mm_cvtss_f32(dot_codes(1, columns, stride, w, r * stride, scales, x));
    }
}

#endif
