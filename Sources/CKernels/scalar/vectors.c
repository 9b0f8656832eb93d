// Elementwise vector kernels; every operation rounds on its own.

#pragma STDC FP_CONTRACT OFF

#include <math.h>

#include "../exponential.h"
#include "scalar.h"

void dsa_scalar_axpy_f32(size_t count, float a, const float *x, float *y) {
    for (size_t i = 0; i < count; i++) {
        y[i] += a * x[i];
    }
}

void dsa_scalar_axpy_bf16(size_t count, float a, const uint16_t *x, float *y) {
    for (size_t i = 0; i < count; i++) {
        y[i] += a * dsa_scalar_from_bf16(x[i]);
    }
}

void dsa_scalar_scale_f32(size_t count, float a, float *x) {
    for (size_t i = 0; i < count; i++) {
        x[i] *= a;
    }
}

void dsa_scalar_hide_f32(size_t count, const uint64_t *kept, float *x) {
    for (size_t i = 0; i < count; i++) {
        if (!(kept[i / 64] >> i % 64 & 1)) {
            x[i] = -INFINITY;
        }
    }
}

// silu(g) * up. For g >= 0 it is g / (1 + e) * up with e = exp(-g). For g < 0, with exp(g) = e = f * 2^n,
// it is g f / (1 + e) * up * 2^n; double has the range to hold that until its one rounding to float.
static float silu_times(float gate, float up) {
    float magnitude = float_of(bits_of(gate) & 0x7FFFFFFF);
    float t = -magnitude < DSA_SILU_LOWEST ? DSA_SILU_LOWEST : -magnitude;
    if (t != t) {
        return gate * up;
    }
    int exponent;
    float fraction = dsa_scalar_exp_fraction(t, &exponent);
    // Below 2^-126 the exponential no longer shows in 1 + e.
    float denominator = 1 + fraction * power_of_two(exponent < -126 ? -126 : exponent);
    if (gate >= 0) {
        return gate / denominator * up;
    }
    double product = (double)(t * fraction / denominator) * up;
    int third = exponent / 3; // 2^exponent, down to 2^-264, is no float
    return (float)(product * power_of_two(third) * power_of_two(third) * power_of_two(exponent - 2 * third));
}

// gate, up, y: [count].
void dsa_scalar_silu_multiply(size_t count, const float *gate, const float *up, float *y) {
    for (size_t i = 0; i < count; i++) {
        y[i] = silu_times(gate[i], up[i]);
    }
}
