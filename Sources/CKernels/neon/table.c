// The table for 64-bit ARM, where Advanced SIMD is always present.

#include "../tables.h"
#include "neon.h"

#if defined(__aarch64__)

static bool is_supported(void) {
    return true;
}

const dsa_kernels dsa_neon_kernels = {
    .name = "neon",
    .is_supported = is_supported,
    .dot_peak = dsa_scalar_dot_peak,
    .widen_bf16 = dsa_neon_widen_bf16,
    .widen_f16 = dsa_neon_widen_f16,
    .widen_e4m3 = dsa_neon_widen_e4m3,
    .narrow_bf16 = dsa_neon_narrow_bf16,
    .narrow_e4m3 = dsa_neon_narrow_e4m3,
    .dot_f32 = dsa_neon_dot_f32,
    .gemv_f32 = dsa_neon_gemv_f32,
    .gemv_bf16 = dsa_neon_gemv_bf16,
    .gemv_many_bf16 = dsa_neon_gemv_many_bf16,
    .arrange_bf16 = dsa_scalar_arrange_bf16,
    .gemv_f16 = dsa_neon_gemv_f16,
    .gemv_e4m3 = dsa_neon_gemv_e4m3,
    .axpy_f32 = dsa_neon_axpy_f32,
    .axpy_bf16 = dsa_neon_axpy_bf16,
    .scale_f32 = dsa_neon_scale_f32,
    .hide_f32 = dsa_neon_hide_f32,
    .silu_multiply = dsa_neon_silu_multiply,
    .max_f32 = dsa_neon_max_f32,
    .exp_sum = dsa_neon_exp_sum,
    .pack_columns_bf16 = dsa_scalar_pack_columns_bf16,
    .pack_rows_bf16 = dsa_scalar_pack_rows_bf16,
    .multiply_bf16 = dsa_scalar_multiply_bf16,
    .rescale_e4m3_bf16 = dsa_scalar_rescale_e4m3_bf16,
    .exp_sum_bf16 = dsa_scalar_exp_sum_bf16,
    .prefetch = dsa_scalar_prefetch,
    .gathers_f32 = false,
    .gather_multiply_f32 = dsa_scalar_gather_multiply_f32,
    .gather_add_f32 = dsa_scalar_gather_add_f32,
    .exp_sum_lanes = dsa_scalar_exp_sum_lanes,
    .scatter_add_f32 = dsa_scalar_scatter_add_f32,
    .multiplies_bf16 = false,
    .key_tile_f32 = dsa_scalar_key_tile_f32,
    .key_tile_bf16 = dsa_scalar_key_tile_bf16,
    .index_scores_f32 = dsa_scalar_index_scores_f32,
    .index_scores_bf16 = dsa_scalar_index_scores_bf16,
    .ranks_above = dsa_scalar_ranks_above,
    .keep_highest = dsa_scalar_keep_highest,
};

#endif
