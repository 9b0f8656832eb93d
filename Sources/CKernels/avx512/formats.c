// Number formats, 32 elements at a time; tails are masked, so every element takes the same path.

#include "avx512.h"

#if defined(__x86_64__)

DSA_AVX512_INLINE void store_pair(float *y, __mmask32 lanes, __m512 low, __m512 high) {
    _mm512_mask_storeu_ps(y, (__mmask16)lanes, low);
    _mm512_mask_storeu_ps(y + 16, (__mmask16)(lanes >> 16), high);
}

// x, y: [count] in all of these; exact, or rounded once.

DSA_AVX512 void dsa_avx512_widen_bf16(size_t count, const uint16_t *x, float *y) {
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 lanes = lanes16(count - i);
        __m512i codes = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, x + i));
        _mm512_mask_storeu_ps(y + i, lanes, _mm512_castsi512_ps(_mm512_slli_epi32(codes, 16)));
    }
}

DSA_AVX512 void dsa_avx512_widen_f16(size_t count, const uint16_t *x, float *y) {
    for (size_t i = 0; i < count; i += 32) {
        __mmask32 lanes = lanes32(count - i);
        float_pair values = load_stored(format_f16, x, i, lanes);
        store_pair(y + i, lanes, values.low, values.high);
    }
}

DSA_AVX512 void dsa_avx512_widen_e4m3(size_t count, const uint8_t *x, float *y) {
    __m512 scale = _mm512_set1_ps(256); // load_stored gives 2^-8 times the value
    for (size_t i = 0; i < count; i += 32) {
        __mmask32 lanes = lanes32(count - i);
        float_pair values = load_stored(format_e4m3, x, i, lanes);
        store_pair(y + i, lanes, _mm512_mul_ps(values.low, scale), _mm512_mul_ps(values.high, scale));
    }
}

// Adding just under half of the last place kept, and one more when that place is odd, rounds to even.
DSA_AVX512_INLINE __m512i round_off(__m512i bits, int dropped) {
    __m512i odd = _mm512_and_si512(_mm512_srl_epi32(bits, _mm_cvtsi32_si128(dropped)), _mm512_set1_epi32(1));
    __m512i bias = _mm512_add_epi32(odd, _mm512_set1_epi32((1 << (dropped - 1)) - 1));
    return _mm512_srl_epi32(_mm512_add_epi32(bits, bias), _mm_cvtsi32_si128(dropped));
}

DSA_AVX512 void dsa_avx512_narrow_bf16(size_t count, const float *x, uint16_t *y) {
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 lanes = lanes16(count - i);
        __m512 values = _mm512_maskz_loadu_ps(lanes, x + i);
        __m512i bits = _mm512_castps_si512(values);
        __mmask16 nan = _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
        __m512i quiet = _mm512_or_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
        __m512i codes = _mm512_mask_mov_epi32(round_off(bits, 16), nan, quiet);
        _mm256_mask_storeu_epi16(y + i, lanes, _mm512_cvtepi32_epi16(codes));
    }
}

// Adding 2^14, whose last place is 2^-9, rounds a smaller number to the multiples of 2^-9 that subnormal
// codes stand for, and leaves that multiple in the low bits.
DSA_AVX512 void dsa_avx512_narrow_e4m3(size_t count, const float *x, uint8_t *y) {
    __m512 anchor = _mm512_set1_ps(0x1p14f);
    for (size_t i = 0; i < count; i += 16) {
        __mmask16 lanes = lanes16(count - i);
        __m512 values = _mm512_maskz_loadu_ps(lanes, x + i);
        __m512i sign = _mm512_and_si512(
            _mm512_srli_epi32(_mm512_castps_si512(values), 24), _mm512_set1_epi32(0x80));
        __mmask16 nan = _mm512_cmp_ps_mask(values, values, _CMP_UNORD_Q);
        __m512 magnitude = _mm512_min_ps(_mm512_abs_ps(values), _mm512_set1_ps(448));
        __mmask16 subnormal = _mm512_cmp_ps_mask(magnitude, _mm512_set1_ps(0x1p-6f), _CMP_LT_OQ);
        __m512i normals = _mm512_sub_epi32(
            round_off(_mm512_castps_si512(magnitude), 20), _mm512_set1_epi32((127 - 7) << 3));
        __m512i subnormals = _mm512_sub_epi32(
            _mm512_castps_si512(_mm512_add_ps(magnitude, anchor)), _mm512_castps_si512(anchor));
        __m512i codes = _mm512_mask_mov_epi32(normals, subnormal, subnormals);
        codes = _mm512_mask_mov_epi32(codes, nan, _mm512_set1_epi32(0x7F));
        _mm_mask_storeu_epi8(y + i, lanes, _mm512_cvtepi32_epi8(_mm512_or_si512(codes, sign)));
    }
}

#endif
