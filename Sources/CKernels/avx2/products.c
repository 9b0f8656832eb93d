// Products of bfloat16: widened in registers, then FMA, 4 rows by 16 columns.

#include "../include/CKernels.h"
#include "avx2.h"

#if defined(__x86_64__)

enum { panel = DSA_PANEL_COLUMNS, lanes = 8, tile_rows = 4, tile_columns = 2 * lanes, block = 256 };

DSA_AVX2_INLINE __m256 even_of(__m256i pairs) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}

DSA_AVX2_INLINE __m256 odd_of(__m256i pairs) {
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32((int)0xFFFF0000)));
}

// sums += a * b for `rows` rows and 16 columns of a panel; sums: [rows, 16].
DSA_AVX2_INLINE void multiply_tile(
    int rows, size_t pairs, const uint16_t *a, size_t a_stride, const uint16_t *b, float *sums) {
    __m256 sum[tile_rows][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        sum[i][0] = _mm256_loadu_ps(sums + i * tile_columns);
        sum[i][1] = _mm256_loadu_ps(sums + i * tile_columns + lanes);
    }
    for (size_t p = 0; p < pairs; p++) {
        const __m256i *at = (const __m256i *)(const void *)(b + p * panel * 2);
        __m256i low = _mm256_loadu_si256(at), high = _mm256_loadu_si256(at + 1);
        __m256 even[2] = {even_of(low), even_of(high)}, odd[2] = {odd_of(low), odd_of(high)};
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            int pair;
            memcpy(&pair, a + (size_t)i * a_stride + 2 * p, sizeof pair);
            __m256i left = _mm256_set1_epi32(pair);
            __m256 left_even = even_of(left), left_odd = odd_of(left);
#pragma clang loop unroll(full)
            for (int v = 0; v < 2; v++) {
                sum[i][v] = _mm256_fmadd_ps(left_even, even[v], sum[i][v]);
                sum[i][v] = _mm256_fmadd_ps(left_odd, odd[v], sum[i][v]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
        _mm256_storeu_ps(sums + i * tile_columns, sum[i][0]);
        _mm256_storeu_ps(sums + i * tile_columns + lanes, sum[i][1]);
    }
}

DSA_AVX2 static void multiply_rows(
    size_t rows, size_t pairs, const uint16_t *a, size_t a_stride, const uint16_t *b, float *sums) {
    switch (rows) {
    case 1:
        return multiply_tile(1, pairs, a, a_stride, b, sums);
    case 2:
        return multiply_tile(2, pairs, a, a_stride, b, sums);
    case 3:
        return multiply_tile(3, pairs, a, a_stride, b, sums);
    default:
        return multiply_tile(4, pairs, a, a_stride, b, sums);
    }
}

DSA_AVX2 void dsa_avx2_multiply_bf16(
    size_t m, size_t n, size_t pairs, const uint16_t *a, size_t a_stride, const uint16_t *panels,
    size_t panel_stride, const float *factors, float *c, size_t c_stride, bool accumulating) {
    for (size_t j = 0; j < n; j += tile_columns) {
        size_t columns = n - j < tile_columns ? n - j : tile_columns;
        const uint16_t *b = panels + j / panel * panel_stride + j % panel * 2;
        for (size_t i = 0; i < m; i += tile_rows) {
            size_t rows = m - i < tile_rows ? m - i : tile_rows;
            float sums[tile_rows * tile_columns] = {0};
            for (size_t r = 0; r < rows && accumulating && factors == NULL; r++) {
                memcpy(sums + r * tile_columns, c + (i + r) * c_stride + j, columns * sizeof *c);
            }
            multiply_rows(rows, pairs, a + i * a_stride, a_stride, b, sums);
            for (size_t r = 0; r < rows; r++) {
                float *to = c + (i + r) * c_stride + j;
                for (size_t k = 0; k < columns; k++) {
                    float sum = sums[r * tile_columns + k];
                    to[k] = factors == NULL ? sum : (accumulating ? to[k] : 0) + factors[j + k] * sum;
                }
            }
        }
    }
}

DSA_AVX2 void dsa_avx2_rescale_e4m3_bf16(size_t count, float scale, const uint8_t *x, uint16_t *y) {
    float values[block];
    for (size_t i = 0; i < count; i += block) {
        size_t part = count - i < block ? count - i : block;
        dsa_avx2_widen_e4m3(part, x + i, values);
        dsa_avx2_scale_f32(part, scale, values);
        dsa_avx2_narrow_bf16(part, values, y + i);
    }
}

DSA_AVX2 float dsa_avx2_exp_sum_bf16(size_t count, float scale, float shift, const float *x, uint16_t *y) {
    float values[block];
    float sum = 0;
    for (size_t i = 0; i < count; i += block) {
        size_t part = count - i < block ? count - i : block;
        sum += dsa_avx2_exp_sum(part, scale, shift, x + i, values);
        dsa_avx2_narrow_bf16(part, values, y + i);
    }
    return sum;
}

#endif
