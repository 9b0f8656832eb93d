import CDSAOracle
import SparseAttention
import TestSupport

/// A call of `dsa_mqa_logits`, valid until a test changes an argument.
struct LogitCall {
    var q: [Float]?
    var qType = float32
    var kv: [Float]?
    var kvType = float32
    var scales: [Float]?
    var weights: [Float]?
    var start: [Int32]?
    var end: [Int32]?
    var tokens: Int64 = 3
    var heads: Int64 = 2
    var dim: Int64 = 8
    var keys: Int64 = 10
    var hasOutput = true

    init() {
        var generator = SeededGenerator(seed: 3)
        q = generator.tensor([3, 2, 8]).elements
        kv = generator.tensor([10, 8]).elements
        scales = generator.tensor([10]).elements
        weights = generator.tensor([3, 2]).elements
        start = [0, 2, 10]
        end = [8, 9, 10]
    }

    /// Makes the call.
    func run() -> (status: Int32, logits: [Float]) {
        var logits = [Float](repeating: poison, count: 30)
        let status = logits.withUnsafeMutableBufferPointer { output in
            dsa_mqa_logits(
                q,
                qType,
                kv,
                kvType,
                scales,
                weights,
                start,
                end,
                tokens,
                heads,
                dim,
                keys,
                hasOutput ? output.baseAddress : nil
            )
        }
        return (status, logits)
    }
}

/// A call of `dsa_paged_mqa_logits`, valid until a test changes an argument.
struct PagedLogitCall {
    var q: [Float]?
    var qType = float32
    var cache: [UInt8]?
    var weights: [Float]?
    var contexts: [Int32]? = [100, 64]
    var table: [Int32]? = [2, 0, 1, -7]
    var batch: Int64 = 2
    var tokensEach: Int64 = 2
    var heads: Int64 = 2
    var dim: Int64 = 8
    var pages: Int64 = 3
    var slots: Int64 = 2
    var longest: Int64 = 110
    var hasOutput = true

    init() {
        var generator = SeededGenerator(seed: 4)
        q = generator.tensor([2, 2, 2, 8]).elements
        weights = generator.tensor([2, 2, 2]).elements
        // Codes below 0x78 are finite; the scales are the last 256 bytes of a page.
        var bytes: [UInt8] = []
        for _ in 0..<3 {
            bytes += (0..<64 * 8).map { _ in UInt8(generator.integer(in: 0...0x77)) }
            for _ in 0..<64 {
                withUnsafeBytes(of: generator.uniform().bitPattern.littleEndian) { bytes += Array($0) }
            }
        }
        cache = bytes
    }

    /// Makes the call.
    func run() -> (status: Int32, logits: [Float]) {
        var logits = [Float](repeating: poison, count: 440)
        let status = logits.withUnsafeMutableBufferPointer { output in
            dsa_paged_mqa_logits(
                q,
                qType,
                cache,
                weights,
                contexts,
                table,
                batch,
                tokensEach,
                heads,
                dim,
                pages,
                slots,
                longest,
                hasOutput ? output.baseAddress : nil
            )
        }
        return (status, logits)
    }
}
