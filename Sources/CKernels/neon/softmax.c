// Maximum, exponential and sum, 16 elements at a time in four independent chains.

#include <math.h>

#include "neon.h"

#if defined(__aarch64__)

enum { chains = 4 };

// The last `left` (1 ... 3) elements of x, then -infinity: it changes no maximum, and its exponential is 0.
DSA_NEON_INLINE float32x4_t load_tail(const float *x, size_t left) {
    float room[4] = {-INFINITY, -INFINITY, -INFINITY, -INFINITY};
    memcpy(room, x, left * sizeof *x);
    return vld1q_f32(room);
}

// x: [count]. vmaxq gives NaN when either operand is NaN.
float dsa_neon_max_f32(size_t count, const float *x) {
    float32x4_t largest[chains];
    for (int k = 0; k < chains; k++) {
        largest[k] = vdupq_n_f32(-INFINITY);
    }
    size_t i = 0;
    for (; i + 4 * chains <= count; i += 4 * chains) {
#pragma clang loop unroll(full)
        for (int k = 0; k < chains; k++) {
            largest[k] = vmaxq_f32(largest[k], vld1q_f32(x + i + 4 * k));
        }
    }
    for (; i + 4 <= count; i += 4) {
        largest[0] = vmaxq_f32(largest[0], vld1q_f32(x + i));
    }
    if (i < count) {
        largest[0] = vmaxq_f32(largest[0], load_tail(x + i, count - i));
    }
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(largest[0], largest[1]), vmaxq_f32(largest[2], largest[3])));
}

// exp(scale * x - shift); `offset` is -shift.
DSA_NEON_INLINE float32x4_t exp_of(float32x4_t scale, float32x4_t offset, float32x4_t x) {
    float32x4_t t = vfmaq_f32(offset, scale, x);
    uint32x4_t dropped = vorrq_u32(
        vcltq_f32(t, vdupq_n_f32(DSA_EXP_FLUSH)), vceqq_f32(x, vdupq_n_f32(-INFINITY)));
    split_exp e = exp_parts(vminq_f32(t, vdupq_n_f32(DSA_EXP_OVERFLOW))); // vminq keeps NaN
    // Two factors: 2^128 is no float, yet 2^128 times a fraction below 1 is. For what is dropped they may
    // be any number.
    int32x4_t half = vshrq_n_s32(e.exponent, 1);
    float32x4_t value = vmulq_f32(e.fraction, power_of_two(half));
    value = vmulq_f32(value, power_of_two(vsubq_s32(e.exponent, half)));
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(value), dropped));
}

// x, y: [count]; four float32 vectors of partial sums.
float dsa_neon_exp_sum(size_t count, float scale, float shift, const float *x, float *y) {
    float32x4_t factor = vdupq_n_f32(scale);
    float32x4_t offset = vdupq_n_f32(-shift);
    float32x4_t sums[chains];
    for (int k = 0; k < chains; k++) {
        sums[k] = vdupq_n_f32(0);
    }
    size_t i = 0;
    for (; i + 4 * chains <= count; i += 4 * chains) {
#pragma clang loop unroll(full)
        for (int k = 0; k < chains; k++) {
            float32x4_t value = exp_of(factor, offset, vld1q_f32(x + i + 4 * k));
            vst1q_f32(y + i + 4 * k, value);
            sums[k] = vaddq_f32(sums[k], value);
        }
    }
    for (; i + 4 <= count; i += 4) {
        float32x4_t value = exp_of(factor, offset, vld1q_f32(x + i));
        vst1q_f32(y + i, value);
        sums[0] = vaddq_f32(sums[0], value);
    }
    if (i < count) {
        float32x4_t value = exp_of(factor, offset, load_tail(x + i, count - i));
        memcpy(y + i, &value, (count - i) * sizeof *y);
        sums[0] = vaddq_f32(sums[0], value);
    }
    return vaddvq_f32(vaddq_f32(vaddq_f32(sums[0], sums[1]), vaddq_f32(sums[2], sums[3])));
}

#endif
