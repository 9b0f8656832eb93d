// Products of bfloat16 by VDPBF16PS: 8 rows by 48 columns in 24 registers.

#include "../include/CKernels.h"
#include "avx512bf16.h"

#if defined(__x86_64__)

enum { panel = DSA_PANEL_COLUMNS, lanes = 16, tile_rows = 8, tile_vectors = panel / lanes };

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

// One instruction adds two products to each sum; one takes a cycle, and 24 independent ones cover its latency.
DSA_AVX512BF16_INLINE void multiply_tile(const tile *t, int rows, int vectors) {
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
    const uint16_t *a = t->a, *b = t->b;
    size_t a_stride = t->a_stride;
    for (size_t p = 0; p < t->pairs; p++) {
        __m512bh right[tile_vectors];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            right[v] = (__m512bh)_mm512_loadu_si512(b + p * panel * 2 + v * lanes * 2);
        }
#pragma clang loop unroll(full)
        for (int i = 0; i < rows; i++) {
            int pair;
            __builtin_memcpy(&pair, a + (size_t)i * a_stride + 2 * p, sizeof pair);
            __m512bh left = (__m512bh)_mm512_set1_epi32(pair);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                sums[i][v] = _mm512_dpbf16_ps(sums[i][v], left, right[v]);
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
    DSA_AVX512BF16 static void tile_##rows##_##vectors(const tile *t) { multiply_tile(t, rows, vectors); }
#define TILES(rows) TILE(rows, 1) TILE(rows, 2) TILE(rows, 3)
TILES(1) TILES(2) TILES(3) TILES(4) TILES(5) TILES(6) TILES(7) TILES(8)

#define NAMES(rows) { tile_##rows##_1, tile_##rows##_2, tile_##rows##_3 }
static void (*const tiles[tile_rows][tile_vectors])(const tile *) = {
    NAMES(1), NAMES(2), NAMES(3), NAMES(4), NAMES(5), NAMES(6), NAMES(7), NAMES(8),
};

DSA_AVX512BF16 void dsa_avx512bf16_multiply_bf16(
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

// MARK: Rows

// The low and the high bytes of the bfloat16 numbers that the E4M3 magnitudes 0 ..< 128 stand for.
static const uint8_t low_bytes[128] = {
    0x00, 0x00, 0x80, 0xC0, 0x00, 0x20, 0x40, 0x60, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0,
    0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0,
    0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0,
    0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0,
    0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0,
    0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0,
    0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0,
    0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xC0,
};
static const uint8_t high_bytes[128] = {
    0x00, 0x3B, 0x3B, 0x3B, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C, 0x3C,
    0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D, 0x3D,
    0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E, 0x3E,
    0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F, 0x3F,
    0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40, 0x40,
    0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41, 0x41,
    0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42, 0x42,
    0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x43, 0x7F,
};

// Whether multiplying any E4M3 number by `scale` only moves its exponent, and how far.
static bool moves_exponent(float scale, int *distance) {
    uint32_t bits;
    __builtin_memcpy(&bits, &scale, sizeof bits);
    *distance = (int)(bits >> 23) - 127;
    return (bits & 0x807FFFFF) == 0 && *distance > -100 && *distance < 100;
}

// Latents are stored with powers of two as scales: then a product is an addition to the exponent.
DSA_AVX512BF16 void dsa_avx512bf16_rescale_e4m3_bf16(
    size_t count, float scale, const uint8_t *x, uint16_t *y) {
    int distance;
    if (!moves_exponent(scale, &distance)) {
        dsa_avx512_rescale_e4m3_bf16(count, scale, x, y);
        return;
    }
    __m512i low_table[2] = {_mm512_loadu_si512(low_bytes), _mm512_loadu_si512(low_bytes + 64)};
    __m512i high_table[2] = {_mm512_loadu_si512(high_bytes), _mm512_loadu_si512(high_bytes + 64)};
    __m512i moved = _mm512_set1_epi16((short)(distance * 128));
    // Unpacking works within 128-bit lanes: bring the eights of codes into the order it undoes.
    __m512i order = _mm512_set_epi64(7, 3, 6, 2, 5, 1, 4, 0);
    for (size_t i = 0; i < count; i += 64) {
        size_t left = count - i;
        __mmask64 here = left >= 64 ? ~0ull : (1ull << left) - 1;
        __m512i codes = _mm512_permutexvar_epi64(order, _mm512_maskz_loadu_epi8(here, x + i));
        __m512i low = _mm512_permutex2var_epi8(low_table[0], codes, low_table[1]);
        __m512i high = _mm512_permutex2var_epi8(high_table[0], codes, high_table[1]);
        high = _mm512_or_si512(high, _mm512_and_si512(codes, _mm512_set1_epi8((char)0x80)));
        __m512i halves[2] = {_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)};
        for (int half = 0; half < 2; half++) {
            __m512i magnitude = _mm512_and_si512(halves[half], _mm512_set1_epi16(0x7FFF));
            // Zero and NaN keep their bits: 1 ... 0x7F7F are the others.
            __mmask32 moves = _mm512_cmplt_epu16_mask(
                _mm512_sub_epi16(magnitude, _mm512_set1_epi16(1)), _mm512_set1_epi16(0x7F7F));
            __m512i value = _mm512_mask_add_epi16(halves[half], moves, halves[half], moved);
            _mm512_mask_storeu_epi16(y + i + 32 * half, (__mmask32)(here >> (32 * half)), value);
        }
    }
}

#endif
