// Compares every kernel table of this architecture with the scalar one, slot by slot, on random numbers
// and on edges: what Tests/CKernelsTests does in Swift, for processors that only an emulator stands in for
// (.ci/neon). Prints each slot's largest error in units of its bound; exit status 1 when one is above 1.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "CKernels.h"

enum { most = 1027 };

static const size_t counts[] = {0,  1,  2,  3,  4,  5,  7,   8,   9,   15,  16,
                                17, 31, 33, 63, 64, 65, 127, 129, 257, most};
enum { count_of_counts = sizeof counts / sizeof *counts };

// MARK: Numbers

static uint64_t state = 1;

// SplitMix64 (Steele, Lea, Flood 2014).
static uint64_t bits(void) {
    uint64_t z = state += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

static float uniform(float magnitude) {
    return ((float)(bits() >> 40) * 0x1p-23f - 1) * magnitude;
}

static void fill(size_t count, float magnitude, float *x) {
    for (size_t i = 0; i < count; i++) {
        x[i] = uniform(magnitude);
    }
}

static float from_bits(uint32_t pattern) {
    float x;
    memcpy(&x, &pattern, sizeof x);
    return x;
}

static uint32_t bits_of(float x) {
    uint32_t pattern;
    memcpy(&pattern, &x, sizeof pattern);
    return pattern;
}

// MARK: Report

static int failures;
static double worst;

// Counts |found - expected| in units of the bound; NaN must face NaN and infinity itself.
static void compare(double found, double expected, double bound) {
    if (isnan(expected) || isinf(expected)) {
        bool right = isnan(expected) ? isnan(found) : found == expected;
        worst = right ? worst : INFINITY;
    } else {
        double error = fabs(found - expected) / bound;
        worst = error <= worst ? worst : isnan(error) ? INFINITY : error;
    }
}

static void same(float found, float expected) {
    worst = bits_of(found) == bits_of(expected) || (isnan(found) && isnan(expected)) ? worst : INFINITY;
}

static void report(const dsa_kernels *table, const char *slot, bool own) {
    bool failed = !(worst <= 1);
    failures += failed;
    const char *remark = failed ? "failed" : own ? "" : "the scalar function";
    printf("  %-10s %-18s %14.3f  %s\n", table->name, slot, worst, remark);
    worst = 0;
}

#define REPORT(slot) report(table, #slot, table->slot != scalar->slot)

// MARK: Number formats

static void check_formats(const dsa_kernels *table, const dsa_kernels *scalar) {
    static uint16_t halves[65536 + 3], found16[65536 + 3], expected16[65536 + 3];
    static uint8_t codes[256 + 3], found8[65536 + 3], expected8[65536 + 3];
    static float found[65536 + 3], expected[65536 + 3], x[65536 + 3];
    enum { all = 65536 + 3 }; // a tail, and every pattern
    for (size_t i = 0; i < all; i++) {
        halves[i] = (uint16_t)i;
    }
    for (size_t i = 0; i < 256 + 3; i++) {
        codes[i] = (uint8_t)i;
    }
    table->widen_bf16(all, halves, found), scalar->widen_bf16(all, halves, expected);
    for (size_t i = 0; i < all; i++) {
        same(found[i], expected[i]);
    }
    REPORT(widen_bf16);
    table->widen_f16(all, halves, found), scalar->widen_f16(all, halves, expected);
    for (size_t i = 0; i < all; i++) {
        same(found[i], expected[i]);
    }
    REPORT(widen_f16);
    table->widen_e4m3(256 + 3, codes, found), scalar->widen_e4m3(256 + 3, codes, expected);
    for (size_t i = 0; i < 256 + 3; i++) {
        same(found[i], expected[i]);
    }
    REPORT(widen_e4m3);
    // The upper halves of all floats, with the ties and their neighbours below.
    for (uint32_t low = 0x7FFF; low <= 0x8001; low++) {
        for (size_t i = 0; i < all; i++) {
            x[i] = from_bits((uint32_t)i << 16 | low);
        }
        table->narrow_bf16(all, x, found16), scalar->narrow_bf16(all, x, expected16);
        for (size_t i = 0; i < all; i++) {
            worst = found16[i] == expected16[i] || isnan(x[i]) ? worst : INFINITY;
        }
    }
    REPORT(narrow_bf16);
    for (int round = 0; round < 64; round++) {
        for (size_t i = 0; i < all; i++) {
            x[i] = round == 0 ? from_bits((uint32_t)i << 16) : uniform(ldexpf(1, round % 24 - 12));
        }
        for (size_t i = 0; round == 1 && i < 127 * 16; i++) { // ties between neighbours
            float low[2];
            uint8_t pair[2] = {(uint8_t)(i % 126), (uint8_t)(i % 126 + 1)};
            scalar->widen_e4m3(2, pair, low);
            x[i] = (low[0] + low[1]) / 2 * (i % 2 ? 1 : -1);
        }
        table->narrow_e4m3(all, x, found8), scalar->narrow_e4m3(all, x, expected8);
        for (size_t i = 0; i < all; i++) {
            worst = found8[i] == expected8[i] ? worst : INFINITY;
        }
    }
    REPORT(narrow_e4m3);
}

// MARK: Dot products

static void check_dot(const dsa_kernels *table, const dsa_kernels *scalar) {
    float x[most + 1], y[most + 3];
    for (size_t c = 0; c < count_of_counts; c++) {
        size_t count = counts[c];
        fill(most + 1, 2, x), fill(most + 3, 2, y);
        double sum = 0, magnitude = 0;
        for (size_t i = 0; i < count; i++) {
            double product = (double)x[i + 1] * y[i + 3];
            sum += product, magnitude += fabs(product);
        }
        compare(table->dot_f32(count, x + 1, y + 3), sum, magnitude * (double)count * 0x1p-24 + 1e-37);
    }
    REPORT(dot_f32);
}

static const float scales[] = {0.5f, 3, 0.01f}; // of the blocks of 128 columns

typedef enum { stored_f32, stored_bf16, stored_f16, stored_e4m3 } stored;

static void multiply_vector(
    const dsa_kernels *table, stored format, size_t rows, size_t columns, size_t stride, const void *w,
    const float *x, float *y) {
    switch (format) {
    case stored_f32: table->gemv_f32(rows, columns, stride, w, x, y); break;
    case stored_bf16: table->gemv_bf16(rows, columns, stride, w, x, y); break;
    case stored_f16: table->gemv_f16(rows, columns, stride, w, x, y); break;
    case stored_e4m3: table->gemv_e4m3(rows, columns, stride, w, scales, x, y); break;
    }
}

static void check_matrix_vector(const dsa_kernels *table, const dsa_kernels *scalar, stored format) {
    static const size_t sizes[] = {4, 2, 2, 1};
    enum { most_rows = 11, widest = 261 };
    static char w[most_rows * widest * 4];
    static float wide[most_rows * widest];
    float x[widest], y[most_rows], alone;
    for (size_t c = 0; c < count_of_counts && counts[c] + 3 <= widest; c++) {
        size_t columns = counts[c], stride = columns + 3, numbers = most_rows * stride;
        for (size_t i = 0; i < numbers; i++) { // finite, and moderate
            uint16_t half = (uint16_t)(bits() & 0xBBFF);
            uint8_t code = (uint8_t)(bits() & 0xBF);
            float value = uniform(2);
            const void *number = &half;
            if (format == stored_f32) {
                number = &value;
            } else if (format == stored_e4m3) {
                number = &code;
            }
            memcpy(w + i * sizes[format], number, sizes[format]);
        }
        switch (format) {
        case stored_f32: memcpy(wide, w, numbers * sizeof *wide); break;
        case stored_bf16: scalar->widen_bf16(numbers, (const void *)w, wide); break;
        case stored_f16: scalar->widen_f16(numbers, (const void *)w, wide); break;
        case stored_e4m3: scalar->widen_e4m3(numbers, (const void *)w, wide); break;
        }
        for (size_t i = 0; format == stored_e4m3 && i < numbers; i++) {
            wide[i] *= scales[i % stride / dsa_block_columns];
        }
        fill(widest, 1, x);
        for (size_t rows = 0; rows <= most_rows; rows++) {
            multiply_vector(table, format, rows, columns, stride, w, x, y);
            for (size_t r = 0; r < rows; r++) {
                double sum = 0, magnitude = 0;
                for (size_t i = 0; i < columns; i++) {
                    double product = (double)wide[r * stride + i] * x[i];
                    sum += product, magnitude += fabs(product);
                }
                compare(y[r], sum, magnitude * (double)columns * 0x1p-24 + 1e-37);
                multiply_vector(table, format, 1, columns, stride, w + r * stride * sizes[format], x, &alone);
                same(y[r], alone); // a row's value does not depend on the rows beside it
            }
        }
    }
}

// Several vectors give what each gives alone.
static void check_matrix_vectors(const dsa_kernels *table, const dsa_kernels *scalar) {
    enum { rows = 11, widest = 96, most_vectors = 5, stride = widest + 3 };
    static uint16_t w[rows * stride];
    static float x[most_vectors][widest], arranged[most_vectors][widest], y[most_vectors][rows];
    for (size_t i = 0; i < rows * stride; i++) {
        w[i] = (uint16_t)(bits() & 0xBBFF);
    }
    for (size_t columns = 0; columns <= widest; columns += 32) {
        for (size_t vectors = 0; vectors <= most_vectors; vectors++) {
            const float *from[most_vectors];
            float *to[most_vectors], alone[rows];
            for (size_t v = 0; v < vectors; v++) {
                fill(columns, 1, x[v]);
                table->arrange_bf16(columns, x[v], arranged[v]);
                from[v] = arranged[v], to[v] = y[v];
            }
            table->gemv_many_bf16(rows, columns, stride, w, vectors, from, to);
            for (size_t v = 0; v < vectors; v++) {
                table->gemv_bf16(rows, columns, stride, w, x[v], alone);
                for (size_t r = 0; r < rows; r++) {
                    same(y[v][r], alone[r]);
                }
            }
        }
    }
    REPORT(gemv_many_bf16);
}

// MARK: Vectors and softmax

static void check_vectors(const dsa_kernels *table, const dsa_kernels *scalar) {
    float x[most], y[most], found[most], expected[most];
    for (size_t c = 0; c < count_of_counts; c++) {
        size_t count = counts[c];
        float a = uniform(3);
        fill(most, 2, x), fill(most, 2, y);
        memcpy(found, y, sizeof y);
        table->axpy_f32(count, a, x, found);
        for (size_t i = 0; i < most; i++) {
            double bound = (fabs((double)a * x[i]) + fabs(y[i])) * 0x1p-23;
            compare(found[i], i < count ? (double)a * x[i] + y[i] : y[i], i < count ? bound : 0x1p-149);
        }
    }
    REPORT(axpy_f32);
    for (size_t c = 0; c < count_of_counts; c++) {
        uint16_t halves[most];
        float a = uniform(3);
        fill(most, 2, x), fill(most, 2, y);
        scalar->narrow_bf16(most, x, halves), scalar->widen_bf16(most, halves, x);
        memcpy(found, y, sizeof y);
        table->axpy_bf16(counts[c], a, halves, found);
        for (size_t i = 0; i < most; i++) {
            double bound = (fabs((double)a * x[i]) + fabs(y[i])) * 0x1p-23;
            compare(found[i], i < counts[c] ? (double)a * x[i] + y[i] : y[i], i < counts[c] ? bound : 0x1p-149);
        }
    }
    REPORT(axpy_bf16);
    for (size_t c = 0; c < count_of_counts; c++) {
        float a = uniform(3);
        fill(most, 2, x);
        memcpy(found, x, sizeof x), memcpy(expected, x, sizeof x);
        table->scale_f32(counts[c], a, found), scalar->scale_f32(counts[c], a, expected);
        for (size_t i = 0; i < most; i++) {
            same(found[i], expected[i]);
        }
    }
    REPORT(scale_f32);
    for (size_t c = 0; c < count_of_counts; c++) {
        uint64_t kept[(most + 63) / 64];
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
            kept[i] = bits();
        }
        fill(most, 2, x);
        memcpy(found, x, sizeof x), memcpy(expected, x, sizeof x);
        table->hide_f32(counts[c], kept, found), scalar->hide_f32(counts[c], kept, expected);
        for (size_t i = 0; i < most; i++) {
            same(found[i], expected[i]);
        }
    }
    REPORT(hide_f32);
    for (size_t c = 0; c < count_of_counts; c++) {
        for (int wide = 0; wide < 5; wide++) {
            static const float magnitudes[] = {1, 10, 90, 180, 1e30f};
            fill(most, magnitudes[wide], x), fill(most, 2, y);
            table->silu_multiply(counts[c], x, y, found);
            for (size_t i = 0; i < counts[c]; i++) {
                double exact = (double)x[i] / (1 + exp(-(double)x[i])) * y[i];
                compare(found[i], exact, fabs(exact) * 6 * 0x1p-24 + 1e-37);
            }
        }
    }
    REPORT(silu_multiply);
}

static void check_softmax(const dsa_kernels *table, const dsa_kernels *scalar) {
    float x[most], y[most];
    for (size_t c = 0; c < count_of_counts; c++) {
        for (int special = 0; special < 3; special++) {
            size_t count = counts[c];
            fill(most, 50, x);
            if (count > 0 && special > 0) {
                x[bits() % count] = special == 1 ? NAN : INFINITY;
            }
            same(table->max_f32(count, x), scalar->max_f32(count, x));
        }
    }
    REPORT(max_f32);
    for (size_t c = 0; c < count_of_counts; c++) {
        for (int special = 0; special < 3; special++) {
            size_t count = counts[c];
            float scale = uniform(2), shift = uniform(40);
            fill(most, special == 2 ? 200 : 40, x);
            if (count > 0 && special > 0) {
                x[bits() % count] = special == 1 ? NAN : -INFINITY;
            }
            float sum = table->exp_sum(count, scale, shift, x, y);
            double overflow = (double)from_bits(0x7F7FFFFF);
            double total = 0;
            for (size_t i = 0; i < count; i++) {
                float argument = fmaf(scale, x[i], -shift);
                double exact = x[i] == -INFINITY || argument <= -104 ? 0 : exp((double)argument);
                // 2 ULP; what is below 2^-126 may be 0.
                double ulp = ldexp(1, ilogb(fmax(exact, 0x1p-126)) - 23);
                compare(y[i], exact > overflow ? INFINITY : exact, exact < 0x1p-126 ? 0x1p-126 : 2 * ulp);
                total += y[i];
            }
            double bound = total * (double)count * 0x1p-24 + 1e-37;
            compare(sum, total > overflow ? INFINITY : total, bound);
        }
    }
    REPORT(exp_sum);
}

// Slots that only Tests/CKernelsTests compares. NEON has none of them; the day it has, this fails.
static void check_rest(const dsa_kernels *table, const dsa_kernels *scalar) {
    bool all = table->pack_columns_bf16 == scalar->pack_columns_bf16 &&
        table->pack_rows_bf16 == scalar->pack_rows_bf16 && table->multiply_bf16 == scalar->multiply_bf16 &&
        table->rescale_e4m3_bf16 == scalar->rescale_e4m3_bf16 &&
        table->exp_sum_bf16 == scalar->exp_sum_bf16 &&
        table->gather_multiply_f32 == scalar->gather_multiply_f32 &&
        table->gather_add_f32 == scalar->gather_add_f32 && table->exp_sum_lanes == scalar->exp_sum_lanes &&
        table->scatter_add_f32 == scalar->scatter_add_f32 &&
        table->key_tile_f32 == scalar->key_tile_f32 && table->key_tile_bf16 == scalar->key_tile_bf16 &&
        table->index_scores_f32 == scalar->index_scores_f32 &&
        table->index_scores_bf16 == scalar->index_scores_bf16 && table->ranks_above == scalar->ranks_above &&
        table->keep_highest == scalar->keep_highest;
    worst = all || strcmp(table->name, "neon") != 0 ? 0 : INFINITY;
    report(table, "the rest", !all);
}

int main(void) {
    size_t count;
    const dsa_kernels *const *tables = dsa_all_kernels(&count);
    const dsa_kernels *scalar = tables[count - 1];
    printf("  %-10s %-18s %14s\n", "table", "slot", "error / bound");
    for (size_t t = 0; t + 1 < count; t++) {
        const dsa_kernels *table = tables[t];
        if (!table->is_supported()) {
            printf("  %-10s not supported by this processor\n", table->name);
            continue;
        }
        check_formats(table, scalar);
        check_dot(table, scalar);
        check_matrix_vector(table, scalar, stored_f32), REPORT(gemv_f32);
        check_matrix_vector(table, scalar, stored_bf16), REPORT(gemv_bf16);
        check_matrix_vector(table, scalar, stored_f16), REPORT(gemv_f16);
        check_matrix_vector(table, scalar, stored_e4m3), REPORT(gemv_e4m3);
        check_matrix_vectors(table, scalar);
        check_vectors(table, scalar);
        check_softmax(table, scalar);
        check_rest(table, scalar);
    }
    printf("%d failures\n", failures);
    return failures > 0;
}
