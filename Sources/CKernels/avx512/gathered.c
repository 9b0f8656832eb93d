// Gathered rows against sixteen columns: the columns are the lanes of a vector, or stay in registers.

#include "avx512.h"
#include "CKernels.h"

#if defined(__x86_64__)

enum {
    row_block = 8,    // rows that share each load of m
    column_block = 5, // vectors of columns held at once, by four rows or four lanes
    lane_block = 4,
};

// Sixteen sums for each of `rows` rows.
DSA_AVX512_INLINE void multiply_rows(
    int rows, size_t columns, const float *const *row, const float *m, float *y) {
    __m512 sums[row_block];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        sums[r] = _mm512_setzero_ps();
    }
    for (size_t c = 0; c < columns; c++) {
        __m512 lanes = _mm512_loadu_ps(m + c * dsa_lanes);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            sums[r] = _mm512_fmadd_ps(_mm512_set1_ps(row[r][c]), lanes, sums[r]);
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        _mm512_storeu_ps(y + r * dsa_lanes, sums[r]);
    }
}

// The same for the first eight lanes, at half the cost.
DSA_AVX512_INLINE void multiply_rows_by_half(
    int rows, size_t columns, const float *const *row, const float *m, float *y) {
    __m256 sums[row_block];
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        sums[r] = _mm256_setzero_ps();
    }
    for (size_t c = 0; c < columns; c++) {
        __m256 lanes = _mm256_loadu_ps(m + c * dsa_lanes);
#pragma clang loop unroll(full)
        for (int r = 0; r < rows; r++) {
            sums[r] = _mm256_fmadd_ps(_mm256_broadcast_ss(row[r] + c), lanes, sums[r]);
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
        _mm256_storeu_ps(y + r * dsa_lanes, sums[r]);
    }
}

DSA_AVX512 void dsa_avx512_gather_multiply_f32(
    size_t count, const int32_t *positions, size_t columns, const float *rows, size_t stride, size_t lanes,
    const float *m, float *y) {
    const float *row[row_block];
    size_t i = 0;
    for (; i + row_block <= count; i += row_block) {
        for (int r = 0; r < row_block; r++) {
            row[r] = rows + (size_t)positions[i + (size_t)r] * stride;
        }
        if (lanes > dsa_lanes / 2) {
            multiply_rows(row_block, columns, row, m, y + i * dsa_lanes);
        } else {
            multiply_rows_by_half(row_block, columns, row, m, y + i * dsa_lanes);
        }
    }
    for (; i < count; i++) {
        row[0] = rows + (size_t)positions[i] * stride;
        multiply_rows(1, columns, row, m, y + i * dsa_lanes);
    }
}

// Four lanes of w, and `vectors` vectors of columns from `at` on, of which the last has the lanes of `tail`.
DSA_AVX512_INLINE void add_columns(
    int vectors, __mmask16 tail, size_t count, const int32_t *positions, size_t columns, size_t at,
    const float *rows, size_t stride, const float *w, float *y) {
    __m512 sums[lane_block][column_block];
#pragma clang loop unroll(full)
    for (int j = 0; j < lane_block; j++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            __mmask16 kept = v + 1 == vectors ? tail : 0xFFFF;
            sums[j][v] = _mm512_maskz_loadu_ps(kept, y + (size_t)j * columns + at + 16 * (size_t)v);
        }
    }
    for (size_t i = 0; i < count; i++) {
        const float *row = rows + (size_t)positions[i] * stride + at;
        __m512 x[column_block];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            x[v] = _mm512_maskz_loadu_ps(v + 1 == vectors ? tail : 0xFFFF, row + 16 * (size_t)v);
        }
#pragma clang loop unroll(full)
        for (int j = 0; j < lane_block; j++) {
            __m512 factor = _mm512_set1_ps(w[i * dsa_lanes + (size_t)j]);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                sums[j][v] = _mm512_fmadd_ps(factor, x[v], sums[j][v]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int j = 0; j < lane_block; j++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            __mmask16 kept = v + 1 == vectors ? tail : 0xFFFF;
            _mm512_mask_storeu_ps(y + (size_t)j * columns + at + 16 * (size_t)v, kept, sums[j][v]);
        }
    }
}

DSA_AVX512 void dsa_avx512_gather_add_f32(
    size_t count, const int32_t *positions, size_t columns, const float *rows, size_t stride, size_t lanes,
    const float *w, float *y) {
    for (size_t at = 0; at < columns; at += 16 * column_block) {
        size_t left = columns - at < 16 * column_block ? columns - at : 16 * column_block;
        __mmask16 tail = lanes16(left % 16 == 0 ? 16 : left % 16);
        for (size_t j = 0; j < lanes; j += lane_block) {
            const float *from = w + j;
            float *to = y + j * columns;
            switch ((left + 15) / 16) {
            case 1: add_columns(1, tail, count, positions, columns, at, rows, stride, from, to); break;
            case 2: add_columns(2, tail, count, positions, columns, at, rows, stride, from, to); break;
            case 3: add_columns(3, tail, count, positions, columns, at, rows, stride, from, to); break;
            case 4: add_columns(4, tail, count, positions, columns, at, rows, stride, from, to); break;
            default: add_columns(5, tail, count, positions, columns, at, rows, stride, from, to); break;
            }
        }
    }
}

// `count` (1 or 4) rows, and `vectors` vectors of columns from `at` on, of which the last has the lanes of `tail`.
DSA_AVX512_INLINE void scatter_columns(
    int count, int vectors, __mmask16 tail, float *const *row, size_t columns, size_t at, size_t lanes,
    const float *w, const float *m) {
    __m512 sums[lane_block][column_block];
#pragma clang loop unroll(full)
    for (int r = 0; r < count; r++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            __mmask16 kept = v + 1 == vectors ? tail : 0xFFFF;
            sums[r][v] = _mm512_maskz_loadu_ps(kept, row[r] + at + 16 * (size_t)v);
        }
    }
    for (size_t j = 0; j < lanes; j++) {
        __m512 x[column_block];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            __mmask16 kept = v + 1 == vectors ? tail : 0xFFFF;
            x[v] = _mm512_maskz_loadu_ps(kept, m + j * columns + at + 16 * (size_t)v);
        }
#pragma clang loop unroll(full)
        for (int r = 0; r < count; r++) {
            __m512 factor = _mm512_set1_ps(w[(size_t)r * dsa_lanes + j]);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                sums[r][v] = _mm512_fmadd_ps(factor, x[v], sums[r][v]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < count; r++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            __mmask16 kept = v + 1 == vectors ? tail : 0xFFFF;
            _mm512_mask_storeu_ps(row[r] + at + 16 * (size_t)v, kept, sums[r][v]);
        }
    }
}

DSA_AVX512_INLINE void scatter_rows(
    int count, float *const *row, size_t columns, size_t lanes, const float *w, const float *m) {
    for (size_t at = 0; at < columns; at += 16 * column_block) {
        size_t left = columns - at < 16 * column_block ? columns - at : 16 * column_block;
        __mmask16 tail = lanes16(left % 16 == 0 ? 16 : left % 16);
        switch ((left + 15) / 16) {
        case 1: scatter_columns(count, 1, tail, row, columns, at, lanes, w, m); break;
        case 2: scatter_columns(count, 2, tail, row, columns, at, lanes, w, m); break;
        case 3: scatter_columns(count, 3, tail, row, columns, at, lanes, w, m); break;
        case 4: scatter_columns(count, 4, tail, row, columns, at, lanes, w, m); break;
        default: scatter_columns(count, 5, tail, row, columns, at, lanes, w, m); break;
        }
    }
}

DSA_AVX512 void dsa_avx512_scatter_add_f32(
    size_t count, const int32_t *positions, size_t columns, size_t lanes, const float *w,
    const float *m, float *rows, size_t stride) {
    float *row[lane_block];
    size_t i = 0;
    for (; i + lane_block <= count; i += lane_block) {
        for (int r = 0; r < lane_block; r++) {
            row[r] = rows + (size_t)positions[i + (size_t)r] * stride;
        }
        scatter_rows(lane_block, row, columns, lanes, w + i * dsa_lanes, m);
    }
    for (; i < count; i++) {
        row[0] = rows + (size_t)positions[i] * stride;
        scatter_rows(1, row, columns, lanes, w + i * dsa_lanes, m);
    }
}

#endif
