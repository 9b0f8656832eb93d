// Selection of the highest scores: compare, and compress what is left.

#include "avx512.h"

#if defined(__x86_64__)

// Flips the sign of a positive number and every bit of a negative one. For ordered scores.
DSA_AVX512_INLINE __m512i ranks_of(__m512 scores) {
    __m512i bits = _mm512_castps_si512(_mm512_add_ps(scores, _mm512_setzero_ps())); // -0 + 0 is 0
    __m512i flips = _mm512_or_si512(_mm512_srai_epi32(bits, 31), _mm512_set1_epi32((int)0x80000000));
    return _mm512_xor_si512(bits, flips);
}

// The score that has a rank; that of -0, which no score has, stands for the one below.
DSA_AVX512_INLINE __m512 score_of(uint32_t rank) {
    rank -= rank == 0x7FFFFFFF;
    uint32_t bits = rank >> 31 ? rank ^ 0x80000000 : ~rank;
    return _mm512_castsi512_ps(_mm512_set1_epi32((int)bits));
}

// Appends a vector's lanes in `kept`. Compressing into a register and storing all of it is many times
// faster than a compressing store on Zen 4.
DSA_AVX512_INLINE size_t append(
    __mmask16 kept, __m512i ranks, __m512i places, uint32_t *rank_at, int32_t *position_at) {
    _mm512_storeu_si512(rank_at, _mm512_maskz_compress_epi32(kept, ranks));
    _mm512_storeu_si512(position_at, _mm512_maskz_compress_epi32(kept, places));
    return (size_t)__builtin_popcount(kept);
}

// scores: [count], ranks, positions: [count + 16]. Comparing floats finds the same scores as comparing
// ranks; most vectors need no more than that.
DSA_AVX512 size_t dsa_avx512_ranks_above(
    size_t count, const float *scores, int32_t first, uint32_t floor, uint32_t *ranks, int32_t *positions) {
    __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __m512 lowest = score_of(floor);
    // Below the rank of -infinity a floor is no score's, and leaves out NaN alone.
    __mmask16 everything = floor < 0x007FFFFF ? 0xFFFF : 0;
    size_t used = 0;
    for (size_t i = 0; i < count; i += 64) {
        __m512 block[4];
        __mmask16 kept[4];
#pragma clang loop unroll(full)
        for (int v = 0; v < 4; v++) {
            size_t at = i + 16 * (size_t)v;
            __mmask16 lanes = lanes16(at < count ? count - at : 0);
            block[v] = _mm512_maskz_loadu_ps(lanes, scores + at);
            kept[v] = _mm512_mask_cmp_ps_mask(lanes, block[v], lowest, _CMP_GT_OQ)
                | (_mm512_mask_cmp_ps_mask(lanes, block[v], block[v], _CMP_ORD_Q) & everything);
        }
        if ((kept[0] | kept[1] | kept[2] | kept[3]) == 0) {
            continue;
        }
#pragma clang loop unroll(full)
        for (int v = 0; v < 4; v++) {
            // A lane that is kept is within count, so its position is too.
            __m512i places = _mm512_add_epi32(lane, _mm512_set1_epi32(first + (int32_t)i + 16 * v));
            used += append(kept[v], ranks_of(block[v]), places, ranks + used, positions + used);
        }
    }
    return used;
}

DSA_AVX512_INLINE size_t count_from(uint32_t lowest, size_t count, const uint32_t *ranks) {
    __m512i bound = _mm512_set1_epi32((int)lowest), one = _mm512_set1_epi32(1);
    __m512i found[4];
    for (int v = 0; v < 4; v++) {
        found[v] = _mm512_setzero_si512();
    }
    size_t i = 0;
    for (; i + 64 <= count; i += 64) {
#pragma clang loop unroll(full)
        for (int v = 0; v < 4; v++) {
            __mmask16 enough = _mm512_cmpge_epu32_mask(_mm512_loadu_si512(ranks + i + 16 * v), bound);
            found[v] = _mm512_mask_add_epi32(found[v], enough, found[v], one);
        }
    }
    for (; i < count; i += 16) {
        __mmask16 lanes = lanes16(count - i);
        __m512i block = _mm512_maskz_loadu_epi32(lanes, ranks + i);
        found[0] = _mm512_mask_add_epi32(
            found[0], _mm512_mask_cmpge_epu32_mask(lanes, block, bound), found[0], one);
    }
    __m512i sum = _mm512_add_epi32(_mm512_add_epi32(found[0], found[1]), _mm512_add_epi32(found[2], found[3]));
    return (size_t)_mm512_reduce_add_epi32(sum);
}

typedef struct {
    uint32_t low, high;
} rank_range;

// The lowest and the highest of the ranks that are at least `lowest`; there is one.
DSA_AVX512_INLINE rank_range range_from(uint32_t lowest, size_t count, const uint32_t *ranks) {
    __m512i bound = _mm512_set1_epi32((int)lowest);
    __m512i low = _mm512_set1_epi32(-1), high = _mm512_setzero_si512();
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 lanes = lanes16(count - i);
        __m512i block = _mm512_maskz_loadu_epi32(lanes, ranks + i);
        lanes = _mm512_mask_cmpge_epu32_mask(lanes, block, bound);
        low = _mm512_mask_min_epu32(low, lanes, low, block);
        high = _mm512_mask_max_epu32(high, lanes, high, block);
    }
    return (rank_range){_mm512_reduce_min_epu32(low), _mm512_reduce_max_epu32(high)};
}

// The first `count` set bits of a mask.
DSA_AVX512_INLINE __mmask16 first_bits(__mmask16 mask, size_t count) {
    uint32_t left = mask;
    while ((size_t)__builtin_popcount(left) > count) {
        left ^= 0x80000000u >> __builtin_clz(left); // the last of them
    }
    return (__mmask16)left;
}

// ranks, positions: [count + 16]. Bisection between the lowest and the highest; it ends as soon as a bound
// leaves exactly as many as are wanted, which unequal ranks reach in about half of the steps.
DSA_AVX512 uint32_t dsa_avx512_keep_highest(
    size_t count, size_t wanted, uint32_t *ranks, int32_t *positions) {
    rank_range range = range_from(0, count, ranks);
    while (range.low < range.high) {
        uint32_t middle = range.low + (range.high - range.low) / 2 + 1;
        size_t found = count_from(middle, count, ranks);
        if (found == wanted) {
            range.low = range.high = range_from(middle, count, ranks).low;
        } else if (found > wanted) {
            range.low = middle;
        } else {
            range.high = middle - 1;
        }
    }
    uint32_t lowest = range.low;
    size_t ties = wanted - (lowest == UINT32_MAX ? 0 : count_from(lowest + 1, count, ranks));
    __m512i bound = _mm512_set1_epi32((int)lowest);
    size_t used = 0;
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 lanes = lanes16(count - i);
        __m512i block = _mm512_maskz_loadu_epi32(lanes, ranks + i);
        __m512i places = _mm512_maskz_loadu_epi32(lanes, positions + i);
        __mmask16 equal = first_bits(_mm512_mask_cmpeq_epi32_mask(lanes, block, bound), ties);
        ties -= (size_t)__builtin_popcount(equal);
        __mmask16 kept = equal | _mm512_mask_cmpgt_epu32_mask(lanes, block, bound);
        used += append(kept, block, places, ranks + used, positions + used);
    }
    return lowest;
}

#endif
