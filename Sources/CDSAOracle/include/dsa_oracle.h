// DeepSeek Sparse Attention on the CPU for authors of kernels: plain C functions in the calling conventions of
// DeepGEMM and FlashMLA, to compare a kernel with.
//
// Conventions of every function:
//
// * Arrays are dense and row-major, without gaps; shapes are written outermost first, in the names of the sizes
//   that are passed. A pointer is aligned for its element type (bytes need no alignment) and outputs overlap
//   nothing else. A pointer to an array of no elements may be NULL; a pointer marked "or NULL" may be NULL always.
// * Sizes are int64_t, positions and indices int32_t and zero-based, ranges end before their end.
// * The return value is DSA_OK or the reason why nothing was computed; then no output has been written, and
//   dsa_last_error_message says which argument was wrong and what was expected. No argument makes a function
//   trap, abort or read beyond the stated sizes.
// * Arithmetic is float32 unless stated, with the numbers of the inputs widened exactly. Outputs are not rounded to
//   bfloat16: compare a kernel's with a tolerance. NaN and infinities in the inputs of logits and attention come out
//   where arithmetic takes them; quantization refuses them (DSA_ERROR_NON_FINITE).
// * Functions may be called from several threads at once. They use all processors; results do not depend on how
//   many there are. Loading the library sets the OpenBLAS it is linked with to one thread at the first call.
// * Results are those of the Swift module SparseAttention, bit for bit.

#ifndef DSA_ORACLE_H
#define DSA_ORACLE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// MARK: Version and errors

// Grows when a declaration in this header changes in a way that a compiled caller would notice.
#define DSA_ABI_VERSION 1

// DSA_ABI_VERSION of the library that was loaded: compare it with the header's before anything else.
int32_t dsa_abi_version(void);

// One line about the library in this process: the kernel path it uses and its OpenBLAS. Never NULL; lives as long as
// the process.
const char *dsa_description(void);

// What functions return.
enum {
    DSA_OK = 0,
    // A pointer is NULL or misaligned, a size or an enumerated value is outside its range, a size does not fit
    // another, or an index that must exist does not.
    DSA_ERROR_ARGUMENT = 1,
    // An input that must be finite holds a NaN or an infinity.
    DSA_ERROR_NON_FINITE = 2,
    // The call needs more memory than this machine has.
    DSA_ERROR_MEMORY = 3,
    // DSA_KERNELS in the environment names a kernel path that this processor does not run.
    DSA_ERROR_ENVIRONMENT = 4,
};

// The sentence that belongs to the last error returned on the calling thread; "" when there was none.
// Valid until the next call on the same thread that fails; a call that succeeds leaves it as it is. UTF-8, never NULL,
// at most 511 bytes.
const char *dsa_last_error_message(void);

// MARK: Element types and scales

// How the numbers of an input are stored.
enum {
    DSA_FLOAT32 = 0,  // float
    DSA_BFLOAT16 = 1, // uint16_t, the upper half of a float
    DSA_E4M3 = 2,     // uint8_t, E4M3 "fn": no infinities, largest 448, 0x7F and 0xFF are NaN
};

// How the scale of a block of E4M3 codes is rounded.
enum {
    DSA_SCALE_FLOAT32 = 0,      // not at all
    DSA_SCALE_POWER_OF_TWO = 1, // up to a power of two ("ue8m0")
};

// Limits, where a function states no other: heads, the width of a row, the slots of a selection, and tokens, pages
// and rows of any other kind.
#define DSA_MAX_HEADS 4096
#define DSA_MAX_DIM 16384
#define DSA_MAX_TOPK 1048576
#define DSA_MAX_TOKENS 2147483647

// The tokens of a page of a paged cache.
#define DSA_PAGE_TOKENS 64
// A packed row of a latent cache (dsa_pack_latents): the numbers of the latent, of its rope key, and its bytes.
#define DSA_PACKED_LATENT_DIM 512
#define DSA_PACKED_ROPE_DIM 64
#define DSA_PACKED_ROW_BYTES 656
// The columns that share a scale.
#define DSA_BLOCK_COLUMNS 128

// MARK: Lightning indexer

// Index logits, as DeepGEMM's fp8_mqa_logits:
//
//   logits[i][t] = kv_scales[t] * sum over h of weights[i][h] * max(q[i][h] . kv[t], 0)  for k_start[i] <= t < k_end[i]
//   logits[i][t] = -infinity                                                             elsewhere
//
// No constant is applied: heads^-1/2, dim^-1/2 and the scale of an E4M3 query are the caller's, folded into weights.
//
// q:          [seq_len, heads, dim] of q_type
// kv:         [seq_len_kv, dim] of kv_type, after RoPE (and Hadamard, if any)
// kv_scales:  [seq_len_kv], or NULL for 1
// weights:    [seq_len, heads]
// k_start, k_end: [seq_len] (cu_seq_len_k_start, cu_seq_len_k_end), each 0 to seq_len_kv; a row whose start is not
//             below its end sees nothing
// logits:     [seq_len, seq_len_kv], output
//
// A NaN logit comes out where a key in the range has one; keys outside every range change nothing.
int32_t dsa_mqa_logits(
    const void *q, int32_t q_type,
    const void *kv, int32_t kv_type, const float *kv_scales,
    const float *weights, const int32_t *k_start, const int32_t *k_end,
    int64_t seq_len, int64_t heads, int64_t dim, int64_t seq_len_kv,
    float *logits);

// The same over a paged cache of E4M3 keys, as DeepGEMM's fp8_paged_mqa_logits.
//
// Query j of sequence b sees the first context_lens[b] - next_n + j + 1 keys of its sequence; -infinity elsewhere.
//
// q:            [batch, next_n, heads, dim] of q_type
// kv_cache:     [pages, 64 * (dim + 4)] bytes; a page holds the codes of its 64 tokens, [64, dim], then their scales,
//               [64] little-endian float (132 bytes a token where dim is 128; see dsa_pack_index_keys)
// weights:      [batch, next_n, heads]
// context_lens: [batch], each 0 to max_context_len, the query tokens included
// block_table:  [batch, max_blocks]: the pages of each sequence in order; only those of its context are read, and
//               must be 0 to pages - 1
// dim:          1 to 128
// max_blocks:   at least the pages of the longest context
// logits:       [batch, next_n, max_context_len], output
int32_t dsa_paged_mqa_logits(
    const void *q, int32_t q_type,
    const uint8_t *kv_cache, const float *weights, const int32_t *context_lens, const int32_t *block_table,
    int64_t batch, int64_t next_n, int64_t heads, int64_t dim,
    int64_t pages, int64_t max_blocks, int64_t max_context_len,
    float *logits);

// The k best columns of each row. A higher score wins; of equal scores (-0 equals 0) the smaller column wins; a NaN
// never wins, -infinity does when nothing better is left. Fewer candidates than k are all taken.
//
// scores:  [rows, columns]
// start, end: [rows], the candidates of each row, each 0 to columns; or NULL for 0 and columns. A row whose start
//          is not below its end has no candidates.
// k:       1 to DSA_MAX_TOPK
// indices: [rows, k], output: columns, counted from 0 and not from start, ascending; then -1
int32_t dsa_topk(
    const float *scores, const int32_t *start, const int32_t *end,
    int64_t rows, int64_t columns, int64_t k,
    int32_t *indices);

// MARK: Attention

// Sparse attention of absorbed MLA queries to selected rows, as FlashMLA's sparse prefill (h_kv = 1):
//
//   score[s][h][j]   = sm_scale * q[s][h] . kv[indices[s][j]]
//   max_logits[s][h] = max over j of score
//   lse[s][h]        = ln(sum over j of exp(score))         the natural logarithm, not base 2
//   out[s][h]        = sum over j of exp(score - lse) * kv[indices[s][j]][0 ..< d_v]
//
// A row without valid indices gives out 0, max_logits -infinity and lse +infinity, as FlashMLA does. (The Swift module
// gives -infinity, which merging needs.)
//
// q:           [s_q, h_q, d_qk] of q_type
// kv:          [s_kv, d_qk] of kv_type, the values in the first d_v columns
// indices:     [s_q, topk]; negative or >= s_kv counts as none; an index that appears twice counts twice
// topk_length: [s_q], 0 to topk: how many leading indices of a row are used; or NULL for all
// sm_scale:    positive and finite
// d_v:         1 to d_qk
// out:         [s_q, h_q, d_v], output
// max_logits, lse: [s_q, h_q], outputs, or NULL
int32_t dsa_sparse_mla_forward(
    const void *q, int32_t q_type, const void *kv, int32_t kv_type,
    const int32_t *indices, const int32_t *topk_length,
    int64_t s_q, int64_t s_kv, int64_t h_q, int64_t d_qk, int64_t topk, float sm_scale, int64_t d_v,
    float *out, float *max_logits, float *lse);

// The same over a paged cache of packed FP8 rows, as FlashMLA's sparse decoding: d_qk is 576, d_v is 512.
//
// A row is read as code * scale rounded to bfloat16, then its rope key (dsa_unpack_latents).
//
// q:        [tokens, h_q, 576] of q_type; FlashMLA's [b, s_q] is one axis here
// kv_cache: [pages, 64, 656] bytes
// indices:  [tokens, topk], page * 64 + offset in the page; -1 for none. Others that are negative or >= pages * 64
//           count as none, too (FlashMLA leaves them undefined).
// topk_length: [tokens], or NULL
// out:      [tokens, h_q, 512], output
// max_logits, lse: [tokens, h_q], outputs, or NULL. (FlashMLA's decoding transposes lse to [b, h_q, s_q].)
int32_t dsa_sparse_mla_packed_forward(
    const void *q, int32_t q_type, const uint8_t *kv_cache,
    const int32_t *indices, const int32_t *topk_length,
    int64_t tokens, int64_t pages, int64_t h_q, int64_t topk, float sm_scale,
    float *out, float *max_logits, float *lse);

// Dense causal attention of absorbed MLA queries: all heads share kv, query s sees rows up to s_kv - s_q + s.
//
// As dsa_sparse_mla_forward with every visible row selected. s_q is at most s_kv.
int32_t dsa_mla_forward(
    const void *q, int32_t q_type, const void *kv, int32_t kv_type,
    int64_t s_q, int64_t s_kv, int64_t h_q, int64_t d_qk, float sm_scale, int64_t d_v,
    float *out, float *max_logits, float *lse);

// Dense causal multi-head and grouped-query attention; query s sees keys up to s_kv - s_q + s, and query head h uses
// key head h / (h_q / h_kv).
//
// q:   [s_q, h_q, d_qk] of type;  k: [s_kv, h_kv, d_qk] of type;  v: [s_kv, h_kv, d_v] of type
// s_q is at most s_kv, h_kv divides h_q. out, max_logits and lse as in dsa_sparse_mla_forward.
int32_t dsa_mha_forward(
    const void *q, const void *k, const void *v, int32_t type,
    int64_t s_q, int64_t s_kv, int64_t h_q, int64_t h_kv, int64_t d_qk, float sm_scale, int64_t d_v,
    float *out, float *max_logits, float *lse);

// MARK: Packed caches

// Packs rows of a latent cache: 512 E4M3 codes, 4 little-endian float scales, 64 little-endian bfloat16.
//
// scale = max(largest magnitude of the block / 448, 1e-4), then rounded as scale_format says: the bound is on the
// scale, as in FlashMLA's tests/quant.py, where dsa_act_quant bounds the magnitude.
//
// latents: [tokens, 512] of type, finite;  rope: [tokens, 64] of type, finite
// rows:    [tokens, 656] bytes, output
int32_t dsa_pack_latents(
    const void *latents, const void *rope, int32_t type, int64_t tokens, int32_t scale_format, uint8_t *rows);

// Unpacks rows of a latent cache: code * scale rounded to bfloat16, then the rope key.
//
// rows: [tokens, 656] bytes;  values: [tokens, 576], output
int32_t dsa_unpack_latents(const uint8_t *rows, int64_t tokens, float *values);

// Quantizes index keys, one scale a key as in dsa_act_quant, into pages of 64 tokens: first the codes of a page,
// [64, dim], then its scales, [64] little-endian float. Places without a token are 0.
//
// keys:  [tokens, dim] of type, finite; dim 1 to 128
// pages: [ceil(tokens / 64), 64 * (dim + 4)] bytes, output
int32_t dsa_pack_index_keys(
    const void *keys, int32_t type, int64_t tokens, int64_t dim, int32_t scale_format, uint8_t *pages);

// Reads index keys from pages that follow each other: code * scale.
//
// pages: [ceil(tokens / 64), 64 * (dim + 4)] bytes;  keys: [tokens, dim], output
int32_t dsa_unpack_index_keys(const uint8_t *pages, int64_t tokens, int64_t dim, float *keys);

// MARK: Number formats

// Quantizes rows in blocks of 128 columns, the last one shorter: scale = max(largest magnitude, 1e-4) * (1.0f / 448),
// rounded as scale_format says; code = E4M3(x / scale). As act_quant of DeepSeek-V3.2-Exp.
//
// x:      [rows, columns] of type, finite; columns at least 1
// codes:  [rows, columns], output
// scales: [rows, ceil(columns / 128)], output
int32_t dsa_act_quant(
    const void *x, int32_t type, int64_t rows, int64_t columns, int32_t scale_format,
    uint8_t *codes, float *scales);

// The values that codes stand for: code * scale of its block.
//
// codes: [rows, columns];  scales: [rows, ceil(columns / 128)];  x: [rows, columns], output
int32_t dsa_act_dequant(const uint8_t *codes, const float *scales, int64_t rows, int64_t columns, float *x);

// Clamps to +-448 and rounds to E4M3, nearest, ties to even; NaN gives 0x7F with its sign.
//
// x: [count];  codes: [count], output
int32_t dsa_e4m3_encode(const float *x, int64_t count, uint8_t *codes);

// The exact values of E4M3 codes; 0x7F and 0xFF give NaN.
//
// codes: [count];  x: [count], output
int32_t dsa_e4m3_decode(const uint8_t *codes, int64_t count, float *x);

// Rounds to bfloat16, nearest, ties to even; overflow gives infinity, NaN stays NaN.
//
// x: [count];  bits: [count], output
int32_t dsa_bf16_encode(const float *x, int64_t count, uint16_t *bits);

// The exact values of bfloat16 bits.
//
// bits: [count];  x: [count], output
int32_t dsa_bf16_decode(const uint16_t *bits, int64_t count, float *x);

// The Walsh-Hadamard rotation of every row: Sylvester order, times columns^-1/2, float32 butterflies.
//
// x: [rows, columns] of type; columns a power of two.  rotated: [rows, columns], output; round it with
// dsa_bf16_encode where a kernel works in bfloat16
int32_t dsa_hadamard(const void *x, int32_t type, int64_t rows, int64_t columns, float *rotated);

#ifdef __cplusplus
}
#endif

#endif
