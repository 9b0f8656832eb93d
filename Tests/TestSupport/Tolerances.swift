/// Every bound the tests use, each with its reason.
///
/// Selection, gathering, number formats and the number of threads are compared bit by bit and have none. None of
/// these is read from the environment.
package enum Tolerances {
    /// What a fast path may add to the error of a plain `Float` loop.
    ///
    /// A fast path sums in another order: with vector registers it is usually more exact than the loop, but on a
    /// lucky case the loop is exact to the last bit, so twice its error can be too little.
    package static let plainLoopFactor = 2.0

    /// A floor under that bound, as relative L2: two roundings of float32 (2^-24 each), and one exponential of
    /// up to 2 ULP.
    package static let floor = 4e-7

    /// How far a plain `Float` loop may be from the `Double` reference, as relative L2.
    ///
    /// Both are the definition; thousands of roundings that do not cancel stay below this, a wrong formula does
    /// not.
    package static let plainLoop = 2e-5

    /// Two ways to compute the same attention (another form, prefill and decode, parts and whole), as relative
    /// L2: each is within `floor` and a few times 2^-24 of the exact result, at the sums of at most 2,500 terms
    /// in these tests.
    package static let sameAttention = 3e-6

    /// A probability row summing to one, absolute: one rounding for each of up to 200 terms.
    package static let unitSum = 1e-5

    /// Products of computed singular vectors, absolute: LAPACK promises a small multiple of the dimension (at most
    /// 100 here) times 2^-24.
    package static let orthogonality = 2e-5

    /// A least-squares residual against the columns it must be orthogonal to, relative: condition number (below
    /// 100 here) times 2^-24, times the dimension.
    package static let leastSquares = 2e-4

    /// `log` and `exp` of a statistic that passes through float32 once, absolute, for values below 16: half a unit in
    /// the last place is 4.8e-7.
    package static let statistic = 2e-6

    /// Two ways to run the same tiny model (other chunks, another form, another storage of the same numbers),
    /// as relative L2 of its logits: `sameAttention` for each of its four layers.
    package static let sameModel = 1.2e-5

    /// Logits of a tiny model with caches in bfloat16, as relative L2: each cached number is off by up to 2^-9,
    /// in each of its four layers.
    package static let bfloat16Cache = 8e-3

    /// Logits of a tiny model with caches in FP8, as relative L2: each cached number is off by up to 2^-4, which
    /// is averaged over tokens but enters in each of its four layers.
    package static let float8Cache = 0.125

    /// Dot products of numbers that were rounded once each on the way (rotated, scaled, quantized exactly), as relative
    /// L2: `floor` for the product, and as much for each of three such steps.
    package static let scaledProducts = 4 * floor

    /// A score of 16 columns after RoPE at positions near 100, absolute: an angle near 100 rad is rounded to 2^-18, and
    /// each of 16 terms moves by that times its size.
    package static let rotatedScore: Float = 1e-4

    /// Index scores in E4M3 against float32, as relative L2: each of two factors is off by up to a sixteenth, and over
    /// 16 columns and 4 heads most of it cancels.
    package static let float8Scores = 0x1p-4

    /// Attention with probabilities and outputs in bfloat16, as relative L2: each is off by up to 2^-9, and values of
    /// either sign cancel in the output but not in its error.
    package static let roundedActivations = 0x1p-7

    /// The same with queries, keys and values of a latent layer in bfloat16 too: a score of up to 8 moves by a few times
    /// 2^-8, and with it each probability.
    package static let roundedLatentLayer = 0x1p-5

    /// The same with latents in E4M3, each off by up to a sixteenth, before they are projected.
    package static let float8Latents = 0x1p-2

    /// Attention with products in bfloat16 against the exact one of the same rounded queries and rows, as a share of
    /// the attention to the magnitudes of the values: each probability is off by up to 2^-9, and `floor` for the sums.
    package static let roundedProbabilities: Float = 0x1p-9 + 4e-7
}
