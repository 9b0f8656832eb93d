// The table of plain loops: the specification, and what runs where nothing better does.

#include "../tables.h"
#include "scalar.h"

static bool is_supported(void) {
    return true;
}

const dsa_kernels dsa_scalar_kernels = {
    .name = "scalar",
    .is_supported = is_supported,
    .dot_peak = dsa_scalar_dot_peak,
    .widen_bf16 = dsa_scalar_widen_bf16,
    .widen_f16 = dsa_scalar_widen_f16,
    .widen_e4m3 = dsa_scalar_widen_e4m3,
    .narrow_bf16 = dsa_scalar_narrow_bf16,
    .narrow_e4m3 = dsa_scalar_narrow_e4m3,
    .dot_f32 = dsa_scalar_dot_f32,
    .gemv_f32 = dsa_scalar_gemv_f32,
    .gemv_bf16 = dsa_scalar_gemv_bf16,
    .gemv_many_bf16 = dsa_scalar_gemv_many_bf16,
    .arrange_bf16 = dsa_scalar_arrange_bf16,
    .gemv_f16 = dsa_scalar_gemv_f16,
    .gemv_e4m3 = dsa_scalar_gemv_e4m3,
    .axpy_f32 = dsa_scalar_axpy_f32,
    .axpy_bf16 = dsa_scalar_axpy_bf16,
    .scale_f32 = dsa_scalar_scale_f32,
    .hide_f32 = dsa_scalar_hide_f32,
    .silu_multiply = dsa_scalar_silu_multiply,
    .max_f32 = dsa_scalar_max_f32,
    .exp_sum = dsa_scalar_exp_sum,
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
