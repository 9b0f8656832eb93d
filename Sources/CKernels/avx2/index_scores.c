// Tiles of keys and index scores in float32: 16 keys in registers, heads six at a time.

#include "avx2.h"

#if defined(__x86_64__)

// MARK: Tiles

// Four bytes of each of 8 keys, in four neighbouring places.
typedef struct {
    __m256i at[4];
} key_columns;

// 16 bytes of two rows.
DSA_AVX2_INLINE __m256i two_rows(const uint8_t *low, const uint8_t *high) {
    __m256i row = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)low));
    return _mm256_inserti128_si256(row, _mm_loadu_si128((const __m128i *)high), 1);
}

DSA_AVX2_INLINE key_columns transpose_16_bytes(const uint8_t *rows, size_t stride) {
    __m256i a = two_rows(rows, rows + 4 * stride), b = two_rows(rows + stride, rows + 5 * stride);
    __m256i c = two_rows(rows + 2 * stride, rows + 6 * stride);
    __m256i d = two_rows(rows + 3 * stride, rows + 7 * stride);
    __m256i ab_low = _mm256_unpacklo_epi32(a, b), ab_high = _mm256_unpackhi_epi32(a, b);
    __m256i cd_low = _mm256_unpacklo_epi32(c, d), cd_high = _mm256_unpackhi_epi32(c, d);
    return (key_columns){{
        _mm256_unpacklo_epi64(ab_low, cd_low),
        _mm256_unpackhi_epi64(ab_low, cd_low),
        _mm256_unpacklo_epi64(ab_high, cd_high),
        _mm256_unpackhi_epi64(ab_high, cd_high),
    }};
}

// Bytes at ... at + 15 of up to 8 keys of `row_bytes` each; zeros beyond a key's end and for missing keys.
DSA_AVX2_INLINE key_columns load_columns(size_t keys, size_t row_bytes, const uint8_t *rows, size_t at) {
    if (keys >= 8 && at + 16 <= row_bytes) {
        return transpose_16_bytes(rows + at, row_bytes);
    }
    uint8_t copy[8 * 16] = {0};
    size_t bytes = row_bytes - at < 16 ? row_bytes - at : 16;
    for (size_t t = 0; t < keys && t < 8; t++) {
        memcpy(copy + 16 * t, rows + t * row_bytes + at, bytes);
    }
    return transpose_16_bytes(copy, 16);
}

// The number that byte j of each lane is the E4M3 code of. With the sign apart, the code's bits below
// those of a float32 exponent are 2^-120 times its value, subnormals included.
DSA_AVX2_INLINE __m256 widen_code(__m256i codes, int j) {
    __m256i top = _mm256_slli_epi32(codes, 24 - 8 * j);
    __m256i exponent = _mm256_set1_epi32(0x7F000000);
    __m256i magnitude = _mm256_and_si256(top, exponent);
    __m256i nan = _mm256_and_si256(_mm256_cmpeq_epi32(magnitude, exponent), _mm256_set1_epi32(0x7FC00000));
    __m256 value =
        _mm256_mul_ps(_mm256_castsi256_ps(_mm256_srli_epi32(magnitude, 4)), _mm256_set1_ps(0x1p120f));
    __m256i sign = _mm256_and_si256(top, _mm256_set1_epi32((int)0x80000000));
    // 0x7F reads as 480, whose bits set no more than a NaN's may.
    return _mm256_or_ps(value, _mm256_castsi256_ps(_mm256_or_si256(sign, nan)));
}

// Writes the numbers that 4 bytes of each of 8 keys hold, one row of the tile for each number.
DSA_AVX2_INLINE void store_numbers(dsa_format format, __m256i column, float *tile) {
    switch (format) {
    case dsa_format_f32:
        _mm256_storeu_ps(tile, _mm256_castsi256_ps(column));
        break;
    case dsa_format_bf16:
        _mm256_storeu_ps(tile, _mm256_castsi256_ps(_mm256_slli_epi32(column, 16)));
        _mm256_storeu_ps(
            tile + dsa_tile_keys,
            _mm256_castsi256_ps(_mm256_and_si256(column, _mm256_set1_epi32((int)0xFFFF0000))));
        break;
    case dsa_format_e4m3:
#pragma clang loop unroll(full)
        for (int j = 0; j < 4; j++) {
            _mm256_storeu_ps(tile + j * dsa_tile_keys, widen_code(column, j));
        }
    }
}

// rows: [keys, dim], tile: [dsa_tile_rows(dim), 64]; `bytes` of a number.
DSA_AVX2_INLINE void fill(
    dsa_format format, size_t bytes, size_t keys, size_t dim, const uint8_t *rows, float *tile) {
    for (size_t t = 0; t < dsa_tile_keys; t += 8) {
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

DSA_AVX2 void dsa_avx2_key_tile_f32(
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

enum { vectors = 2, widest = 6 };

// Adds `heads` heads to the weighted sums of 16 keys. 12 accumulators hide the latency of the multiply-add.
// max_ps returns its second operand when either is NaN: a NaN logit stays.
DSA_AVX2_INLINE void add_heads(
    int heads, size_t dim, const float *queries, const float *weights, const float *tile, __m256 *sums) {
    __m256 logits[widest][vectors];
#pragma clang loop unroll(full)
    for (int h = 0; h < heads; h++) {
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            logits[h][v] = _mm256_setzero_ps();
        }
    }
    for (size_t c = 0; c < dim; c++) {
        __m256 keys[vectors];
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            keys[v] = _mm256_loadu_ps(tile + c * dsa_tile_keys + 8 * v);
        }
#pragma clang loop unroll(full)
        for (int h = 0; h < heads; h++) {
            __m256 query = _mm256_set1_ps(queries[(size_t)h * dim + c]);
#pragma clang loop unroll(full)
            for (int v = 0; v < vectors; v++) {
                logits[h][v] = _mm256_fmadd_ps(query, keys[v], logits[h][v]);
            }
        }
    }
#pragma clang loop unroll(full)
    for (int h = 0; h < heads; h++) {
        __m256 weight = _mm256_set1_ps(weights[h]);
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) {
            sums[v] = _mm256_fmadd_ps(weight, _mm256_max_ps(_mm256_setzero_ps(), logits[h][v]), sums[v]);
        }
    }
}

// queries: [heads, dim], weights: [heads], scales: [64], tile: [dim, 64], scores: [64].
DSA_AVX2 void dsa_avx2_index_scores_f32(
    size_t heads, size_t dim, const float *queries, const float *weights, const float *scales,
    const float *tile, const void *upcoming, size_t upcoming_bytes, float *scores) {
    for (size_t i = 0; i < upcoming_bytes; i += 64) {
        _mm_prefetch((const char *)upcoming + i, _MM_HINT_T1);
    }
    for (size_t t = 0; t < dsa_tile_keys; t += 8 * vectors) {
        __m256 sums[vectors];
        for (int v = 0; v < vectors; v++) {
            sums[v] = _mm256_setzero_ps();
        }
        size_t h = 0;
        for (; h + widest <= heads; h += widest) {
            add_heads(widest, dim, queries + h * dim, weights + h, tile + t, sums);
        }
        for (; h < heads; h++) {
            add_heads(1, dim, queries + h * dim, weights + h, tile + t, sums);
        }
        for (int v = 0; v < vectors; v++) {
            __m256 scale = _mm256_loadu_ps(scales + t + 8 * v);
            _mm256_storeu_ps(scores + t + 8 * v, _mm256_mul_ps(scale, sums[v]));
        }
    }
}

#endif
