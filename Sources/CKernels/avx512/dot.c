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
    row_block = 8,    // rows that share each load of x: 16 chains of additions, two for each row
    few_rows = 4,     // rows that are added up at once
    few_vectors = 2,  // vectors that share each load of `few_rows` rows: as many chains
    chunk_columns = 32,
};

// The sum of the 16 lanes, four rows at a time. A row's sum is taken in the same order in any place.
DSA_AVX512_INLINE __m128 sum_lanes(const __m512 rows[few_rows]) {
    __m128 quarters[few_rows];
    for (int r = 0; r < few_rows; r++) {
        __m256 halves = _mm256_add_ps(_mm512_castps512_ps256(rows[r]), _mm512_extractf32x8_ps(rows[r], 1));
        quarters[r] = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
    }
    _MM_TRANSPOSE4_PS(quarters[0], quarters[1], quarters[2], quarters[3]);
    return _mm_add_ps(_mm_add_ps(quarters[0], quarters[1]), _mm_add_ps(quarters[2], quarters[3]));
}

// y[i] = the sum of a row's two accumulators, for `rows` (1 ... 4) of them.
DSA_AVX512_INLINE void finish(stored_format format, int rows, const float_pair *sums, float *y) {
    __m512 totals[few_rows];
#pragma clang loop unroll(full)
    for (int r = 0; r < few_rows; r++) {
        totals[r] = r < rows ? _mm512_add_ps(sums[r].low, sums[r].high) : _mm512_setzero_ps();
    }
    __m128 result = sum_lanes(totals);
    if (format == format_e4m3) {
        result = _mm_mul_ps(result, _mm_set1_ps(256)); // load_stored's 2^-8
    }
    _mm_mask_storeu_ps(y, (__mmask8)((1 << rows) - 1), result);
}

// One chunk of columns, or of the `left` that remain, added to the accumulators of `rows` rows.
DSA_AVX512_INLINE void add_columns(
    stored_format format, int rows, size_t left, size_t stride, const void *w, size_t at, const float *x,
    float_pair sums[row_block]) {
    __mmask32 lanes = lanes32(left);
    float_pair facing = load_facing(format, x, lanes);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        float_pair stored = load_stored(format, w, at + (size_t)r * stride, lanes);
        sums[r].low = _mm512_fmadd_ps(stored.low, facing.low, sums[r].low);
        sums[r].high = _mm512_fmadd_ps(stored.high, facing.high, sums[r].high);
    }
}

// w: `rows` (1 ... 8) rows beginning at element `at`, x: [columns], y: [rows].
DSA_AVX512_INLINE void dot_rows(
    stored_format format, int rows, size_t columns, size_t stride, const void *w, size_t at, const float *x,
    float *y) {
    float_pair sums[row_block];
#pragma clang loop unroll(full)
    for (int r = 0; r < row_block; r++) {
        sums[r] = (float_pair){_mm512_setzero_ps(), _mm512_setzero_ps()};
    }
    size_t c = 0;
    for (; c + chunk_columns <= columns; c += chunk_columns) {
        add_columns(format, rows, chunk_columns, stride, w, at + c, x + c, sums);
    }
    if (c < columns) {
        add_columns(format, rows, columns - c, stride, w, at + c, x + c, sums);
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r += few_rows) {
        finish(format, rows - r < few_rows ? rows - r : few_rows, sums + r, y + r);
    }
}

// w: [rows, stride], x: [columns], y: [rows].
DSA_AVX512_INLINE void gemv(
    stored_format format, size_t rows, size_t columns, size_t stride, const void *w, const float *x,
    float *y) {
    size_t r = 0;
    for (; r + row_block <= rows; r += row_block) {
        dot_rows(format, row_block, columns, stride, w, r * stride, x, y + r);
    }
    for (; r < rows; r++) {
        dot_rows(format, 1, columns, stride, w, r * stride, x, y + r);
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

// MARK: Matrix times several vectors

// x, y: [count], a multiple of 32: each chunk as load_facing has it.
DSA_AVX512 void dsa_avx512_arrange_bf16(size_t count, const float *x, float *y) {
    for (size_t i = 0; i < count; i += chunk_columns) {
        float_pair facing = load_facing(format_bf16, x + i, lanes32(chunk_columns));
        _mm512_storeu_ps(y + i, facing.low);
        _mm512_storeu_ps(y + i + 16, facing.high);
    }
}

// w: `rows` (1 ... 4) rows, x: `vectors` (1 or 2) of them, arranged; each sum is taken as dot_rows takes it.
DSA_AVX512_INLINE void dot_vectors(
    int rows, size_t columns, size_t stride, const uint16_t *w, int vectors, const float *const *x,
    float *const *y, size_t first) {
    float_pair sums[few_vectors][few_rows];
#pragma clang loop unroll(full)
    for (int v = 0; v < few_vectors; v++) {
#pragma clang loop unroll(full)
        for (int r = 0; r < few_rows; r++) {
            sums[v][r] = (float_pair){_mm512_setzero_ps(), _mm512_setzero_ps()};
        }
    }
    for (size_t c = 0; c < columns; c += chunk_columns) {
        float_pair stored[few_rows];
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            stored[r] = load_stored(format_bf16, w, (size_t)r * stride + c, lanes32(chunk_columns));
        }
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            __m512 low = _mm512_loadu_ps(x[v] + c), high = _mm512_loadu_ps(x[v] + c + 16);
#pragma clang loop unroll(full)
            for (int r = 0; r < rows; r++) {
                sums[v][r].low = _mm512_fmadd_ps(stored[r].low, low, sums[v][r].low);
                sums[v][r].high = _mm512_fmadd_ps(stored[r].high, high, sums[v][r].high);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
        finish(format_bf16, rows, sums[v], y[v] + first);
    }
}

// All vectors for `rows` rows, which stay in the first-level cache.
DSA_AVX512_INLINE void dot_all_vectors(
    int rows, size_t columns, size_t stride, const uint16_t *w, size_t vectors, const float *const *x,
    float *const *y, size_t first) {
    size_t v = 0;
    for (; v + few_vectors <= vectors; v += few_vectors) {
        dot_vectors(rows, columns, stride, w, few_vectors, x + v, y + v, first);
    }
    if (v < vectors) {
        dot_vectors(rows, columns, stride, w, 1, x + v, y + v, first);
    }
}

DSA_AVX512 void dsa_avx512_gemv_many_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, size_t vectors, const float *const *x,
    float *const *y) {
    size_t r = 0;
    for (; r + few_rows <= rows; r += few_rows) {
        dot_all_vectors(few_rows, columns, stride, w + r * stride, vectors, x, y, r);
    }
    for (; r < rows; r++) {
        dot_all_vectors(1, columns, stride, w + r * stride, vectors, x, y, r);
    }
}

// MARK: Codes

// dot_rows for E4M3 codes, whose blocks of columns have scales. Asks for the next rows while it goes through these:
// at one byte a number the processor's own prefetching falls behind.
DSA_AVX512_INLINE void dot_codes(
    int rows, size_t columns, size_t stride, const uint8_t *w, size_t at, const float *scales, const float *x,
    float *y) {
    float sums[row_block] = {0}, parts[row_block];
    for (size_t start = 0; start < columns; start += dsa_block_columns) {
        size_t count = columns - start < dsa_block_columns ? columns - start : dsa_block_columns;
        for (int r = 0; r < rows; r++) {
            const uint8_t *next = w + at + start + ((size_t)r + row_block) * stride;
            _mm_prefetch((const char *)next, _MM_HINT_T0);
            _mm_prefetch((const char *)next + 64, _MM_HINT_T0);
        }
        dot_rows(format_e4m3, rows, count, stride, w, at + start, x + start, parts);
        float scale = scales[start / dsa_block_columns];
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            sums[r] = __builtin_fmaf(parts[r], scale, sums[r]);
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        y[r] = sums[r];
    }
}

DSA_AVX512 void dsa_avx512_gemv_e4m3(
    size_t rows, size_t columns, size_t stride, const uint8_t *w, const float *scales, const float *x, float *y) {
    size_t r = 0;
    for (; r + row_block <= rows; r += row_block) {
        dot_codes(row_block, columns, stride, w, r * stride, scales, x, y + r);
    }
    for (; r < rows; r++) {
        dot_codes(1, columns, stride, w, r * stride, scales, x, y + r);
    }
}

#endif
