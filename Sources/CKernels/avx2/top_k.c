// Selection of the highest scores: vectors compare, and what is left, which is little, is moved one by one.

#include "avx2.h"

#if defined(__x86_64__)

static uint32_t rank_of(float score) {
    uint32_t bits;
    score += 0.0f; // -0 + 0 is 0
    memcpy(&bits, &score, sizeof bits);
    return bits >> 31 ? ~bits : bits | 0x80000000;
}

// The score that has a rank; that of -0, which no score has, stands for the one below.
static float score_of(uint32_t rank) {
    rank -= rank == 0x7FFFFFFF;
    uint32_t bits = rank >> 31 ? rank ^ 0x80000000 : ~rank;
    float score;
    memcpy(&score, &bits, sizeof score);
    return score;
}

// scores: [count], ranks, positions: [count + 16]. Comparing floats finds the same scores as comparing
// ranks; most vectors need no more than that.
DSA_AVX2 size_t dsa_avx2_ranks_above(
    size_t count, const float *scores, int32_t first, uint32_t floor, uint32_t *ranks, int32_t *positions) {
    // Below the rank of -infinity a floor is no score's, and leaves out NaN alone: what does not equal itself.
    bool everything = floor < 0x007FFFFF;
    __m256 lowest = _mm256_set1_ps(everything ? 0 : score_of(floor));
    size_t used = 0;
    for (size_t i = 0; i < count; i += 8) {
        __m256i lanes = lanes8(count - i);
        __m256 block = _mm256_maskload_ps(scores + i, lanes);
        __m256 above = everything ? _mm256_cmp_ps(block, block, _CMP_ORD_Q)
                                   : _mm256_cmp_ps(block, lowest, _CMP_GT_OQ);
        unsigned kept = (unsigned)_mm256_movemask_ps(_mm256_and_ps(above, _mm256_castsi256_ps(lanes)));
        for (; kept != 0; kept &= kept - 1) {
            size_t at = i + (size_t)__builtin_ctz(kept);
            ranks[used] = rank_of(scores[at]);
            positions[used] = first + (int32_t)at;
            used++;
        }
    }
    return used;
}

// The compare at hand is of signed numbers; turning the highest bit over makes it one of unsigned ones.
DSA_AVX2_INLINE __m256i signed_ranks(const uint32_t *ranks) {
    __m256i block = _mm256_loadu_si256((const __m256i *)ranks);
    return _mm256_xor_si256(block, _mm256_set1_epi32((int)0x80000000));
}

// How many ranks are above a bound.
DSA_AVX2_INLINE size_t count_above(uint32_t rank, size_t count, const uint32_t *ranks) {
    __m256i bound = _mm256_set1_epi32((int)(rank ^ 0x80000000));
    __m256i found[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        found[0] = _mm256_sub_epi32(found[0], _mm256_cmpgt_epi32(signed_ranks(ranks + i), bound));
        found[1] = _mm256_sub_epi32(found[1], _mm256_cmpgt_epi32(signed_ranks(ranks + i + 8), bound));
    }
    int32_t lanes[8];
    _mm256_storeu_si256((__m256i *)lanes, _mm256_add_epi32(found[0], found[1]));
    size_t sum = 0;
    for (int lane = 0; lane < 8; lane++) {
        sum += (size_t)lanes[lane];
    }
    for (; i < count; i++) {
        sum += ranks[i] > rank;
    }
    return sum;
}

// ranks, positions: [count + 16]. Bisection for the lowest rank that fewer than `wanted` are above.
DSA_AVX2 uint32_t dsa_avx2_keep_highest(
    size_t count, size_t wanted, uint32_t *ranks, int32_t *positions) {
    uint32_t low = 0, high = UINT32_MAX;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (count_above(middle, count, ranks) >= wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    size_t ties = wanted - count_above(low, count, ranks), used = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t rank = ranks[i];
        int32_t position = positions[i];
        size_t tie = rank == low && ties > 0;
        ties -= tie;
        // Written in any case and counted if kept: no branch for the processor to guess.
        ranks[used] = rank;
        positions[used] = position;
        used += tie | (rank > low);
    }
    return low;
}

#endif
