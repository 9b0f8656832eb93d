// Products of bfloat16 where the processor has no instruction for them: widened in registers, then FMA.
// Packing moves 32-bit pairs and serves the table with the instruction too.

#include "../include/CKernels.h"
#include "avx512.h"

#if defined(__x86_64__)

enum { panel = DSA_PANEL_COLUMNS, lanes = 16, tile_rows = 4, tile_vectors = panel / lanes };
enum { ahead = 512 }; // bytes between what is read and what is fetched

// MARK: Packing

// Rows of 16 pairs become columns: out[p] holds pair p of every row.
DSA_AVX512_INLINE void transpose(__m512i r[lanes]) {
    __m512i t[lanes];
#pragma clang loop unroll(full)
    for (int i = 0; i < lanes; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < lanes; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    // r[4 g + i] now holds, in quarter q, pair 4 q + i of rows 4 g ..< 4 g + 4: a transpose of quarters is left.
#pragma clang loop unroll(full)
    for (int i = 0; i < 4; i++) {
        __m512i low = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x44);
        __m512i high = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xEE);
        __m512i low2 = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x44);
        __m512i high2 = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xEE);
        t[i] = _mm512_shuffle_i32x4(low, low2, 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(low, low2, 0xDD);
        t[i + 8] = _mm512_shuffle_i32x4(high, high2, 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(high, high2, 0xDD);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < lanes; i++) {
        r[i] = t[i];
    }
}

DSA_AVX512 void dsa_avx512_pack_columns_bf16(
    size_t n, size_t k, const uint16_t *const *columns, uint16_t *panels) {
    size_t pairs = (k + 1) / 2;
    size_t vectors = (n + panel - 1) / panel * tile_vectors;
    for (size_t v = 0; v < vectors; v++) {
        const uint16_t *from[lanes];
        size_t left = v * lanes < n ? n - v * lanes : 0;
        uint16_t *to = panels + v / tile_vectors * panel * 2 * pairs + v % tile_vectors * lanes * 2;
        if (left == 0) {
            for (size_t p = 0; p < pairs; p++) {
                _mm512_storeu_si512(to + p * panel * 2, _mm512_setzero_si512());
            }
            continue;
        }
        for (size_t i = 0; i < lanes; i++) {
            from[i] = columns[v * lanes + (i < left ? i : 0)];
        }
        for (size_t p = 0; p < pairs; p += lanes) {
            // 16 streams at once are more than the processor follows by itself.
            for (size_t i = 0; i < lanes; i++) {
                _mm_prefetch((const char *)(from[i] + 2 * p) + ahead, _MM_HINT_T0);
            }
            __mmask32 tail = lanes32(k - 2 * p);
            __m512i r[lanes];
#pragma clang loop unroll(full)
            for (int i = 0; i < lanes; i++) {
                r[i] = _mm512_maskz_loadu_epi16((size_t)i < left ? tail : 0, from[i] + 2 * p);
            }
            transpose(r);
            uint16_t *at = to + p * panel * 2;
            if (p + lanes <= pairs) {
#pragma clang loop unroll(full)
                for (int i = 0; i < lanes; i++) {
                    _mm512_storeu_si512(at + i * panel * 2, r[i]);
                }
            } else {
#pragma clang loop unroll(full)
                for (int i = 0; i < lanes; i++) {
                    if (p + (size_t)i < pairs) {
                        _mm512_storeu_si512(at + i * panel * 2, r[i]);
                    }
                }
            }
        }
    }
}

DSA_AVX512 void dsa_avx512_pack_rows_bf16(
    size_t k, size_t n, const uint16_t *const *rows, uint16_t *panels) {
    size_t pairs = (k + 1) / 2;
    size_t halves = (n + panel - 1) / panel * tile_vectors;
    for (size_t p = 0; p < pairs; p++) {
        const uint16_t *even = rows[2 * p];
        const uint16_t *odd = 2 * p + 1 < k ? rows[2 * p + 1] : even;
        __mmask16 kept = 2 * p + 1 < k ? 0xFFFF : 0;
        uint16_t *to = panels + p * panel * 2;
        for (size_t v = 0; v < halves; v++) {
            __mmask16 here = v * lanes < n ? lanes16(n - v * lanes) : 0;
            __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(here, even + v * lanes));
            __m512i high = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(here & kept, odd + v * lanes));
            __m512i both = _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
            size_t at = v / tile_vectors * panel * 2 * pairs + v % tile_vectors * lanes * 2;
            _mm512_storeu_si512(to + at, both);
        }
    }
}

// MARK: Products

DSA_AVX512_INLINE __m512 even_of(__m512i pairs) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
}

DSA_AVX512_INLINE __m512 odd_of(__m512i pairs) {
    return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32((int)0xFFFF0000)));
}

typedef struct {
    size_t pairs;
    const uint16_t *a;
    size_t a_stride;
    const uint16_t *b;
    const float *factors;
    float *c;
    size_t c_stride;
    bool accumulating;
    __mmask16 last; // the lanes of the last vector of columns
} tile;

DSA_AVX512_INLINE void multiply_tile(const tile *t, int rows, int vectors) {
    __m512 sums[tile_rows][tile_vectors];
    bool goes_on = t->accumulating && t->factors == NULL;
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            __mmask16 kept = !goes_on ? 0 : v + 1 < vectors ? 0xFFFF : t->last;
            sums[i][v] = _mm512_maskz_loadu_ps(kept, t->c + (size_t)i * t->c_stride + v * lanes);
        }
    }
    for (size_t p = 0; p < t->pairs; p++) {
        __m512 even[tile_vectors], odd[tile_vectors];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            __m512i b = _mm512_loadu_si512(t->b + p * panel * 2 + v * lanes * 2);
            even[v] = even_of(b);
            odd[v] = odd_of(b);
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            int pair;
            __builtin_memcpy(&pair, t->a + (size_t)i * t->a_stride + 2 * p, sizeof pair);
            __m512i a = _mm512_set1_epi32(pair);
            __m512 a_even = even_of(a), a_odd = odd_of(a);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                sums[i][v] = _mm512_fmadd_ps(a_even, even[v], sums[i][v]);
                sums[i][v] = _mm512_fmadd_ps(a_odd, odd[v], sums[i][v]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < rows; i++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            __mmask16 kept = v + 1 < vectors ? 0xFFFF : t->last;
            float *c = t->c + (size_t)i * t->c_stride + v * lanes;
            __m512 value = sums[i][v];
            if (t->factors != NULL) {
                __m512 factor = _mm512_maskz_loadu_ps(kept, t->factors + v * lanes);
                __m512 base = _mm512_maskz_loadu_ps(t->accumulating ? kept : 0, c);
                value = _mm512_fmadd_ps(factor, value, base);
            }
            _mm512_mask_storeu_ps(c, kept, value);
        }
    }
}

#define TILE(rows, vectors) \
    DSA_AVX512 static void tile_##rows##_##vectors(const tile *t) { multiply_tile(t, rows, vectors); }
#define TILES(rows) TILE(rows, 1) TILE(rows, 2) TILE(rows, 3)
TILES(1) TILES(2) TILES(3) TILES(4)

#define NAMES(rows) { tile_##rows##_1, tile_##rows##_2, tile_##rows##_3 }
static void (*const tiles[tile_rows][tile_vectors])(const tile *) = { NAMES(1), NAMES(2), NAMES(3), NAMES(4) };

DSA_AVX512 void dsa_avx512_multiply_bf16(
    size_t m, size_t n, size_t pairs, const uint16_t *a, size_t a_stride, const uint16_t *panels,
    size_t panel_stride, const float *factors, float *c, size_t c_stride, bool accumulating) {
    for (size_t j = 0; j < n; j += panel) {
        size_t columns = n - j < panel ? n - j : panel;
        size_t vectors = (columns + lanes - 1) / lanes;
        for (size_t i = 0; i < m; i += tile_rows) {
            size_t rows = m - i < tile_rows ? m - i : tile_rows;
            tile t = {
                .pairs = pairs,
                .a = a + i * a_stride,
                .a_stride = a_stride,
                .b = panels + j / panel * panel_stride,
                .factors = factors != NULL ? factors + j : NULL,
                .c = c + i * c_stride + j,
                .c_stride = c_stride,
                .accumulating = accumulating,
                .last = lanes16(columns - (vectors - 1) * lanes),
            };
            tiles[rows - 1][vectors - 1](&t);
        }
    }
}

// MARK: Rows and probabilities

// Nearest, ties to even; NaN stays NaN.
DSA_AVX512_INLINE __m256i to_bf16(__m512 values) {
    __m512i bits = _mm512_castps_si512(values);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF)));
    __mmask16 nan = _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

DSA_AVX512 void dsa_avx512_rescale_e4m3_bf16(size_t count, float scale, const uint8_t *x, uint16_t *y) {
    __m512 eighth_bias = _mm512_set1_ps(256); // load_stored gives 2^-8 times the value
    __m512 factor = _mm512_set1_ps(scale);
    for (size_t i = 0; i < count; i += 32) {
        __mmask32 left = lanes32(count - i);
        float_pair values = load_stored(format_e4m3, x, i, left);
        __m512 low = _mm512_mul_ps(_mm512_mul_ps(values.low, eighth_bias), factor);
        __m512 high = _mm512_mul_ps(_mm512_mul_ps(values.high, eighth_bias), factor);
        _mm256_mask_storeu_epi16(y + i, (__mmask16)left, to_bf16(low));
        _mm256_mask_storeu_epi16(y + i + 16, (__mmask16)(left >> 16), to_bf16(high));
    }
}

// x: [count], y: [count]; blocks whose exponentials stay in the first-level cache.
DSA_AVX512 float dsa_avx512_exp_sum_bf16(size_t count, float scale, float shift, const float *x, uint16_t *y) {
    float sum = 0;
    float values[512];
    for (size_t i = 0; i < count; i += 512) {
        size_t block = count - i < 512 ? count - i : 512;
        sum += dsa_avx512_exp_sum(block, scale, shift, x + i, values);
        for (size_t j = 0; j < block; j += lanes) {
            __mmask16 left = lanes16(block - j);
            __m512 value = _mm512_maskz_loadu_ps(left, values + j);
            _mm256_mask_storeu_epi16(y + i + j, left, to_bf16(value));
        }
    }
    return sum;
}

#endif
