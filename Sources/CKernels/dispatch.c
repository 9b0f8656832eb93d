// The list of tables, best first.

#include "CKernels.h"
#include "tables.h"

static const dsa_kernels *const tables[] = {
#if defined(__x86_64__)
    &dsa_avx512bf16_kernels,
    &dsa_avx512_kernels,
    &dsa_avx2_kernels,
#elif defined(__aarch64__)
    &dsa_neon_kernels,
#endif
    &dsa_scalar_kernels,
};

const dsa_kernels *const *dsa_all_kernels(size_t *count) {
    *count = sizeof tables / sizeof tables[0];
    return tables;
}
