// Dot products: fused multiply-adds into float32 accumulators, 4 sums each.

#include "neon.h"

#if defined(__aarch64__)

// x, y: [count]. Eight accumulators hide the latency of the fused multiply-add at two loads for each.
float dsa_neon_dot_f32(size_t count, const float *x, const float *y) {
    enum { width = 8 };
    float32x4_t sums[width];
    for (int k = 0; k < width; k++) {
        sums[k] = vdupq_n_f32(0);
    }
    size_t i = 0;
    for (; i + 4 * width <= count; i += 4 * width) {
#pragma clang loop unroll(full)
        for (int k = 0; k < width; k++) {
            sums[k] = vfmaq_f32(sums[k], vld1q_f32(x + i + 4 * k), vld1q_f32(y + i + 4 * k));
        }
    }
    for (; i + 4 <= count; i += 4) {
        sums[0] = vfmaq_f32(sums[0], vld1q_f32(x + i), vld1q_f32(y + i));
    }
    if (i < count) {
        float from_x[16];
        float from_y[16];
        stage(format_f32, x, i, count - i, from_x);
        stage(format_f32, y, i, count - i, from_y);
        sums[0] = vfmaq_f32(sums[0], vld1q_f32(from_x), vld1q_f32(from_y));
    }
    for (int half = width / 2; half > 0; half /= 2) {
        for (int k = 0; k < half; k++) {
            sums[k] = vaddq_f32(sums[k], sums[k + half]);
        }
    }
    return vaddvq_f32(sums[0]);
}

// MARK: Matrix times vector

// Rows that share each load of x. Each has four accumulators, so a block has 16 independent chains and a
// row by itself four, in the same order.
enum { row_block = 4 };

// One chunk of 16 columns, or of the `left` that remain, added to the accumulators of `rows` rows. x has
// 16 elements in either case.
DSA_NEON_INLINE void add_columns(
    stored_format format, int rows, size_t left, size_t stride, const void *w, size_t at, const float *x,
    float_block sums[row_block]) {
    float_block facing = load_stored(format_f32, x, 0);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        size_t begin = at + (size_t)r * stride;
        float_block stored;
        if (left < 16) {
            float room[16];
            stage(format, w, begin, left, room);
            stored = load_stored(format, room, 0);
        } else {
            stored = load_stored(format, w, begin);
        }
#pragma clang loop unroll(full)
        for (int k = 0; k < 4; k++) {
            sums[r].part[k] = vfmaq_f32(sums[r].part[k], stored.part[k], facing.part[k]);
        }
    }
}

// w: `rows` (1 ... 4) rows beginning at element `at`, x: [columns]; the result has a lane for each row.
DSA_NEON_INLINE float32x4_t dot_rows(
    stored_format format, int rows, size_t columns, size_t stride, const void *w, size_t at, const float *x) {
    float_block sums[row_block];
#pragma clang loop unroll(full)
    for (int r = 0; r < row_block; r++) {
        float32x4_t zero = vdupq_n_f32(0);
        sums[r] = (float_block){{zero, zero, zero, zero}};
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
    float32x4_t totals[row_block];
#pragma clang loop unroll(full)
    for (int r = 0; r < row_block; r++) {
        float32x4_t low = vaddq_f32(sums[r].part[0], sums[r].part[1]);
        totals[r] = vaddq_f32(low, vaddq_f32(sums[r].part[2], sums[r].part[3]));
    }
    float32x4_t result = vpaddq_f32(vpaddq_f32(totals[0], totals[1]), vpaddq_f32(totals[2], totals[3]));
    return format == format_e4m3 ? vmulq_n_f32(result, 256) : result; // load_stored's 2^-8
}

// w: [rows, stride], x: [columns], y: [rows].
DSA_NEON_INLINE void gemv(
    stored_format format, size_t rows, size_t columns, size_t stride, const void *w, const float *x,
    float *y) {
    size_t r = 0;
    for (; r + row_block <= rows; r += row_block) {
        vst1q_f32(y + r, dot_rows(format, row_block, columns, stride, w, r * stride, x));
    }
    for (; r < rows; r++) {
        y[r] = vgetq_lane_f32(dot_rows(format, 1, columns, stride, w, r * stride, x), 0);
    }
}

void dsa_neon_gemv_f32(
    size_t rows, size_t columns, size_t stride, const float *w, const float *x, float *y) {
    gemv(format_f32, rows, columns, stride, w, x, y);
}

void dsa_neon_gemv_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y) {
    gemv(format_bf16, rows, columns, stride, w, x, y);
}

void dsa_neon_gemv_many_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, size_t vectors, const float *const *x,
    float *const *y) {
    for (size_t v = 0; v < vectors; v++) {
        dsa_neon_gemv_bf16(rows, columns, stride, w, x[v], y[v]);
    }
}

void dsa_neon_gemv_f16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y) {
    gemv(format_f16, rows, columns, stride, w, x, y);
}

// dot_rows for E4M3 codes, whose blocks of columns have scales.
DSA_NEON_INLINE float32x4_t dot_codes(
    int rows, size_t columns, size_t stride, const uint8_t *w, size_t at, const float *scales, const float *x) {
    float32x4_t sum = vdupq_n_f32(0);
    for (size_t start = 0; start < columns; start += dsa_block_columns) {
        size_t count = columns - start < dsa_block_columns ? columns - start : dsa_block_columns;
        float32x4_t part = dot_rows(format_e4m3, rows, count, stride, w, at + start, x + start);
        float scale = scales[start / dsa_block_columns];
        sum = vfmaq_n_f32(sum, part, scale);
    }
    return sum;
}

void dsa_neon_gemv_e4m3(
    size_t rows, size_t columns, size_t stride, const uint8_t *w, const float *scales, const float *x, float *y) {
    size_t r = 0;
    for (; r + row_block <= rows; r += row_block) {
        vst1q_f32(y + r, dot_codes(row_block, columns, stride, w, r * stride, scales, x));
    }
    for (; r < rows; r++) {
        y[r] = vgetq_lane_f32(dot_codes(1, columns, stride, w, r * stride, scales, x), 0);
    }
}

#endif
