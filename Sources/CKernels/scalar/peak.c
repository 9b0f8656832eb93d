// What plain code reaches on registers: four chains of multiply and add.

#include "scalar.h"

double dsa_scalar_dot_peak(size_t rounds, float *sink) {
    enum { chains = 4 };
    float sums[chains] = {0};
    // Read and written through volatile once each, so that nothing is folded away.
    volatile float factor = 0.999f;
    float f = factor;
    for (size_t r = 0; r < rounds; r++) {
        for (int k = 0; k < chains; k++) {
            sums[k] = sums[k] * f + f;
        }
    }
    for (int k = 0; k < 16; k++) {
        sink[k] = sums[k % chains];
    }
    return 2.0 * chains * (double)rounds;
}
