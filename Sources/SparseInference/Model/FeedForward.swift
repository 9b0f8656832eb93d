import SparseAttention

/// A gated feed-forward layer: `down(silu(gate(x)) · up(x))`.
struct FeedForward: Sendable {
    let gate: Linear  // [feedForwardDim, hiddenDim]
    let up: Linear  // [feedForwardDim, hiddenDim]
    let down: Linear  // [hiddenDim, feedForwardDim]
    private let arithmetic: Arithmetic

    init(prefix: String, hiddenDim: Int, feedForwardDim: Int, loader: WeightLoader) throws {
        gate = try loader.linear(prefix + "gate_proj", outputs: feedForwardDim, inputs: hiddenDim)
        up = try loader.linear(prefix + "up_proj", outputs: feedForwardDim, inputs: hiddenDim)
        down = try loader.linear(prefix + "down_proj", outputs: hiddenDim, inputs: feedForwardDim)
        arithmetic = loader.arithmetic
    }

    /// - Parameter rows: `[tokens, hiddenDim]`.
    /// - Returns: `[tokens, hiddenDim]`.
    /// - Throws: `SparseAttentionError.nonFinite` for an input that cannot be quantized.
    func callAsFunction(_ rows: Tensor) throws -> Tensor {
        try down(arithmetic.rounded(SwiGLU.apply(gate: gate(rows), up: up(rows))))
    }
}
