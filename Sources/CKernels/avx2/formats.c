// Number formats, 16 elements at a time; a tail is copied to a whole block and takes the same path.

#include "avx2.h"

#if defined(__x86_64__)

// x, y: [count] in all of these; exact, or rounded once.

// The 16 stored numbers at element `at` of x, unscaled and in order.
DSA_AVX2_INLINE float_pair widen_block(stored_format format, const void *x, size_t at) {
    float_pair values = load_stored(format, x, at);
    if (format == format_bf16) { // even and odd elements
        __m256 first = _mm256_unpacklo_ps(values.low, values.high);
        __m256 second = _mm256_unpackhi_ps(values.low, values.high);
        return (float_pair){
            _mm256_permute2f128_ps(first, second, 0x20),
            _mm256_permute2f128_ps(first, second, 0x31),
        };
    }
    if (format == format_e4m3) { // 2^-8 times the value
        __m256 scale = _mm256_set1_ps(256);
        return (float_pair){_mm256_mul_ps(values.low, scale), _mm256_mul_ps(values.high, scale)};
    }
    return values;
}

DSA_AVX2_INLINE void widen(stored_format format, size_t count, const void *x, float *y) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        float_pair values = widen_block(format, x, i);
        _mm256_storeu_ps(y + i, values.low);
        _mm256_storeu_ps(y + i + 8, values.high);
    }
    if (i < count) {
        size_t left = count - i;
        float room[16];
        stage(format, x, i, left, room);
        float_pair values = widen_block(format, room, 0);
        _mm256_maskstore_ps(y + i, lanes8(left), values.low);
        if (left > 8) {
            _mm256_maskstore_ps(y + i + 8, lanes8(left - 8), values.high);
        }
    }
}

DSA_AVX2 void dsa_avx2_widen_bf16(size_t count, const uint16_t *x, float *y) {
    widen(format_bf16, count, x, y);
}

DSA_AVX2 void dsa_avx2_widen_f16(size_t count, const uint16_t *x, float *y) {
    widen(format_f16, count, x, y);
}

DSA_AVX2 void dsa_avx2_widen_e4m3(size_t count, const uint8_t *x, float *y) {
    widen(format_e4m3, count, x, y);
}

// Adding just under half of the last place kept, and one more when that place is odd, rounds to even.
DSA_AVX2_INLINE __m256i round_off(__m256i bits, int dropped) {
    __m256i odd = _mm256_and_si256(_mm256_srl_epi32(bits, _mm_cvtsi32_si128(dropped)), _mm256_set1_epi32(1));
    __m256i bias = _mm256_add_epi32(odd, _mm256_set1_epi32((1 << (dropped - 1)) - 1));
    return _mm256_srl_epi32(_mm256_add_epi32(bits, bias), _mm_cvtsi32_si128(dropped));
}

// Two vectors of codes below 2^16 as one of 16 bits each, in order.
DSA_AVX2_INLINE __m256i pack_codes(__m256i low, __m256i high) {
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), _MM_SHUFFLE(3, 1, 2, 0));
}

DSA_AVX2_INLINE __m256i bf16_codes(__m256 values) {
    __m256i bits = _mm256_castps_si256(values);
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(values, values, _CMP_UNORD_Q));
    __m256i quiet = _mm256_or_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(0x40));
    return _mm256_blendv_epi8(round_off(bits, 16), quiet, nan);
}

DSA_AVX2_INLINE void narrow_bf16_block(const float *x, uint16_t *y) {
    __m256i codes = pack_codes(bf16_codes(_mm256_loadu_ps(x)), bf16_codes(_mm256_loadu_ps(x + 8)));
    _mm256_storeu_si256((__m256i *)(void *)y, codes);
}

DSA_AVX2 void dsa_avx2_narrow_bf16(size_t count, const float *x, uint16_t *y) {
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
DSA_AVX2_INLINE __m256i e4m3_codes(__m256 values) {
    __m256 anchor = _mm256_set1_ps(0x1p14f);
    __m256i sign = _mm256_srli_epi32(_mm256_castps_si256(values), 24);
    sign = _mm256_and_si256(sign, _mm256_set1_epi32(0x80));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(values, values, _CMP_UNORD_Q));
    __m256 magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), values);
    magnitude = _mm256_min_ps(magnitude, _mm256_set1_ps(448));
    __m256 subnormal = _mm256_cmp_ps(magnitude, _mm256_set1_ps(0x1p-6f), _CMP_LT_OQ);
    __m256i normals = _mm256_sub_epi32(
        round_off(_mm256_castps_si256(magnitude), 20), _mm256_set1_epi32((127 - 7) << 3));
    __m256i subnormals = _mm256_sub_epi32(
        _mm256_castps_si256(_mm256_add_ps(magnitude, anchor)), _mm256_castps_si256(anchor));
    __m256i codes = _mm256_blendv_epi8(normals, subnormals, _mm256_castps_si256(subnormal));
    codes = _mm256_blendv_epi8(codes, _mm256_set1_epi32(0x7F), nan);
    return _mm256_or_si256(codes, sign);
}

DSA_AVX2_INLINE void narrow_e4m3_block(const float *x, uint8_t *y) {
    __m256i codes = pack_codes(e4m3_codes(_mm256_loadu_ps(x)), e4m3_codes(_mm256_loadu_ps(x + 8)));
    __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
    _mm_storeu_si128((__m128i *)(void *)y, bytes);
}

DSA_AVX2 void dsa_avx2_narrow_e4m3(size_t count, const float *x, uint8_t *y) {
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
