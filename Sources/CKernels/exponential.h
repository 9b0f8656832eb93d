// The exponential that every table evaluates, each in its own instructions.
//
//     n = round(t / ln 2),  r = t - n ln 2,  exp(t) = 2^n exp(r),  |r| <= ln 2 / 2 and a rounding
//     exp(r) = 1 + r + r^2 (C2 + C3 r + C4 r^2 + C5 r^3 + C6 r^4)
//
// The coefficients minimise the relative error over |r| <= 0.3475 (Remez exchange); rounded to float32
// they leave 4.1e-9, a fifteenth of half a unit in the last place. What remains is rounding.

#ifndef DSA_EXPONENTIAL_H
#define DSA_EXPONENTIAL_H

#define DSA_LOG2_E 0x1.715476p+0f

// ln 2 in two parts; the first has 15 significant bits, so that n times it is exact for |n| < 512.
#define DSA_LN2_HIGH 0x1.62e4p-1f
#define DSA_LN2_LOW 0x1.7f7d1cp-20f

#define DSA_EXP_C2 0x1.fffffcp-2f
#define DSA_EXP_C3 0x1.555490p-3f
#define DSA_EXP_C4 0x1.5558fcp-5f
#define DSA_EXP_C5 0x1.123b68p-7f
#define DSA_EXP_C6 0x1.6a21a6p-10f

// Below this argument the result would be subnormal; it is flushed to 0, so that no later product
// with it pays for subnormal arithmetic. Just above ln 2^-126.
#define DSA_EXP_FLUSH -87.33654f
// At this argument the result is already infinite; larger ones are clamped to it.
#define DSA_EXP_OVERFLOW 89.0f

// silu(g) for g < 0 is g exp(g) / (1 + exp(g)), with 2^n multiplied in last and in parts: exp(g) alone may
// be far below the float range while its product with a large `up` is not. At this g even the product
// with the largest float is below 2^-128; smaller g, -infinity among them, are clamped to it.
#define DSA_SILU_LOWEST -183.0f

#endif
