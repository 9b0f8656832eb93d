// Selection of the highest scores, one at a time: its definition.

#include "scalar.h"

static uint32_t rank_of(float score) {
    if (score != score) {
        return 0;
    }
    uint32_t bits = bits_of(score + 0.0f); // -0 + 0 is 0
    return bits >> 31 ? ~bits : bits | 0x80000000;
}

// scores: [count], ranks, positions: [count + 16].
size_t dsa_scalar_ranks_above(
    size_t count, const float *scores, int32_t first, uint32_t floor, uint32_t *ranks, int32_t *positions) {
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t rank = rank_of(scores[i]);
        if (rank > floor) {
            ranks[used] = rank;
            positions[used] = first + (int32_t)i;
            used++;
        }
    }
    return used;
}

static size_t count_from(uint32_t lowest, size_t count, const uint32_t *ranks) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += ranks[i] >= lowest;
    }
    return found;
}

// ranks, positions: [count + 16].
uint32_t dsa_scalar_keep_highest(size_t count, size_t wanted, uint32_t *ranks, int32_t *positions) {
    // The highest rank that at least `wanted` others reach lies in low ... high.
    uint32_t low = 0, high = UINT32_MAX;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2 + 1;
        if (count_from(middle, count, ranks) >= wanted) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    size_t above = low == UINT32_MAX ? 0 : count_from(low + 1, count, ranks);
    size_t ties = wanted - above, used = 0;
    for (size_t i = 0; i < count; i++) {
        if (ranks[i] < low || (ranks[i] == low && ties == 0)) {
            continue;
        }
        ties -= ranks[i] == low;
        ranks[used] = ranks[i];
        positions[used] = positions[i];
        used++;
    }
    return low;
}
