// Products of bfloat16: packing in plain copies, and sums in index order.

#pragma STDC FP_CONTRACT OFF

#include "../include/CKernels.h"
#include "scalar.h"

enum { panel = DSA_PANEL_COLUMNS };

static size_t padded(size_t n) {
    return (n + panel - 1) / panel * panel;
}

void dsa_scalar_pack_columns_bf16(size_t n, size_t k, const uint16_t *const *columns, uint16_t *panels) {
    size_t pairs = (k + 1) / 2;
    for (size_t j = 0; j < padded(n); j++) {
        uint16_t *to = panels + j / panel * panel * 2 * pairs + j % panel * 2;
        for (size_t p = 0; p < pairs; p++) {
            to[p * panel * 2] = j < n ? columns[j][2 * p] : 0;
            to[p * panel * 2 + 1] = j < n && 2 * p + 1 < k ? columns[j][2 * p + 1] : 0;
        }
    }
}

void dsa_scalar_pack_rows_bf16(size_t k, size_t n, const uint16_t *const *rows, uint16_t *panels) {
    size_t pairs = (k + 1) / 2;
    for (size_t j = 0; j < padded(n); j++) {
        uint16_t *to = panels + j / panel * panel * 2 * pairs + j % panel * 2;
        for (size_t p = 0; p < pairs; p++) {
            to[p * panel * 2] = j < n ? rows[2 * p][j] : 0;
            to[p * panel * 2 + 1] = j < n && 2 * p + 1 < k ? rows[2 * p + 1][j] : 0;
        }
    }
}

// A product of two bfloat16 numbers has 16 significant bits: it is exact, and each term costs one rounding.
void dsa_scalar_multiply_bf16(
    size_t m, size_t n, size_t pairs, const uint16_t *a, size_t a_stride, const uint16_t *panels,
    size_t panel_stride, const float *factors, float *c, size_t c_stride, bool accumulating) {
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++) {
            const uint16_t *row = a + i * a_stride;
            const uint16_t *column = panels + j / panel * panel_stride + j % panel * 2;
            float base = accumulating ? c[i * c_stride + j] : 0;
            float sum = factors != NULL ? 0 : base;
            for (size_t k = 0; k < 2 * pairs; k++) {
                sum += dsa_scalar_from_bf16(row[k])
                    * dsa_scalar_from_bf16(column[k / 2 * panel * 2 + k % 2]);
            }
            c[i * c_stride + j] = factors != NULL ? base + factors[j] * sum : sum;
        }
    }
}

void dsa_scalar_rescale_e4m3_bf16(size_t count, float scale, const uint8_t *x, uint16_t *y) {
    for (size_t i = 0; i < count; i++) {
        float value = dsa_scalar_from_e4m3(x[i]) * scale;
        dsa_scalar_narrow_bf16(1, &value, y + i);
    }
}

float dsa_scalar_exp_sum_bf16(size_t count, float scale, float shift, const float *x, uint16_t *y) {
    float sum = 0;
    for (size_t i = 0; i < count; i++) {
        float value;
        sum += dsa_scalar_exp_sum(1, scale, shift, x + i, &value);
        dsa_scalar_narrow_bf16(1, &value, y + i);
    }
    return sum;
}

// Into the second-level cache, one line of 64 bytes after the other.
void dsa_scalar_prefetch(size_t count, const void *x) {
    for (size_t i = 0; i < count; i += 64) {
        __builtin_prefetch((const char *)x + i, 0, 2);
    }
}
