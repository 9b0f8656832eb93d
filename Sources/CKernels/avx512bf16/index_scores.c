// Tiles of keys and index scores in bfloat16: 64 keys in registers, two numbers of each at a time.

#include "../avx512/indexer.h"
#include "avx512bf16.h"

#if defined(__x86_64__)

// MARK: Tiles

// The lower and the upper byte of the bfloat16 equal to each E4M3 magnitude; the last is NaN. Subnormal codes
// give normal numbers, which the dot product does not flush.
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

// Where the bytes of the first pair of each lane's four codes are: 0 ... 63 in the lower bytes, 64 ... 127 in
// the upper ones. The second pair's are 2 further on.
static const uint8_t first_pairs[64] = {
    0, 64, 1, 65, 4, 68, 5, 69, 8, 72, 9, 73, 12, 76, 13, 77,
    16, 80, 17, 81, 20, 84, 21, 85, 24, 88, 25, 89, 28, 92, 29, 93,
    32, 96, 33, 97, 36, 100, 37, 101, 40, 104, 41, 105, 44, 108, 45, 109,
    48, 112, 49, 113, 52, 116, 53, 117, 56, 120, 57, 121, 60, 124, 61, 125,
};

typedef struct {
    __m512i low[2], high[2], first, second;
} widening;

DSA_AVX512BF16_INLINE widening load_widening(void) {
    __m512i first = _mm512_loadu_si512(first_pairs);
    return (widening){
        {_mm512_loadu_si512(low_bytes), _mm512_loadu_si512(low_bytes + 64)},
        {_mm512_loadu_si512(high_bytes), _mm512_loadu_si512(high_bytes + 64)},
        first,
        _mm512_add_epi8(first, _mm512_set1_epi8(2)),
    };
}

// Writes four codes of each of 16 keys as two pairs of bfloat16. The lookup ignores a code's sign bit.
DSA_AVX512BF16_INLINE void store_codes(const widening *table, __m512i codes, uint16_t *tile) {
    __m512i low = _mm512_permutex2var_epi8(table->low[0], codes, table->low[1]);
    __m512i high = _mm512_permutex2var_epi8(table->high[0], codes, table->high[1]);
    high = _mm512_or_si512(high, _mm512_and_si512(codes, _mm512_set1_epi8((char)0x80)));
    _mm512_storeu_si512(tile, _mm512_permutex2var_epi8(low, table->first, high));
    _mm512_storeu_si512(tile + 2 * dsa_tile_keys, _mm512_permutex2var_epi8(low, table->second, high));
}

// rows: [keys, dim], tile: [dsa_tile_rows(dim) / 2, 64, 2]. A pair of numbers is one column of transposed
// bfloat16 keys, and half of one of codes.
DSA_AVX512BF16 void dsa_avx512bf16_key_tile_bf16(
    dsa_format format, size_t keys, size_t dim, const void *rows, uint16_t *tile) {
    size_t row_bytes = format == dsa_format_e4m3 ? dim : 2 * dim;
    widening table = load_widening();
    for (size_t t = 0; t < dsa_tile_keys; t += 16) {
        size_t left = t < keys ? keys - t : 0;
        for (size_t at = 0; at < row_bytes; at += 16) {
            key_columns columns = load_columns(left, row_bytes, (const uint8_t *)rows + t * row_bytes, at);
#pragma clang loop unroll(full)
            for (size_t i = 0; i < 4; i++) {
                if (format == dsa_format_e4m3) {
                    store_codes(&table, columns.at[i], tile + ((at / 2 + 2 * i) * dsa_tile_keys + t) * 2);
                } else {
                    _mm512_storeu_si512(tile + ((at / 4 + i) * dsa_tile_keys + t) * 2, columns.at[i]);
                }
            }
        }
    }
}

// MARK: Scores

enum { vectors = dsa_tile_keys / 16, widest = 4 };

// Adds `heads` heads to the weighted sums of 64 keys. 16 accumulators hide the latency of the dot product;
// each broadcast of a query's pair serves 4 vectors. max_ps returns its second operand when either is NaN.
DSA_AVX512BF16_INLINE void add_heads(
    int heads, size_t dim, const uint16_t *queries, const float *weights, const uint16_t *tile,
    __m512 *sums) {
    __m512 logits[widest][vectors];
#pragma clang loop unroll(full)
    for (int h = 0; h < heads; h++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            logits[h][v] = _mm512_setzero_ps();
        }
    }
    for (size_t c = 0; c < dim; c += 2) {
        __m512bh keys[vectors];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            keys[v] = (__m512bh)_mm512_loadu_si512(tile + c * dsa_tile_keys + 32 * v);
        }
#pragma clang loop unroll(full)
        for (int h = 0; h < heads; h++) {
            int pair;
            memcpy(&pair, queries + (size_t)h * dsa_tile_rows(dim) + c, sizeof pair);
            __m512bh query = (__m512bh)_mm512_set1_epi32(pair);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                logits[h][v] = _mm512_dpbf16_ps(logits[h][v], query, keys[v]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int h = 0; h < heads; h++) {
        __m512 weight = _mm512_set1_ps(weights[h]);
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            sums[v] = _mm512_fmadd_ps(weight, _mm512_max_ps(_mm512_setzero_ps(), logits[h][v]), sums[v]);
        }
    }
}

// queries: [heads, dsa_tile_rows(dim)], weights: [heads], scales: [64], tile: [dim / 2 rounded up, 64, 2],
// scores: [64].
DSA_AVX512BF16 void dsa_avx512bf16_index_scores_bf16(
    size_t heads, size_t dim, const uint16_t *queries, const float *weights, const float *scales,
    const uint16_t *tile, const void *upcoming, size_t upcoming_bytes, float *scores) {
    size_t stride = dsa_tile_rows(dim);
    __m512 sums[vectors];
    for (int v = 0; v < vectors; v++) {
        sums[v] = _mm512_setzero_ps();
    }
    upcoming_memory next = upcoming_in(upcoming, upcoming_bytes, heads / widest);
    size_t h = 0;
    for (; h + widest <= heads; h += widest) {
        fetch_share(&next);
        add_heads(widest, dim, queries + h * stride, weights + h, tile, sums);
    }
    for (; h < heads; h++) {
        add_heads(1, dim, queries + h * stride, weights + h, tile, sums);
    }
    for (int v = 0; v < vectors; v++) {
        _mm512_storeu_ps(scores + 16 * v, _mm512_mul_ps(_mm512_loadu_ps(scales + 16 * v), sums[v]));
    }
}

#endif
