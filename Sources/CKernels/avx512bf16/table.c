// The table for AVX-512 with BF16 and VBMI (Zen 4, Sapphire Rapids): that of AVX-512, and products of bfloat16.

#include "../tables.h"
#include "avx512bf16.h"

#if defined(__x86_64__)

static bool is_supported(void) {
    return dsa_avx512_kernels.is_supported() && __builtin_cpu_supports("avx512bf16")
        && __builtin_cpu_supports("avx512vbmi");
}

const dsa_kernels dsa_avx512bf16_kernels = {
    .name = "avx512bf16",
    .is_supported = is_supported,
    .dot_peak = dsa_avx512bf16_dot_peak,
    .widen_bf16 = dsa_avx512_widen_bf16,
    .widen_f16 = dsa_avx512_widen_f16,
    .widen_e4m3 = dsa_avx512_widen_e4m3,
    .narrow_bf16 = dsa_avx512_narrow_bf16,
    .narrow_e4m3 = dsa_avx512_narrow_e4m3,
    .dot_f32 = dsa_avx512_dot_f32,
    .gemv_f32 = dsa_avx512_gemv_f32,
    .gemv_bf16 = dsa_avx512_gemv_bf16,
    .gemv_many_bf16 = dsa_avx512_gemv_many_bf16,
    .arrange_bf16 = dsa_avx512_arrange_bf16,
    .gemv_f16 = dsa_avx512_gemv_f16,
    .gemv_e4m3 = dsa_avx512_gemv_e4m3,
    .axpy_f32 = dsa_avx512_axpy_f32,
    .axpy_bf16 = dsa_avx512_axpy_bf16,
    .scale_f32 = dsa_avx512_scale_f32,
    .hide_f32 = dsa_avx512_hide_f32,
    .silu_multiply = dsa_avx512_silu_multiply,
    .max_f32 = dsa_avx512_max_f32,
    .exp_sum = dsa_avx512_exp_sum,
    .pack_columns_bf16 = dsa_avx512_pack_columns_bf16,
    .pack_rows_bf16 = dsa_avx512_pack_rows_bf16,
    .multiply_bf16 = dsa_avx512bf16_multiply_bf16,
    .rescale_e4m3_bf16 = dsa_avx512bf16_rescale_e4m3_bf16,
    .exp_sum_bf16 = dsa_avx512_exp_sum_bf16,
    .prefetch = dsa_scalar_prefetch,
    .gathers_f32 = true,
    .gather_multiply_f32 = dsa_avx512_gather_multiply_f32,
    .gather_add_f32 = dsa_avx512_gather_add_f32,
    .exp_sum_lanes = dsa_avx512_exp_sum_lanes,
    .scatter_add_f32 = dsa_avx512_scatter_add_f32,
    .multiplies_bf16 = true,
    .key_tile_f32 = dsa_avx512_key_tile_f32,
    .key_tile_bf16 = dsa_avx512bf16_key_tile_bf16,
    .index_scores_f32 = dsa_avx512_index_scores_f32,
    .index_scores_bf16 = dsa_avx512bf16_index_scores_bf16,
    .ranks_above = dsa_avx512_ranks_above,
    .keep_highest = dsa_avx512_keep_highest,
};

#endif
