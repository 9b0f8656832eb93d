// The tables that dispatch.c lists. A table exists only on the architecture it is written for.

#ifndef DSA_TABLES_H
#define DSA_TABLES_H

#include "CKernels.h"

extern const dsa_kernels dsa_scalar_kernels;

#if defined(__x86_64__)
extern const dsa_kernels dsa_avx2_kernels;
extern const dsa_kernels dsa_avx512_kernels;
extern const dsa_kernels dsa_avx512bf16_kernels;
#elif defined(__aarch64__)
extern const dsa_kernels dsa_neon_kernels;
#endif

#endif
