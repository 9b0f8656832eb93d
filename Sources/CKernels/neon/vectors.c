// Elementwise vector kernels; a tail is copied to a whole vector and takes the same path.

#include <math.h>

#include "neon.h"

#if defined(__aarch64__)

// The last `left` (1 ... 3) elements of x, then zeros.
DSA_NEON_INLINE float32x4_t load_tail(const float *x, size_t left) {
    float room[4] = {0, 0, 0, 0};
    memcpy(room, x, left * sizeof *x);
    return vld1q_f32(room);
}

DSA_NEON_INLINE void store_tail(float *y, size_t left, float32x4_t values) {
    memcpy(y, &values, left * sizeof *y);
}

// x, y: [count]; one rounding for each element (fused).
void dsa_neon_axpy_f32(size_t count, float a, const float *x, float *y) {
    float32x4_t factor = vdupq_n_f32(a);
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        vst1q_f32(y + i, vfmaq_f32(vld1q_f32(y + i), factor, vld1q_f32(x + i)));
    }
    if (i < count) {
        size_t left = count - i;
        store_tail(y + i, left, vfmaq_f32(load_tail(y + i, left), factor, load_tail(x + i, left)));
    }
}

// x, y: [count]; one rounding for each element (fused).
void dsa_neon_axpy_bf16(size_t count, float a, const uint16_t *x, float *y) {
    float32x4_t factor = vdupq_n_f32(a);
    for (size_t i = 0; i < count; i += 4) {
        size_t left = count - i;
        uint16_t room[4] = {0, 0, 0, 0};
        memcpy(room, x + i, (left < 4 ? left : 4) * sizeof *x);
        float32x4_t from_x = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(room), 16));
        if (left >= 4) {
            vst1q_f32(y + i, vfmaq_f32(vld1q_f32(y + i), factor, from_x));
        } else {
            store_tail(y + i, left, vfmaq_f32(load_tail(y + i, left), factor, from_x));
        }
    }
}

// x: [count], in place.
void dsa_neon_scale_f32(size_t count, float a, float *x) {
    float32x4_t factor = vdupq_n_f32(a);
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        vst1q_f32(x + i, vmulq_f32(factor, vld1q_f32(x + i)));
    }
    if (i < count) {
        store_tail(x + i, count - i, vmulq_f32(factor, load_tail(x + i, count - i)));
    }
}

// kept: [ceil(count / 64)], x: [count], in place; four bits are spread over a vector.
void dsa_neon_hide_f32(size_t count, const uint64_t *kept, float *x) {
    static const uint32_t powers[4] = {1, 2, 4, 8};
    uint32x4_t bits = vld1q_u32(powers);
    float32x4_t hidden = vdupq_n_f32(-INFINITY);
    for (size_t i = 0; i < count; i += 4) {
        uint32x4_t lanes = vtstq_u32(vdupq_n_u32((uint32_t)(kept[i / 64] >> i % 64)), bits);
        if (i + 4 <= count) {
            vst1q_f32(x + i, vbslq_f32(lanes, vld1q_f32(x + i), hidden));
        } else {
            store_tail(x + i, count - i, vbslq_f32(lanes, load_tail(x + i, count - i), hidden));
        }
    }
}

// silu(gate) * up: gate / (1 + e) * up with e = exp(-|gate|), and for a negative gate e = f * 2^n once more
// as a factor: f before the division, 2^n in three parts around `up`, so that no factor underflows
// before the product does.
// vmaxq keeps a NaN gate in t, whatever the powers of two.
DSA_NEON_INLINE float32x4_t silu_times(float32x4_t gate, float32x4_t up) {
    float32x4_t t = vmaxq_f32(vdupq_n_f32(DSA_SILU_LOWEST), vnegq_f32(vabsq_f32(gate)));
    split_exp e = exp_parts(t);
    int32x4_t lowest = vdupq_n_s32(-126);
    float32x4_t exponential = vmulq_f32(e.fraction, power_of_two(vmaxq_s32(e.exponent, lowest)));
    float32x4_t denominator = vaddq_f32(vdupq_n_f32(1), exponential);
    int32x4_t negative = vshrq_n_s32(vreinterpretq_s32_f32(gate), 31);
    float32x4_t numerator = vbslq_f32(vreinterpretq_u32_s32(negative), vmulq_f32(t, e.fraction), gate);
    int32x4_t exponent = vandq_s32(e.exponent, negative);
    int32x4_t first = vmaxq_s32(exponent, lowest);
    int32x4_t rest = vsubq_s32(exponent, first);
    int32x4_t second = vmaxq_s32(rest, lowest);
    int32x4_t third = vsubq_s32(rest, second);
    float32x4_t quotient = vdivq_f32(numerator, denominator);
    float32x4_t product = vmulq_f32(vmulq_f32(quotient, power_of_two(first)), up);
    return vmulq_f32(vmulq_f32(product, power_of_two(second)), power_of_two(third));
}

// gate, up, y: [count].
void dsa_neon_silu_multiply(size_t count, const float *gate, const float *up, float *y) {
    size_t i = 0;
    for (; i + 4 <= count; i += 4) {
        vst1q_f32(y + i, silu_times(vld1q_f32(gate + i), vld1q_f32(up + i)));
    }
    if (i < count) {
        size_t left = count - i;
        store_tail(y + i, left, silu_times(load_tail(gate + i, left), load_tail(up + i, left)));
    }
}

#endif
