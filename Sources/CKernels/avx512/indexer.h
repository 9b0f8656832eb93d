// What both tables of AVX-512 share for the indexer: keys transposed, sixteen at a time, and prefetching.

#ifndef DSA_AVX512_INDEXER_H
#define DSA_AVX512_INDEXER_H

#include <string.h>

#include "avx512.h"

#if defined(__x86_64__)

// MARK: Keys

// Four bytes of each of 16 keys, in four neighbouring places.
typedef struct {
    __m512i at[4];
} key_columns;

// 16 bytes of the rows r, r + 4, r + 8 and r + 12. A masked broadcast from memory takes no shuffle.
DSA_AVX512_INLINE __m512i every_fourth_row(const uint8_t *row, size_t stride) {
    __m512i four = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)row));
    four = _mm512_mask_broadcast_i32x4(four, 0x00F0, _mm_loadu_si128((const __m128i *)(row + 4 * stride)));
    four = _mm512_mask_broadcast_i32x4(four, 0x0F00, _mm_loadu_si128((const __m128i *)(row + 8 * stride)));
    return _mm512_mask_broadcast_i32x4(
        four, 0xF000, _mm_loadu_si128((const __m128i *)(row + 12 * stride)));
}

DSA_AVX512_INLINE key_columns transpose_16_bytes(const uint8_t *rows, size_t stride) {
    __m512i a = every_fourth_row(rows, stride), b = every_fourth_row(rows + stride, stride);
    __m512i c = every_fourth_row(rows + 2 * stride, stride);
    __m512i d = every_fourth_row(rows + 3 * stride, stride);
    __m512i ab_low = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
    __m512i cd_low = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
    return (key_columns){{
        _mm512_unpacklo_epi64(ab_low, cd_low),
        _mm512_unpackhi_epi64(ab_low, cd_low),
        _mm512_unpacklo_epi64(ab_high, cd_high),
        _mm512_unpackhi_epi64(ab_high, cd_high),
    }};
}

// Bytes at ... at + 15 of up to 16 keys of `row_bytes` each; zeros beyond a key's end and for missing keys.
DSA_AVX512_INLINE key_columns load_columns(size_t keys, size_t row_bytes, const uint8_t *rows, size_t at) {
    if (keys >= 16 && at + 16 <= row_bytes) {
        return transpose_16_bytes(rows + at, row_bytes);
    }
    uint8_t copy[16 * 16] = {0};
    size_t bytes = row_bytes - at < 16 ? row_bytes - at : 16;
    for (size_t t = 0; t < keys && t < 16; t++) {
        memcpy(copy + 16 * t, rows + t * row_bytes + at, bytes);
    }
    return transpose_16_bytes(copy, 16);
}

// MARK: Memory to come

// What is still to be fetched, and how much at a time.
typedef struct {
    const char *at;
    size_t left, share;
} upcoming_memory;

// Splits it into shares for `times` calls. Keys come from memory at a tenth of its bandwidth, in bursts too short
// for the processor to see them coming; asked for all at once, they would stall the loop as well.
DSA_AVX512_INLINE upcoming_memory upcoming_in(const void *memory, size_t bytes, size_t times) {
    return (upcoming_memory){memory, memory == NULL ? 0 : bytes, bytes / (times == 0 ? 1 : times) + 64};
}

DSA_AVX512_INLINE void fetch_share(upcoming_memory *next) {
    size_t bytes = next->left < next->share ? next->left : next->share;
    for (size_t i = 0; i < bytes; i += 64) {
        _mm_prefetch(next->at + i, _MM_HINT_T1);
    }
    next->at += bytes;
    next->left -= bytes;
}

#endif

#endif
