// Number formats, 16 elements at a time; a tail is copied to a whole block and takes the same path.

#include "neon.h"

#if defined(__aarch64__)

// x, y: [count] in all of these; exact, or rounded once.

// The 16 stored numbers at element `at` of x.
DSA_NEON_INLINE void widen_block(stored_format format, const void *x, size_t at, float *y) {
    float_block values = load_stored(format, x, at);
#pragma clang loop unroll(full)
    for (int k = 0; k < 4; k++) {
        // E4M3 comes as 2^-8 times the value.
        vst1q_f32(y + 4 * k, format == format_e4m3 ? vmulq_n_f32(values.part[k], 256) : values.part[k]);
    }
}

DSA_NEON_INLINE void widen(stored_format format, size_t count, const void *x, float *y) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        widen_block(format, x, i, y + i);
    }
    if (i < count) {
        float room[16];
        float values[16];
        stage(format, x, i, count - i, room);
        widen_block(format, room, 0, values);
        memcpy(y + i, values, (count - i) * sizeof *y);
    }
}

void dsa_neon_widen_bf16(size_t count, const uint16_t *x, float *y) {
    widen(format_bf16, count, x, y);
}

void dsa_neon_widen_f16(size_t count, const uint16_t *x, float *y) {
    widen(format_f16, count, x, y);
}

void dsa_neon_widen_e4m3(size_t count, const uint8_t *x, float *y) {
    widen(format_e4m3, count, x, y);
}

// Adding just under half of the last place kept, and one more when that place is odd, rounds to even.
// `dropped` is 16 or 20.
DSA_NEON_INLINE uint32x4_t round_off(uint32x4_t bits, int dropped) {
    int32x4_t down = vdupq_n_s32(-dropped);
    uint32x4_t odd = vandq_u32(vshlq_u32(bits, down), vdupq_n_u32(1));
    uint32x4_t bias = vaddq_u32(odd, vdupq_n_u32((1u << (dropped - 1)) - 1));
    return vshlq_u32(vaddq_u32(bits, bias), down);
}

DSA_NEON_INLINE uint16x4_t bf16_codes(float32x4_t values) {
    uint32x4_t bits = vreinterpretq_u32_f32(values);
    uint32x4_t quiet = vorrq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(0x40));
    return vmovn_u32(vbslq_u32(vceqq_f32(values, values), round_off(bits, 16), quiet));
}

DSA_NEON_INLINE void narrow_bf16_block(const float *x, uint16_t *y) {
    for (int k = 0; k < 16; k += 4) {
        vst1_u16(y + k, bf16_codes(vld1q_f32(x + k)));
    }
}

void dsa_neon_narrow_bf16(size_t count, const float *x, uint16_t *y) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        narrow_bf16_block(x + i, y + i);
    }
    if (i < count) {
        float room[16];
        uint16_t codes[16];
        stage(format_f32, x, i, count - i, room);
        narrow_bf16_block(room, codes);
        memcpy(y + i, codes, (count - i) * sizeof *y);
    }
}

// Adding 2^14, whose last place is 2^-9, rounds a smaller number to the multiples of 2^-9 that subnormal
// codes stand for, and leaves that multiple in the low bits.
DSA_NEON_INLINE uint16x4_t e4m3_codes(float32x4_t values) {
    float32x4_t anchor = vdupq_n_f32(0x1p14f);
    uint32x4_t sign = vandq_u32(vshrq_n_u32(vreinterpretq_u32_f32(values), 24), vdupq_n_u32(0x80));
    float32x4_t magnitude = vminq_f32(vabsq_f32(values), vdupq_n_f32(448));
    uint32x4_t subnormal = vcltq_f32(magnitude, vdupq_n_f32(0x1p-6f));
    uint32x4_t normals = vsubq_u32(
        round_off(vreinterpretq_u32_f32(magnitude), 20), vdupq_n_u32((127 - 7) << 3));
    uint32x4_t subnormals = vsubq_u32(
        vreinterpretq_u32_f32(vaddq_f32(magnitude, anchor)), vreinterpretq_u32_f32(anchor));
    uint32x4_t codes = vbslq_u32(subnormal, subnormals, normals);
    codes = vbslq_u32(vceqq_f32(values, values), codes, vdupq_n_u32(0x7F));
    return vmovn_u32(vorrq_u32(codes, sign));
}

DSA_NEON_INLINE void narrow_e4m3_block(const float *x, uint8_t *y) {
    for (int k = 0; k < 16; k += 8) {
        uint16x4_t low = e4m3_codes(vld1q_f32(x + k));
        uint16x4_t high = e4m3_codes(vld1q_f32(x + k + 4));
        vst1_u8(y + k, vmovn_u16(vcombine_u16(low, high)));
    }
}

void dsa_neon_narrow_e4m3(size_t count, const float *x, uint8_t *y) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        narrow_e4m3_block(x + i, y + i);
    }
    if (i < count) {
        float room[16];
        uint8_t codes[16];
        stage(format_f32, x, i, count - i, room);
        narrow_e4m3_block(room, codes);
        memcpy(y + i, codes, (count - i) * sizeof *y);
    }
}

#endif
