// The table for AVX2 with FMA and F16C.

#include "../tables.h"
#include "avx2.h"

#if defined(__x86_64__)

// The builtin also asks whether the operating system saves the wide registers.
static bool is_supported(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
}

const dsa_kernels dsa_avx2_kernels = {
    .name = "avx2",
    .is_supported = is_supported,
    .dot_peak = dsa_avx2_dot_peak,
    .widen_bf16 = dsa_avx2_widen_bf16,
    .widen_f16 = dsa_avx2_widen_f16,
    .widen_e4m3 = dsa_avx2_widen_e4m3,
    .narrow_bf16 = dsa_avx2_narrow_bf16,
    .narrow_e4m3 = dsa_avx2_narrow_e4m3,
    .dot_f32 = dsa_avx2_dot_f32,
    .gemv_f32 = dsa_avx2_gemv_f32,
    .gemv_bf16 = dsa_avx2_gemv_bf16,
    .gemv_many_bf16 = dsa_avx2_gemv_many_bf16,
    .arrange_bf16 = dsa_scalar_arrange_bf16,
    .gemv_f16 = dsa_avx2_gemv_f16,
    .gemv_e4m3 = dsa_avx2_gemv_e4m3,
    .axpy_f32 = dsa_avx2_axpy_f32,
    .axpy_bf16 = dsa_avx2_axpy_bf16,
    .scale_f32 = dsa_avx2_scale_f32,
    .hide_f32 = dsa_avx2_hide_f32,
    .silu_multiply = dsa_avx2_silu_multiply,
    .max_f32 = dsa_avx2_max_f32,
    .exp_sum = dsa_avx2_exp_sum,
    .pack_columns_bf16 = dsa_scalar_pack_columns_bf16,
    .pack_rows_bf16 = dsa_scalar_pack_rows_bf16,
    .multiply_bf16 = dsa_avx2_multiply_bf16,
    .rescale_e4m3_bf16 = dsa_avx2_rescale_e4m3_bf16,
    .exp_sum_bf16 = dsa_avx2_exp_sum_bf16,
    .prefetch = dsa_scalar_prefetch,
    .gathers_f32 = false,
    .gather_multiply_f32 = dsa_scalar_gather_multiply_f32,
    .gather_add_f32 = dsa_scalar_gather_add_f32,
    .exp_sum_lanes = dsa_scalar_exp_sum_lanes,
    .scatter_add_f32 = dsa_scalar_scatter_add_f32,
    .multiplies_bf16 = false,
    .key_tile_f32 = dsa_avx2_key_tile_f32,
    .key_tile_bf16 = dsa_scalar_key_tile_bf16,
    .index_scores_f32 = dsa_avx2_index_scores_f32,
    .index_scores_bf16 = dsa_scalar_index_scores_bf16,
    .ranks_above = dsa_avx2_ranks_above,
    .keep_highest = dsa_avx2_keep_highest,
};

#endif
