// Number formats, one element at a time, in integer arithmetic. This is their definition.

#pragma STDC FP_CONTRACT OFF

#include "scalar.h"

// bfloat16 is the upper half of a float32.
float dsa_scalar_from_bf16(uint16_t code) {
    return float_of((uint32_t)code << 16);
}

// 1 sign bit, 5 exponent bits of bias 15, 10 mantissa bits.
float dsa_scalar_from_f16(uint16_t code) {
    uint32_t sign = (uint32_t)(code & 0x8000) << 16;
    uint32_t exponent = (code >> 10) & 0x1F;
    uint32_t mantissa = code & 0x3FF;
    if (exponent == 0) { // zero or subnormal: a multiple of 2^-24
        return float_of(sign | bits_of((float)mantissa * 0x1p-24f));
    }
    if (exponent == 0x1F) { // infinity or NaN
        uint32_t quiet = mantissa != 0 ? 0x400000 : 0;
        return float_of(sign | 0x7F800000 | quiet | mantissa << 13);
    }
    return float_of(sign | (exponent + 127 - 15) << 23 | mantissa << 13);
}

// 1 sign bit, 4 exponent bits of bias 7, 3 mantissa bits; no infinities, one NaN for each sign.
float dsa_scalar_from_e4m3(uint8_t code) {
    uint32_t sign = (uint32_t)(code & 0x80) << 24;
    uint32_t exponent = (code >> 3) & 0xF;
    uint32_t mantissa = code & 0x7;
    if ((code & 0x7F) == 0x7F) {
        return float_of(sign | 0x7FC00000);
    }
    if (exponent == 0) { // zero or subnormal: a multiple of 2^-9
        return float_of(sign | bits_of((float)mantissa * 0x1p-9f));
    }
    return float_of(sign | (exponent + 127 - 7) << 23 | mantissa << 20);
}

// value / 2^shift, rounded to nearest, ties to even; 1 <= shift <= 31.
static uint32_t shift_to_nearest_even(uint32_t value, uint32_t shift) {
    uint32_t quotient = value >> shift;
    uint32_t rest = value & ((1u << shift) - 1);
    uint32_t half = 1u << (shift - 1);
    return quotient + (rest > half || (rest == half && (quotient & 1) == 1));
}

// A mantissa that rounds up to 2 carries into the exponent, up to infinity, as it should.
static uint16_t to_bf16(float x) {
    uint32_t bits = bits_of(x);
    if (x != x) {
        return (uint16_t)(bits >> 16 | 0x40); // the quiet bit keeps it a NaN when the payload is cut
    }
    return (uint16_t)shift_to_nearest_even(bits, 16);
}

static uint8_t to_e4m3(float x) {
    uint32_t sign = bits_of(x) >> 24 & 0x80;
    uint32_t magnitude = bits_of(x) & 0x7FFFFFFF;
    if (x != x) {
        return (uint8_t)(sign | 0x7F);
    }
    if (magnitude >= bits_of(448)) {
        return (uint8_t)(sign | 0x7E);
    }
    if (magnitude >= bits_of(0x1p-6f)) { // normal: drop 20 mantissa bits, move the bias from 127 to 7
        return (uint8_t)(sign | (shift_to_nearest_even(magnitude, 20) - ((127 - 7) << 3)));
    }
    // Subnormal: the nearest multiple of 2^-9. With e the exponent field, x = mantissa * 2^(e - 150), so
    // the multiple is mantissa / 2^(141 - e); a shift beyond 25 leaves less than a half. Rounding up
    // to 8 gives the code of 2^-6, the smallest normal number.
    uint32_t exponent = magnitude >> 23;
    uint32_t mantissa = (magnitude & 0x7FFFFF) | 0x800000;
    return exponent < 141 - 25 ? (uint8_t)sign
                               : (uint8_t)(sign | shift_to_nearest_even(mantissa, 141 - exponent));
}

void dsa_scalar_widen_bf16(size_t count, const uint16_t *x, float *y) {
    for (size_t i = 0; i < count; i++) {
        y[i] = dsa_scalar_from_bf16(x[i]);
    }
}

void dsa_scalar_widen_f16(size_t count, const uint16_t *x, float *y) {
    for (size_t i = 0; i < count; i++) {
        y[i] = dsa_scalar_from_f16(x[i]);
    }
}

void dsa_scalar_widen_e4m3(size_t count, const uint8_t *x, float *y) {
    for (size_t i = 0; i < count; i++) {
        y[i] = dsa_scalar_from_e4m3(x[i]);
    }
}

void dsa_scalar_narrow_bf16(size_t count, const float *x, uint16_t *y) {
    for (size_t i = 0; i < count; i++) {
        y[i] = to_bf16(x[i]);
    }
}

void dsa_scalar_narrow_e4m3(size_t count, const float *x, uint8_t *y) {
    for (size_t i = 0; i < count; i++) {
        y[i] = to_e4m3(x[i]);
    }
}
