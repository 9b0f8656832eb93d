// What the files of the table for AVX-512 with BF16 share: the instructions they may use.

#ifndef DSA_AVX512BF16_H
#define DSA_AVX512BF16_H

#include "../avx512/avx512.h"

#if defined(__x86_64__)

#define DSA_AVX512BF16 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512bf16")))
#define DSA_AVX512BF16_INLINE static inline __attribute__((always_inline)) DSA_AVX512BF16

#endif

#endif
