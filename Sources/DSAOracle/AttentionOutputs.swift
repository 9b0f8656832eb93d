import SparseAttention

/// Where a caller wants the result of attention.
struct AttentionOutputs {
    let output: UnsafeMutableBufferPointer<Float>  // [tokens, heads, valueDim]
    let maximumScore: UnsafeMutableBufferPointer<Float>?  // [tokens, heads]
    let logSumExp: UnsafeMutableBufferPointer<Float>?  // [tokens, heads]

    /// Checks the arrays; the statistics may be NULL.
    init(
        _ out: UnsafeMutablePointer<Float>?,
        _ max_logits: UnsafeMutablePointer<Float>?,
        _ lse: UnsafeMutablePointer<Float>?,
        tokens: Int,
        heads: Int,
        valueDim: Int
    ) throws(OracleFault) {
        output = try DSAOracle.output(out, "out", tokens, heads, valueDim)
        maximumScore = try max_logits.map { pointer throws(OracleFault) in
            try DSAOracle.output(pointer, "max_logits", tokens, heads)
        }
        logSumExp = try lse.map { pointer throws(OracleFault) in
            try DSAOracle.output(pointer, "lse", tokens, heads)
        }
    }

    /// Writes a result, with the log-sum-exp of a row that sees nothing as FlashMLA has it.
    func write(_ result: AttentionResult) {
        copy(result.output, to: output)
        if let maximumScore { copy(result.maximumScore, to: maximumScore) }
        guard let logSumExp else { return }
        copy(result.logSumExp, to: logSumExp)
        for row in logSumExp.indices where logSumExp[row] == -.infinity {
            logSumExp[row] = .infinity
        }
    }
}
