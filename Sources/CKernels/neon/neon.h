// What the files of the NEON table share: tails as copies, 16 elements of each format, and exp.

#ifndef DSA_NEON_H
#define DSA_NEON_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../exponential.h"
#include "CKernels.h"

#if defined(__aarch64__)

#include <arm_neon.h>

#define DSA_NEON_INLINE static inline __attribute__((always_inline))

// MARK: Formats

typedef enum { format_f32, format_bf16, format_f16, format_e4m3 } stored_format;

// 16 floats.
typedef struct {
    float32x4_t part[4];
} float_block;

// The binary16 numbers 2^-8 times the 8 E4M3 codes. Shifting the seven low bits of a code under the sign
// reads its exponent, of bias 7, with bias 15, and turns subnormals into subnormals. NaN has no
// counterpart: 0x7F is read as 1.875, the one magnitude from which the next step carries into bit 14;
// setting that bit makes the exponent all ones.
DSA_NEON_INLINE float16x8_t e4m3_as_f16(int8x8_t codes) {
    uint16x8_t shifted = vreinterpretq_u16_s16(vshlq_n_s16(vmovl_s8(codes), 7));
    uint16x8_t scaled = vandq_u16(shifted, vdupq_n_u16(0xBFFF)); // bit 14: the copied sign
    uint16x8_t next = vaddq_u16(scaled, vdupq_n_u16(0x80));
    return vreinterpretq_f16_u16(vorrq_u16(scaled, vandq_u16(next, vdupq_n_u16(0x4000))));
}

DSA_NEON_INLINE float_block widen_f16_block(float16x8_t low, float16x8_t high) {
    return (float_block){{
        vcvt_f32_f16(vget_low_f16(low)),
        vcvt_high_f32_f16(low),
        vcvt_f32_f16(vget_low_f16(high)),
        vcvt_high_f32_f16(high),
    }};
}

// The 16 stored numbers at element `at` of w, exactly. E4M3 comes scaled by 2^-8, which the caller takes
// back. bfloat16 is the upper half of a float, below which a zero is put.
DSA_NEON_INLINE float_block load_stored(stored_format format, const void *w, size_t at) {
    switch (format) {
    case format_f32: {
        const float *from = (const float *)w + at;
        return (float_block){
            {vld1q_f32(from), vld1q_f32(from + 4), vld1q_f32(from + 8), vld1q_f32(from + 12)}};
    }
    case format_bf16: {
        const uint16_t *from = (const uint16_t *)w + at;
        uint16x8_t zero = vdupq_n_u16(0);
        uint16x8_t low = vld1q_u16(from);
        uint16x8_t high = vld1q_u16(from + 8);
        return (float_block){{
            vreinterpretq_f32_u16(vzip1q_u16(zero, low)),
            vreinterpretq_f32_u16(vzip2q_u16(zero, low)),
            vreinterpretq_f32_u16(vzip1q_u16(zero, high)),
            vreinterpretq_f32_u16(vzip2q_u16(zero, high)),
        }};
    }
    case format_f16: {
        const uint16_t *from = (const uint16_t *)w + at;
        return widen_f16_block(
            vreinterpretq_f16_u16(vld1q_u16(from)), vreinterpretq_f16_u16(vld1q_u16(from + 8)));
    }
    case format_e4m3: {
        int8x16_t codes = vreinterpretq_s8_u8(vld1q_u8((const uint8_t *)w + at));
        return widen_f16_block(e4m3_as_f16(vget_low_s8(codes)), e4m3_as_f16(vget_high_s8(codes)));
    }
    }
}

// Copies the last `left` (1 ... 15) stored numbers, from element `at` of w, to `room` and puts zeros behind
// them: a tail that can be loaded whole.
DSA_NEON_INLINE void stage(stored_format format, const void *w, size_t at, size_t left, float room[16]) {
    size_t size = format == format_f32 ? 4 : format == format_e4m3 ? 1 : 2;
    memset(room, 0, 16 * sizeof *room);
    memcpy(room, (const char *)w + at * size, left * size);
}

// MARK: Exponential

typedef struct {
    float32x4_t fraction;
    int32x4_t exponent;
} split_exp;

// exp(t) = fraction * 2^exponent; see exponential.h. For finite t; NaN gives a NaN fraction.
DSA_NEON_INLINE split_exp exp_parts(float32x4_t t) {
    float32x4_t n = vrndnq_f32(vmulq_f32(t, vdupq_n_f32(DSA_LOG2_E)));
    float32x4_t r = vfmsq_f32(t, n, vdupq_n_f32(DSA_LN2_HIGH));
    r = vfmsq_f32(r, n, vdupq_n_f32(DSA_LN2_LOW));
    float32x4_t p = vdupq_n_f32(DSA_EXP_C6);
    p = vfmaq_f32(vdupq_n_f32(DSA_EXP_C5), p, r);
    p = vfmaq_f32(vdupq_n_f32(DSA_EXP_C4), p, r);
    p = vfmaq_f32(vdupq_n_f32(DSA_EXP_C3), p, r);
    p = vfmaq_f32(vdupq_n_f32(DSA_EXP_C2), p, r);
    p = vfmaq_f32(vdupq_n_f32(1), p, r);
    p = vfmaq_f32(vdupq_n_f32(1), p, r);
    return (split_exp){p, vcvtq_s32_f32(n)};
}

// 2^exponent, for -126 <= exponent <= 127.
DSA_NEON_INLINE float32x4_t power_of_two(int32x4_t exponent) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(exponent, vdupq_n_s32(127)), 23));
}

// The slots, as in CKernels.h.
void dsa_neon_widen_bf16(size_t count, const uint16_t *x, float *y);
void dsa_neon_widen_f16(size_t count, const uint16_t *x, float *y);
void dsa_neon_widen_e4m3(size_t count, const uint8_t *x, float *y);
void dsa_neon_narrow_bf16(size_t count, const float *x, uint16_t *y);
void dsa_neon_narrow_e4m3(size_t count, const float *x, uint8_t *y);
float dsa_neon_dot_f32(size_t count, const float *x, const float *y);
void dsa_neon_gemv_f32(
    size_t rows, size_t columns, size_t stride, const float *w, const float *x, float *y);
void dsa_neon_gemv_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y);
void dsa_neon_gemv_many_bf16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, size_t vectors, const float *const *x,
    float *const *y);
void dsa_neon_gemv_f16(
    size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y);
void dsa_neon_gemv_e4m3(
    size_t rows, size_t columns, size_t stride, const uint8_t *w, const float *scales, const float *x, float *y);
void dsa_neon_axpy_f32(size_t count, float a, const float *x, float *y);
void dsa_neon_axpy_bf16(size_t count, float a, const uint16_t *x, float *y);
void dsa_neon_scale_f32(size_t count, float a, float *x);
void dsa_neon_hide_f32(size_t count, const uint64_t *kept, float *x);
void dsa_neon_silu_multiply(size_t count, const float *gate, const float *up, float *y);
float dsa_neon_max_f32(size_t count, const float *x);
float dsa_neon_exp_sum(size_t count, float scale, float shift, const float *x, float *y);

#endif

#endif
