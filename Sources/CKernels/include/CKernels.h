// The kernels that Swift cannot express: SIMD loops chosen at run time.
//
// One table per instruction set, all with the same slots. `scalar` is the specification: plain loops
// in index order, no contraction. Every other table computes the same values within the bound its
// slot states, treats tails, a count of zero, unaligned input, NaN and infinities alike, and points
// to the scalar function where it has nothing faster. No allocation, no I/O, no globals, no threads.

#ifndef DSA_CKERNELS_H
#define DSA_CKERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The columns of a panel: how the right factor of a product of bfloat16 is packed.
#define DSA_PANEL_COLUMNS 48

// How numbers are stored.
typedef enum dsa_format { dsa_format_f32, dsa_format_bf16, dsa_format_e4m3 } dsa_format;

// The columns of a weight of E4M3 codes that share a scale.
enum { dsa_block_columns = 128 };

// The columns that gathered rows are multiplied by at once.
enum { dsa_lanes = 16 };

// The keys of a tile of the lightning indexer; pages hold as many.
enum { dsa_tile_keys = 64 };

// The rows of a tile: dim, and what the last 16 bytes of a key may hold beyond it.
static inline size_t dsa_tile_rows(size_t dim) {
    return (dim + 15) / 16 * 16;
}

typedef struct dsa_kernels {
    const char *name;           // "scalar", "avx2", "avx512", "avx512bf16", "neon"
    bool (*is_supported)(void); // does this processor run every slot of the table?

    // MARK: Ceiling

    // Runs `rounds` rounds of the fastest dot product of bfloat16 on registers alone (of float32 where the
    // table has none). Returns the floating-point operations done; `sink` [16] keeps the sums.
    double (*dot_peak)(size_t rounds, float *sink);

    // MARK: Number formats (bit for bit equal to scalar, save the payload of a NaN)

    // y[i] = the exact value of the bfloat16 x[i].
    void (*widen_bf16)(size_t count, const uint16_t *x, float *y); // x, y: [count]
    // y[i] = the exact value of the IEEE binary16 x[i], subnormals included.
    void (*widen_f16)(size_t count, const uint16_t *x, float *y);
    // y[i] = the exact value of the E4M3 "fn" code x[i]; codes 0x7F and 0xFF give NaN.
    void (*widen_e4m3)(size_t count, const uint8_t *x, float *y);
    // y[i] = x[i] rounded to bfloat16, nearest, ties to even; overflow gives infinity; NaN stays NaN (quiet).
    void (*narrow_bf16)(size_t count, const float *x, uint16_t *y);
    // y[i] = x[i] clamped to +-448, rounded to E4M3, nearest, ties to even, subnormals kept, -0 keeps its
    // sign; NaN gives 0x7F with the sign of x.
    void (*narrow_e4m3)(size_t count, const float *x, uint8_t *y);

    // MARK: Dot products (error at most that of `count` float32 roundings in any order; scalar sums in double)

    // The sum of x[i] * y[i].
    float (*dot_f32)(size_t count, const float *x, const float *y);
    // y[r] = sum over c of w[r * stride + c] * x[c], for r in 0 ..< rows; stride in elements, >= columns.
    // The value of one row depends only on that row and x, never on `rows`.
    void (*gemv_f32)(size_t rows, size_t columns, size_t stride, const float *w, const float *x, float *y);
    void (*gemv_bf16)(
        size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y);
    // gemv_bf16 for each of several x, bit for bit: y[v][r] is the sum for x[v]. Columns are a multiple of 32; each x comes
    // as arrange_bf16 leaves it.
    void (*gemv_many_bf16)(
        size_t rows, size_t columns, size_t stride, const uint16_t *w, size_t vectors, const float *const *x,
        float *const *y);
    // y = x in the order in which gemv_many_bf16 reads it, each 32 elements by themselves; count is a multiple of 32.
    void (*arrange_bf16)(size_t count, const float *x, float *y);
    void (*gemv_f16)(size_t rows, size_t columns, size_t stride, const uint16_t *w, const float *x, float *y);
    // As above with E4M3 codes: the sum of each block of 128 columns, the last one partial, times its scale.
    void (*gemv_e4m3)(
        size_t rows, size_t columns, size_t stride, const uint8_t *w,
        const float *scales, // [ceil(columns / 128)], those of all rows
        const float *x, float *y);

    // MARK: Vectors

    // y[i] += a * x[i] (may use a fused multiply-add).
    void (*axpy_f32)(size_t count, float a, const float *x, float *y);
    // y[i] += a * the exact value of the bfloat16 x[i] (may use a fused multiply-add).
    void (*axpy_bf16)(size_t count, float a, const uint16_t *x, float *y);
    // x[i] *= a, in place; bit for bit.
    void (*scale_f32)(size_t count, float a, float *x);
    // x[i] = -infinity where bit i of kept [ceil(count / 64)], lowest first, is 0; in place.
    void (*hide_f32)(size_t count, const uint64_t *kept, float *x);
    // y[i] = silu(gate[i]) * up[i], silu(g) = g / (1 + exp(-g)); relative error at most 6 * 2^-24 for float
    // inputs, plus 1e-37 absolute. y may be gate or up.
    void (*silu_multiply)(size_t count, const float *gate, const float *up, float *y);

    // MARK: Softmax

    // The largest x[i]; -infinity when count is 0. A NaN anywhere gives NaN.
    float (*max_f32)(size_t count, const float *x);
    // y[i] = exp(scale * x[i] - shift), and the sum of y in float32. Arguments at or below -104 and
    // x[i] = -infinity give exactly 0; otherwise within 2 ULP of exp of the float argument (computed with one
    // fused multiply-add), down to results of 2^-126; smaller results may be flushed to 0.
    // NaN gives NaN. y may be x.
    float (*exp_sum)(size_t count, float scale, float shift, const float *x, float *y);

    // MARK: Products of bfloat16 (products exact, sums in float32)
    //
    // The right factor B [k, n] comes packed: panels of 48 columns, one after the other, each
    // [pairs = ceil(k / 2)][48][2], rows 2p and 2p + 1 of a column side by side. What lies beyond k or n is 0.

    // Packs B from its columns: columns[j] holds column j, [k]. (B is the transpose of a matrix of rows.)
    void (*pack_columns_bf16)(size_t n, size_t k, const uint16_t *const *columns, uint16_t *panels);
    // Packs B from its rows: rows[i] holds row i, [n].
    void (*pack_rows_bf16)(size_t k, size_t n, const uint16_t *const *rows, uint16_t *panels);
    // c[i, j] = base + factor[j] * sum over k of a[i, k] * b[k, j]: base is c[i, j] when `accumulating`, else 0.
    //
    // Without factors (NULL) the sum goes on from `base`, pair after pair: results do not depend on how k is
    // split into calls, at even k. The value of one element depends on its row of a and its column
    // of b alone, never on m or n. Error at most that of k + 2 float32 roundings of the terms' magnitudes.
    // Subnormal numbers, among inputs, products and sums, may count as 0. NaN and infinities spread as in a sum.
    void (*multiply_bf16)(
        size_t m, size_t n, size_t pairs,
        const uint16_t *a, size_t a_stride,         // [m, 2 * pairs], rows a_stride elements apart
        const uint16_t *panels, size_t panel_stride, // elements from a panel to the next, >= 96 * pairs
        const float *factors,                        // [n], or NULL
        float *c, size_t c_stride,                   // [m, n]
        bool accumulating
    );
    // y[i] = the E4M3 code x[i] times scale, rounded to bfloat16 as narrow_bf16 does (NaN: any).
    void (*rescale_e4m3_bf16)(size_t count, float scale, const uint8_t *x, uint16_t *y);
    // exp_sum, with y rounded to bfloat16 after it has been added to the sum.
    float (*exp_sum_bf16)(size_t count, float scale, float shift, const float *x, uint16_t *y);

    // Asks for count bytes at x to be brought near; changes nothing.
    void (*prefetch)(size_t count, const void *x);

    // MARK: Gathered rows (a training token and the rows it selected; error that of float32 sums in any order)
    //
    // Row p begins at rows + p * stride. Each of the three needs 32 * count * columns operations.

    // Whether these are faster than products of matrices for a few heads.
    bool gathers_f32;

    // In all of them j is below `lanes`, 1 ... 16. What other lanes hold does not count; in results it may be anything.

    // y[i, j] = sum over c of rows[positions[i], c] * m[c, j].
    void (*gather_multiply_f32)(
        size_t count, const int32_t *positions, size_t columns, const float *rows, size_t stride, size_t lanes,
        const float *m, // [columns, 16]
        float *y);      // [count, 16]
    // y[j, c] += sum over i of w[i, j] * rows[positions[i], c].
    void (*gather_add_f32)(
        size_t count, const int32_t *positions, size_t columns, const float *rows, size_t stride, size_t lanes,
        const float *w, // [count, 16]
        float *y);      // [16, columns]
    // Down each lane: maxima[j] = scale * the largest x[i, j], as max_f32 finds it; x[i, j] becomes
    // exp(scale * x[i, j] - maxima[j]), and sums[j] their sum, as in exp_sum. In place; scale is positive.
    void (*exp_sum_lanes)(
        size_t count, size_t lanes, float scale,
        float *x,                    // [count, 16]
        float *maxima, float *sums); // [16]
    // rows[positions[i], c] += sum over j of w[i, j] * m[j, c]; no position comes twice.
    void (*scatter_add_f32)(
        size_t count, const int32_t *positions, size_t columns, size_t lanes,
        const float *w, // [count, 16]
        const float *m, // [16, columns]
        float *rows, size_t stride);

    // MARK: Lightning indexer
    //
    // scores[t] = scales[t] * sum over h, ascending, of weights[h] * max(q[h] . k[t], 0), in two steps: a tile
    // of up to 64 keys is widened and transposed once, then scored for as many query tokens as there are. A
    // decoding token needs 2 * heads * dim operations and reads dim bytes (E4M3) of each key, 128 operations a
    // byte in V3.2's size: arithmetic is the limit. A tile of dim 128 takes 32 KiB in float32, 16 in bfloat16.

    // Whether index_scores_bf16 is faster than index_scores_f32 on the same values.
    bool multiplies_bf16;

    // tile[c][t] = the exact value of number c of key t, for c in 0 ..< dim and t in 0 ..< keys; 0 for t in
    // keys ..< 64. Rows c in dim ..< dsa_tile_rows(dim) are unspecified.
    void (*key_tile_f32)(
        dsa_format format,
        size_t keys,      // at most 64
        size_t dim,       // numbers in a key
        const void *rows, // [keys, dim] in `format`, without gaps; no alignment needed
        float *tile       // [dsa_tile_rows(dim), 64]
    );
    // As above, in pairs: tile[c / 2][t][c % 2]; when dim is odd, the last pair ends in 0. E4M3 and bfloat16
    // only; both are exact.
    void (*key_tile_bf16)(
        dsa_format format, size_t keys, size_t dim, const void *rows,
        uint16_t *tile // [dsa_tile_rows(dim) / 2, 64, 2]
    );
    // Scores a tile for one query token. Logits and their weighted sum in float32, error at most that of dim
    // and heads roundings; may use fused multiply-adds. A NaN logit gives a NaN score. The value of one
    // key depends on that key alone, not on its place or its neighbours.
    void (*index_scores_f32)(
        size_t heads, size_t dim,
        const float *queries, // [heads, dim]
        const float *weights, // [heads]
        const float *scales,  // [64]
        const float *tile,    // as key_tile_f32 writes it
        const void *upcoming, // a hint: memory that will be read soon, `upcoming_bytes` of it; may be NULL
        size_t upcoming_bytes,
        float *scores // [64]
    );
    // The same for queries in bfloat16, [heads, dsa_tile_rows(dim)], 0 from dim on. Products are exact;
    // subnormal inputs and sums may count as 0.
    void (*index_scores_bf16)(
        size_t heads, size_t dim, const uint16_t *queries, const float *weights, const float *scales,
        const uint16_t *tile, const void *upcoming, size_t upcoming_bytes, float *scores);

    // MARK: Selection
    //
    // A score's rank is an unsigned number that orders as scores do: 0 for NaN, equal for -0 and 0. One pass
    // over the scores of a row, 4 bytes each; the survivors are few.

    // Appends the rank and the position, first + i, of every score of rank above `floor`, i ascending.
    // Returns how many. Both outputs need room for count + 16; what lies beyond the returned number is
    // unspecified.
    size_t (*ranks_above)(
        size_t count, const float *scores, int32_t first, uint32_t floor, uint32_t *ranks, int32_t *positions);
    // Keeps the `wanted` highest of count ranks and their positions, the earlier of equals, in their order;
    // 1 <= wanted <= count. Both arrays have room for count + 16; from `wanted` on they are unspecified.
    // Returns the lowest rank kept. Bisection: at most 33 passes, of 4 bytes a rank.
    uint32_t (*keep_highest)(size_t count, size_t wanted, uint32_t *ranks, int32_t *positions);
} dsa_kernels;

// Tells the processor that this thread waits in a loop.
static inline void dsa_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Every table compiled for this architecture, best first; `scalar` is always the last.
const dsa_kernels *const *dsa_all_kernels(size_t *count);

#ifdef __cplusplus
}
#endif

#endif
