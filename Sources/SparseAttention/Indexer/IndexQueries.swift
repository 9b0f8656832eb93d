/// The queries and head weights that index scores are computed with.
struct IndexQueries: @unchecked Sendable {
    // Sendable: the buffer is written by the initialiser alone.

    /// The number of query tokens.
    let tokens: Int
    /// The number of index heads.
    let heads: Int
    /// Whether products are taken in bfloat16.
    let inBFloat16: Bool

    private let numbers: Tensor  // [tokens, heads, dim]
    private let pairs: AlignedBuffer?  // [tokens, heads, tileRows(dim)] in bfloat16, zeros beyond dim
    private let weights: Tensor  // [tokens, heads]
    private let tokenElements: Int

    /// Queries of `[tokens, heads, dim]` and their weights, all constants folded in.
    ///
    /// - Parameters:
    ///   - numbers: the queries.
    ///   - weights: `[tokens, heads]`.
    ///   - inBFloat16: whether products are taken in bfloat16, for queries that are bfloat16 numbers.
    init(_ numbers: Tensor, weights: Tensor, inBFloat16: Bool) {
        tokens = numbers.shape[0]
        heads = numbers.shape[1]
        self.numbers = numbers
        self.weights = weights
        self.inBFloat16 = inBFloat16
        let dim = numbers.shape[2]
        guard inBFloat16 else {
            pairs = nil
            tokenElements = heads * dim
            return
        }
        let padded = Kernels.tileRows(dim)
        tokenElements = heads * padded
        let buffer = AlignedBuffer(
            byteCount: tokens * tokenElements * MemoryLayout<UInt16>.size,
            poisoned: false
        )
        numbers.withMatrix { rows in
            let start = buffer.base.bindMemory(to: UInt16.self, capacity: rows.rows * padded)
            for row in 0..<rows.rows {
                let target = start + row * padded
                Kernels.round(rows[row], toBFloat16: target, count: dim)
                (target + dim).update(repeating: 0, count: padded - dim)
            }
        }
        pairs = buffer
    }

    /// Lends the numbers and weights of one query token.
    func withToken(
        _ token: Int,
        _ body: (_ numbers: UnsafeRawPointer, _ weights: UnsafePointer<Float>) -> Void
    ) {
        weights.withMatrix { weights in
            if let pairs {
                body(pairs.base + token * tokenElements * MemoryLayout<UInt16>.size, weights[token])
            } else {
                numbers.withMatrix { body($0.base + token * tokenElements, weights[token]) }
            }
        }
    }
}
