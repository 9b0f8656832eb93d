// Dot products: fused multiply-adds into float32 accumulators, 8 sums each.

#include "avx2.h"

#if defined(__x86_64__)

// The sum of the 8 lanes of four vectors. A vector's sum is taken in the same order in any place.
DSA_AVX2_INLINE __m128 sum_lanes(const __m256 vectors[4]) {
    __m128 halves[4];
    for (int r = 0; r < 4; r++) {
        halves[r] = _mm_add_ps(_mm256_castps256_ps128(vectors[r]), _mm256_extractf128_ps(vectors[r], 1));
    }
    _MM_TRANSPOSE4_PS(halves[0], halves[1], halves[2], halves[3]);
    return _mm_add_ps(_mm_add_ps(halves[0], halves[1]), _mm_add_ps(halves[2], halves[3]));
}

// x, y: [count]. Eight accumulators hide the latency of the fused multiply-add at two loads for each.
DSA_AVX2 float dsa_avx2_dot_f32(size_t count, const float *x, const float *y) {
    enum { width = 8 };
    __m256 sums[width];
    for (int k = 0; k < width; k++) {
        sums[k] = _mm256_setzero_ps();
    }
    size_t i = 0;
    for (; i + 8 * width <= count; i += 8 * width) {
#pragma clang loop unroll(full)
        for (int k = 0; k < width; k++) {
            __m256 from_x = _mm256_loadu_ps(x + i + 8 * k);
            sums[k] = _mm256_fmadd_ps(from_x, _mm256_loadu_ps(y + i + 8 * k), sums[k]);
        }
    }
    for (; i < count; i += 8) {
        __m256i lanes = lanes8(count - i);
        __m256 from_x = _mm256_maskload_ps(x + i, lanes);
        sums[0] = _mm256_fmadd_ps(from_x, _mm256_maskload_ps(y + i, lanes), sums[0]);
    }
    for (int k = 0; k < width / 2; k++) {
        sums[k] = _mm256_add_ps(sums[k], sums[k + width / 2]);
    }
    __m128 quarters = sum_lanes(sums);
    __m128 halves = _mm_add_ps(quarters, _mm_movehl_ps(quarters, quarters));
    return _mm_cvtss_f32(_mm_add_ss(halves, _mm_movehdup_ps(halves)));
}

// MARK: Matrix times vector

enum {
    row_block = 4,    // rows that share each load of x
    accumulators = 2, // for each row: 8 chains in a block, which the 16 registers hold beside the operands
};

// One chunk of 16 columns, or of the `left` that remain, added to the accumulators of `rows` rows. x has
// 16 elements in either case.
DSA_AVX2_INLINE void add_columns(
    stored_format format, int rows, size_t left, size_t stride, const void *w, size_t at, const float *x,
    __m256 sums[row_block][accumulators]) {
    float_pair facing = load_facing(format, x);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        size_t begin = at + (size_t)r * stride;
        float_pair stored;
        if (left < 16) {
            float room[16];
            stage(format, w, begin, left, room);
            stored = load_stored(format, room, 0);
        } else {
            stored = load_stored(format, w, begin);
        }
        sums[r][0] = _mm256_fmadd_ps(stored.low, facing.low, sums[r][0]);
        sums[r][1] = _mm256_fmadd_ps(stored.high, facing.high, sums[r][1]);
    }
}

// w: `rows` (1 ... 4) rows beginning at element `at`, x: [columns]; the result has a lane for each row.
DSA_AVX2_INLINE __m128 dot_rows(
    stored_format format, int rows, size_t columns, size_t stride, const void *w, size_t at, const float *x) {
    __m256 sums[row_block][accumulators];
#pragma clang loop unroll(full)
    for (int r = 0; r < row_block; r++) {
#pragma clang loop unroll(full)
        for (int k = 0; k < accumulators; k++) {
            sums[r][k] = _mm256_setzero_ps();
        }
    }
    size_t c = 0;
    for (; c + 16 <= columns; c += 16) {
        add_columns(format, rows, 16, stride, w, at + c, x + c, sums);
    }
    if (c < columns) {
        float room[16];
        stage(format_f32, x, c, columns - c, room);
        add_columns(format, rows, columns - c, stride, w, at + c, room, sums);
    }
    __m256 totals[row_block];
#pragma clang loop unroll(full)
    for (int r = 0; r < row_block; r++) {
        totals[r] = _mm256_add_ps(sums[r][0], sums[r][1]);
    }
    __m128 result = sum_lanes(totals);
    return format == format_e4m3 ? _mm_mul_ps(result, _mm_set1_ps(256)) : result; // load_stored's 2^-8
}

// w: [rows, stride], x: [columns], y: [rows].
DSA_AVX2_INLINE void gemv(
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

DSA_AVX2 void dsa_avx2_gemv_f32(
    size_t rows, size_t columns, size_t stride, const float *w, const float *x, float *y) {
    gemv(format_f32, rows, columns, stride, w, x, y);
}

DSA_AVX2 void dsa_avx2_gemv_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y) {
    gemv(format_bf16, rows, columns, stride, w, x, y);
}

DSA_AVX2 void dsa_avx2_gemv_many_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, size_t vectors, const float *const *x,
    float *const *y) {
    for (size_t v = 0; v < vectors; v++) {
        dsa_avx2_gemv_bf16(rows, columns, stride, w, x[v], y[v]);
    }
}

DSA_AVX2 void dsa_avx2_gemv_f16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y) {
    gemv(format_f16, rows, columns, stride, w, x, y);
}

// dot_rows for E4M3 codes, whose blocks of columns have scales. Asks for the next rows while it goes through these:
// at one byte a number the processor's own prefetching falls behind.
DSA_AVX2_INLINE __m128 dot_codes(
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

DSA_AVX2 void dsa_avx2_gemv_e4m3(
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
