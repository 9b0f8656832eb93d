import CDSAOracle
import SparseAttention
import TestSupport

/// The functions that attend to rows which all heads share.
enum AttentionFunction: String, CaseIterable {
    case sparse = "dsa_sparse_mla_forward"
    case packed = "dsa_sparse_mla_packed_forward"
    case dense = "dsa_mla_forward"
}

/// A call of one of them, valid until a test changes an argument.
struct AttentionCall {
    let function: AttentionFunction
    var q: [Float]?
    var qType = float32
    var kv: [Float]?
    var kvType = float32
    var cache: [UInt8]?
    var indices: [Int32]? = [0, 5, -1, 2, 2, 63]
    var lengths: [Int32]? = [3, 2]
    var tokens: Int64 = 2
    var keys: Int64 = 6  // pages of the packed form: 1
    var heads: Int64 = 3
    var rowDim: Int64 = 576
    var slots: Int64 = 3
    var scale: Float = 0.1
    var valueDim: Int64 = 512
    var hasOutput = true
    var hasStatistics = true

    init(_ function: AttentionFunction) {
        self.function = function
        var generator = SeededGenerator(seed: 12)
        q = generator.tensor([2, 3, 576]).elements
        kv = generator.tensor([6, 576]).elements
        guard function == .packed else { return }
        keys = 1
        var rows = [UInt8](repeating: 0, count: 64 * 656)
        let (latents, rope) = (generator.tensor([64, 512]).elements, generator.tensor([64, 64]).elements)
        assertAccepted(dsa_pack_latents(latents, rope, float32, 64, powerOfTwo, &rows))
        cache = rows
    }

    /// What a call left in its outputs.
    struct Outcome {
        var status: Int32 = -1
        var output = [Float](repeating: poison, count: 2 * 3 * 512)
        var maximum = [Float](repeating: poison, count: 2 * 3)
        var logSumExp = [Float](repeating: poison, count: 2 * 3)
    }

    /// Makes the call.
    func run() -> Outcome {
        var outcome = Outcome()
        outcome.output.withUnsafeMutableBufferPointer { output in
            outcome.maximum.withUnsafeMutableBufferPointer { maximum in
                outcome.logSumExp.withUnsafeMutableBufferPointer { logSumExp in
                    outcome.status = run(
                        hasOutput ? output.baseAddress : nil,
                        hasStatistics ? maximum.baseAddress : nil,
                        hasStatistics ? logSumExp.baseAddress : nil
                    )
                }
            }
        }
        return outcome
    }

    private func run(
        _ output: UnsafeMutablePointer<Float>?,
        _ maximum: UnsafeMutablePointer<Float>?,
        _ logSumExp: UnsafeMutablePointer<Float>?
    ) -> Int32 {
        switch function {
        case .sparse:
            dsa_sparse_mla_forward(
                q,
                qType,
                kv,
                kvType,
                indices,
                lengths,
                tokens,
                keys,
                heads,
                rowDim,
                slots,
                scale,
                valueDim,
                output,
                maximum,
                logSumExp
            )
        case .packed:
            dsa_sparse_mla_packed_forward(
                q,
                qType,
                cache,
                indices,
                lengths,
                tokens,
                keys,
                heads,
                slots,
                scale,
                output,
                maximum,
                logSumExp
            )
        case .dense:
            dsa_mla_forward(
                q,
                qType,
                kv,
                kvType,
                tokens,
                keys,
                heads,
                rowDim,
                scale,
                valueDim,
                output,
                maximum,
                logSumExp
            )
        }
    }
}
