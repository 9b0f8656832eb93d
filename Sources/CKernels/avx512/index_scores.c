// Tiles of keys and index scores in float32: 64 keys in registers, heads four at a time.

#include "avx512.h"
#include "indexer.h"

#if defined(__x86_64__)

// MARK: Tiles

// The number that byte j of each lane is the E4M3 code of. With the sign apart, the code's bits below
// those of a float32 exponent are 2^-120 times its value, subnormals included.
DSA_AVX512_INLINE __m512 widen_code(__m512i codes, unsigned j) {
    __m512i top = _mm512_slli_epi32(codes, 24 - 8 * j);
    __m512i magnitude = _mm512_and_si512(top, _mm512_set1_epi32(0x7F000000));
    __mmask16 nan = _mm512_cmpeq_epi32_mask(magnitude, _mm512_set1_epi32(0x7F000000));
    __m512 value =
        _mm512_mul_ps(_mm512_castsi512_ps(_mm512_srli_epi32(magnitude, 4)), _mm512_set1_ps(0x1p120f));
    value = _mm512_mask_mov_ps(value, nan, _mm512_castsi512_ps(_mm512_set1_epi32(0x7FC00000)));
    __m512 sign = _mm512_castsi512_ps(_mm512_and_si512(top, _mm512_set1_epi32((int)0x80000000)));
    return _mm512_or_ps(value, sign);
}

// Writes the numbers that 4 bytes of each of 16 keys hold, one row of the tile for each number.
DSA_AVX512_INLINE void store_numbers(dsa_format format, __m512i column, float *tile) {
    switch (format) {
    case dsa_format_f32:
        _mm512_storeu_ps(tile, _mm512_castsi512_ps(column));
        break;
    case dsa_format_bf16:
        _mm512_storeu_ps(tile, _mm512_castsi512_ps(_mm512_slli_epi32(column, 16)));
        _mm512_storeu_ps(
            tile + dsa_tile_keys,
            _mm512_castsi512_ps(_mm512_and_si512(column, _mm512_set1_epi32((int)0xFFFF0000))));
        break;
    case dsa_format_e4m3:
#pragma clang loop unroll(full)
        for (unsigned j = 0; j < 4; j++) {
            _mm512_storeu_ps(tile + j * dsa_tile_keys, widen_code(column, j));
        }
    }
}

// rows: [keys, dim], tile: [dsa_tile_rows(dim), 64]; `bytes` of a number.
DSA_AVX512_INLINE void fill(
    dsa_format format, size_t bytes, size_t keys, size_t dim, const uint8_t *rows, float *tile) {
    for (size_t t = 0; t < dsa_tile_keys; t += 16) {
        size_t left = t < keys ? keys - t : 0;
        for (size_t at = 0; at < dim * bytes; at += 16) {
            key_columns columns = load_columns(left, dim * bytes, rows + t * dim * bytes, at);
#pragma clang loop unroll(full)
            for (size_t i = 0; i < 4; i++) {
                store_numbers(format, columns.at[i], tile + (at + 4 * i) / bytes * dsa_tile_keys + t);
            }
        }
    }
}

DSA_AVX512 void dsa_avx512_key_tile_f32(
    dsa_format format, size_t keys, size_t dim, const void *rows, float *tile) {
    switch (format) {
    case dsa_format_f32:
        fill(dsa_format_f32, 4, keys, dim, rows, tile);
        break;
    case dsa_format_bf16:
        fill(dsa_format_bf16, 2, keys, dim, rows, tile);
        break;
    case dsa_format_e4m3:
        fill(dsa_format_e4m3, 1, keys, dim, rows, tile);
    }
}

// MARK: Scores

enum { vectors = dsa_tile_keys / 16, widest = 4 };

// Adds `heads` heads to the weighted sums of 64 keys. 16 accumulators hide the latency of the
// multiply-add; each broadcast serves 4 vectors. max_ps returns its second operand when either is NaN.
DSA_AVX512_INLINE void add_heads(
    int heads, size_t dim, const float *queries, const float *weights, const float *tile, __m512 *sums) {
    __m512 logits[widest][vectors];
#pragma clang loop unroll(full)
    for (int h = 0; h < heads; h++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            logits[h][v] = _mm512_setzero_ps();
        }
    }
    for (size_t c = 0; c < dim; c++) {
        __m512 keys[vectors];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            keys[v] = _mm512_loadu_ps(tile + c * dsa_tile_keys + 16 * v);
        }
#pragma clang loop unroll(full)
        for (int h = 0; h < heads; h++) {
            __m512 query = _mm512_set1_ps(queries[(size_t)h * dim + c]);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                logits[h][v] = _mm512_fmadd_ps(query, keys[v], logits[h][v]);
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

// queries: [heads, dim], weights: [heads], scales: [64], tile: [dim, 64], scores: [64].
DSA_AVX512 void dsa_avx512_index_scores_f32(
    size_t heads, size_t dim, const float *queries, const float *weights, const float *scales,
    const float *tile, const void *upcoming, size_t upcoming_bytes, float *scores) {
    __m512 sums[vectors];
    for (int v = 0; v < vectors; v++) {
        sums[v] = _mm512_setzero_ps();
    }
    upcoming_memory next = upcoming_in(upcoming, upcoming_bytes, heads / widest);
    size_t h = 0;
    for (; h + widest <= heads; h += widest) {
        fetch_share(&next);
        add_heads(widest, dim, queries + h * dim, weights + h, tile, sums);
    }
    for (; h < heads; h++) {
        add_heads(1, dim, queries + h * dim, weights + h, tile, sums);
    }
    for (int v = 0; v < vectors; v++) {
        _mm512_storeu_ps(scores + 16 * v, _mm512_mul_ps(_mm512_loadu_ps(scales + 16 * v), sums[v]));
    }
}

#endif
