// Selection and sparse attention through the C interface.
//
//     cc -std=c11 -I Sources/CDSAOracle/include oracle.c -L .build/release -lDSAOracle -Wl,-rpath,.build/release -lm

#include <dsa_oracle.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

// Ends the program with the library's reason when it refused a call.
static void check(int32_t status) {
    if (status != DSA_OK) {
        fprintf(stderr, "%s\n", dsa_last_error_message());
        exit(1);
    }
}

int main(void) {
    if (dsa_abi_version() != DSA_ABI_VERSION) {
        fprintf(stderr, "the library has ABI version %d, the header %d\n", dsa_abi_version(), DSA_ABI_VERSION);
        return 1;
    }
    printf("%s\n", dsa_description());

    // The two best of four scores: a tie goes to the earlier column, a NaN never wins.
    const float scores[4] = {0.5f, NAN, 0.5f, 2.0f};
    int32_t indices[2];
    check(dsa_topk(scores, NULL, NULL, 1, 4, 2, indices));
    printf("chosen: %d %d\n", indices[0], indices[1]);
    if (indices[0] != 0 || indices[1] != 3) {
        return 1;
    }

    // One head of width 2 attends to the two rows; the value is the first number of a row.
    const float q[2] = {1.0f, -2.0f};
    const float kv[4][2] = {{1.0f, 0.25f}, {9.0f, 9.0f}, {9.0f, 9.0f}, {3.0f, 0.5f}};
    float out[1], max_logits[1], lse[1];
    check(dsa_sparse_mla_forward(
        q, DSA_FLOAT32, kv, DSA_FLOAT32, indices, NULL, 1, 4, 1, 2, 2, 0.5f, 1, out, max_logits, lse));
    // Scores 0.25 and 1.
    const double total = exp(0.25) + exp(1.0);
    const double expected = (exp(0.25) * 1.0 + exp(1.0) * 3.0) / total;
    printf("out %g (%g), lse %g (%g)\n", out[0], expected, lse[0], log(total));
    if (fabs(out[0] - expected) > 1e-6 || fabs(lse[0] - log(total)) > 1e-6 || max_logits[0] != 1.0f) {
        return 1;
    }

    // A refusal says what is wrong, and writes nothing.
    if (dsa_topk(scores, NULL, NULL, 1, 4, 0, indices) != DSA_ERROR_ARGUMENT || indices[1] != 3) {
        return 1;
    }
    printf("%s\n", dsa_last_error_message());
    return 0;
}
