// Maximum, exponential and sum in index order.

#pragma STDC FP_CONTRACT OFF

#include <math.h>

#include "../exponential.h"
#include "scalar.h"

// The first NaN met stays: nothing compares greater than it.
float dsa_scalar_max_f32(size_t count, const float *x) {
    float largest = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        if (x[i] > largest || x[i] != x[i]) {
            largest = x[i];
        }
    }
    return largest;
}

float dsa_scalar_exp_fraction(float t, int *exponent) {
    int n = (int)(t * DSA_LOG2_E + (t < 0 ? -0.5f : 0.5f));
    float r = (t - (float)n * DSA_LN2_HIGH) - (float)n * DSA_LN2_LOW;
    float tail = DSA_EXP_C2 + r * (DSA_EXP_C3 + r * (DSA_EXP_C4 + r * (DSA_EXP_C5 + r * DSA_EXP_C6)));
    *exponent = n;
    return 1 + (r + r * r * tail);
}

// exp(t); 0 where the result would be subnormal; NaN for NaN.
static float exponential(float t) {
    if (t != t) {
        return t;
    }
    if (t < DSA_EXP_FLUSH) {
        return 0;
    }
    int exponent;
    float fraction = dsa_scalar_exp_fraction(t > DSA_EXP_OVERFLOW ? DSA_EXP_OVERFLOW : t, &exponent);
    // Two factors: 2^128 is no float, yet 2^128 times a fraction below 1 is.
    return fraction * power_of_two(exponent / 2) * power_of_two(exponent - exponent / 2);
}

// x, y: [count]. The argument takes one rounding (fmaf), as it does in every other table.
// x = -infinity is tested by itself: with a shift of -infinity, the maximum of a row that sees nothing, the
// argument would be NaN.
float dsa_scalar_exp_sum(size_t count, float scale, float shift, const float *x, float *y) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        y[i] = x[i] == -INFINITY ? 0 : exponential(fmaf(scale, x[i], -shift));
        sum += y[i];
    }
    return (float)sum;
}

// x: [count, 16], maxima, sums: [16].
void dsa_scalar_exp_sum_lanes(
    size_t count, size_t lanes, float scale, float *x, float *maxima, float *sums) {
    for (size_t j = 0; j < lanes; j++) {
        float largest = -INFINITY;
        for (size_t i = 0; i < count; i++) {
            float value = x[i * dsa_lanes + j];
            if (value > largest || value != value) {
                largest = value;
            }
        }
        maxima[j] = scale * largest;
        double sum = 0;
        for (size_t i = 0; i < count; i++) {
            float *value = x + i * dsa_lanes + j;
            *value = *value == -INFINITY ? 0 : exponential(fmaf(scale, *value, -maxima[j]));
            sum += *value;
        }
        sums[j] = (float)sum;
    }
}
