import CKernels
import Foundation

/// The SIMD kernels of this processor, and the Swift face of the C table.
///
/// `DSA_KERNELS` in the environment forces a table by name (`scalar`, `avx2`, `avx512`, `neon`).
package enum Kernels {
    /// The environment variable that forces a table.
    package static let environmentVariable = "DSA_KERNELS"

    /// The names of the tables this processor runs, best first.
    package static var supported: [String] {
        tables.filter { $0.is_supported() }.map { String(cString: $0.name) }
    }

    /// The name of the table in use.
    package static var name: String { String(cString: active.name) }

    /// The table in use: the best one, or the one the environment forces.
    nonisolated(unsafe) static let active: dsa_kernels = {
        // Sendable in fact: constant function pointers and a constant name.
        do {
            return try selectTable(named: ProcessInfo.processInfo.environment[environmentVariable])
        } catch {
            // A forced kernel path that silently fell back would make every comparison worthless.
            preconditionFailure("\(environmentVariable): \(error)")
        }
    }()

    /// Whether the environment names a table that runs here.
    ///
    /// - Throws: `SparseAttentionError.invalidSetting` with the names that would.
    package static func validateEnvironment() throws(SparseAttentionError) {
        _ = try selectTable(named: ProcessInfo.processInfo.environment[environmentVariable])
    }

    private static var tables: [dsa_kernels] {
        var count = 0
        let list = dsa_all_kernels(&count)
        return (0..<count).compactMap { list?[$0]?.pointee }
    }

    private static func selectTable(named name: String?) throws(SparseAttentionError) -> dsa_kernels {
        let usable = tables.filter { $0.is_supported() }
        let chosen = name.map { name in usable.first { String(cString: $0.name) == name } } ?? usable.first
        guard let chosen else {
            throw .invalidSetting(
                name: environmentVariable,
                found: name ?? "",
                expected: "one of \(supported.joined(separator: ", "))"
            )
        }
        return chosen
    }
}

// MARK: - Ceiling

extension Kernels {
    /// The operations of `runDotPeak`.
    package static func dotPeakOperations(rounds: Int) -> Double { runDotPeak(rounds: 1) * Double(rounds) }

    /// Runs the fastest dot product of bfloat16 on registers alone, of float32 where there is none.
    ///
    /// - Returns: the floating-point operations done.
    @discardableResult
    package static func runDotPeak(rounds: Int) -> Double {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 16) { sink in
            guard let start = sink.baseAddress else { return 0 }
            return active.dot_peak(rounds, start)
        }
    }
}

extension Kernels {
    /// Tells the processor that this thread waits in a loop.
    static func pause() {
        dsa_pause()
    }
}

// MARK: - Rows

extension Kernels {
    /// The sum of `x[i] * y[i]` in float32.
    package static func dot(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, count: Int) -> Float {
        active.dot_f32(count, x, y)
    }

    /// `y[i] += factor * x[i]`.
    package static func add(
        _ x: UnsafePointer<Float>,
        times factor: Float,
        to y: UnsafeMutablePointer<Float>,
        count: Int
    ) {
        active.axpy_f32(count, factor, x, y)
    }

    /// `y[i] += factor * x[i]` for bfloat16 bits.
    package static func add(
        bfloat16 x: UnsafePointer<UInt16>,
        times factor: Float,
        to y: UnsafeMutablePointer<Float>,
        count: Int
    ) {
        active.axpy_bf16(count, factor, x, y)
    }

    /// `x[i] *= factor`.
    package static func scale(_ x: UnsafeMutablePointer<Float>, by factor: Float, count: Int) {
        active.scale_f32(count, factor, x)
    }

    /// Sets `x[i]` to −infinity where bit `i` of `kept`, lowest first, is 0.
    static func hide(_ x: UnsafeMutablePointer<Float>, keeping kept: UnsafePointer<UInt64>, count: Int) {
        active.hide_f32(count, kept, x)
    }

    /// The largest of `count` numbers; -infinity for none, NaN if one is NaN.
    package static func maximum(_ x: UnsafePointer<Float>, count: Int) -> Float {
        active.max_f32(count, x)
    }

    /// Replaces `x[i]` by `exp(scale * x[i] - shift)` and returns the sum.
    package static func exponentiate(
        _ x: UnsafeMutablePointer<Float>,
        scale: Float,
        shift: Float,
        count: Int
    ) -> Float {
        active.exp_sum(count, scale, shift, x, x)
    }

    /// `output[i] = silu(gate[i]) * up[i]`.
    package static func gatedProduct(
        gate: UnsafePointer<Float>,
        up: UnsafePointer<Float>,
        into output: UnsafeMutablePointer<Float>,
        count: Int
    ) {
        active.silu_multiply(count, gate, up, output)
    }
}

// MARK: - Matrices and number formats

extension Kernels {
    /// `output[r] = matrix[r] · vector`.
    package static func multiply(
        _ matrix: MatrixView,
        vector: UnsafePointer<Float>,
        into output: UnsafeMutablePointer<Float>
    ) {
        active.gemv_f32(matrix.rows, matrix.columns, matrix.stride, matrix.base, vector, output)
    }

    /// `output[r] = matrix[r] · vector` for rows of bfloat16 bits without gaps.
    package static func multiply(
        bfloat16 matrix: UnsafePointer<UInt16>,
        rows: Int,
        columns: Int,
        vector: UnsafePointer<Float>,
        into output: UnsafeMutablePointer<Float>
    ) {
        active.gemv_bf16(rows, columns, columns, matrix, vector, output)
    }

    /// The same for several vectors, each arranged by `arrange`: `outputs[v][r] = matrix[r] · vectors[v]`.
    ///
    /// Bit for bit what each vector gives by itself. Columns are a multiple of `arrangedColumns`.
    package static func multiply(
        bfloat16 matrix: UnsafePointer<UInt16>,
        rows: Int,
        columns: Int,
        vectors: UnsafeBufferPointer<UnsafePointer<Float>?>,
        into outputs: UnsafeBufferPointer<UnsafeMutablePointer<Float>?>
    ) {
        active.gemv_many_bf16(
            rows,
            columns,
            columns,
            matrix,
            vectors.count,
            vectors.baseAddress,
            outputs.baseAddress
        )
    }

    /// Columns that are arranged by themselves.
    package static let arrangedColumns = 32

    /// `output = vector`, in the order in which several vectors are multiplied; count is a multiple of `arrangedColumns`.
    package static func arrange(
        _ vector: UnsafePointer<Float>,
        into output: UnsafeMutablePointer<Float>,
        count: Int
    ) {
        active.arrange_bf16(count, vector, output)
    }

    /// `output[r] = matrix[r] · vector` for rows of binary16 bits without gaps.
    package static func multiply(
        float16 matrix: UnsafePointer<UInt16>,
        rows: Int,
        columns: Int,
        vector: UnsafePointer<Float>,
        into output: UnsafeMutablePointer<Float>
    ) {
        active.gemv_f16(rows, columns, columns, matrix, vector, output)
    }

    /// `output[r] = matrix[r] · vector` for rows of E4M3 codes, each block of 128 columns times its scale, `[blocks]`.
    package static func multiply(
        float8 matrix: UnsafePointer<UInt8>,
        rows: Int,
        columns: Int,
        scales: UnsafePointer<Float>,
        vector: UnsafePointer<Float>,
        into output: UnsafeMutablePointer<Float>
    ) {
        active.gemv_e4m3(rows, columns, columns, matrix, scales, vector, output)
    }

    /// Widens bfloat16 bits, exactly.
    package static func widen(
        bfloat16 x: UnsafePointer<UInt16>,
        into y: UnsafeMutablePointer<Float>,
        count: Int
    ) {
        active.widen_bf16(count, x, y)
    }

    /// Widens binary16 bits, exactly.
    package static func widen(
        float16 x: UnsafePointer<UInt16>,
        into y: UnsafeMutablePointer<Float>,
        count: Int
    ) {
        active.widen_f16(count, x, y)
    }

    /// Widens E4M3 codes, exactly.
    package static func widen(
        float8 x: UnsafePointer<UInt8>,
        into y: UnsafeMutablePointer<Float>,
        count: Int
    ) {
        active.widen_e4m3(count, x, y)
    }

    /// Rounds to bfloat16, nearest, ties to even.
    package static func round(
        _ x: UnsafePointer<Float>,
        toBFloat16 y: UnsafeMutablePointer<UInt16>,
        count: Int
    ) {
        active.narrow_bf16(count, x, y)
    }

    /// Rounds to bfloat16 in place, nearest, ties to even.
    package static func roundToBFloat16(_ x: UnsafeMutablePointer<Float>, count: Int) {
        withUnsafeTemporaryAllocation(of: UInt16.self, capacity: count) { bits in
            guard let start = bits.baseAddress else { return }
            active.narrow_bf16(count, x, start)
            active.widen_bf16(count, start, x)
        }
    }

    /// Clamps to ±448 and rounds to E4M3, nearest, ties to even.
    package static func round(
        _ x: UnsafePointer<Float>,
        toFloat8 y: UnsafeMutablePointer<UInt8>,
        count: Int
    ) {
        active.narrow_e4m3(count, x, y)
    }
}

// MARK: - Lightning indexer

extension Kernels {
    /// How the numbers of a key are stored.
    enum KeyFormat: Sendable {
        case float32, bfloat16, float8

        fileprivate var code: dsa_format {
            switch self {
            case .float32: dsa_format_f32
            case .bfloat16: dsa_format_bf16
            case .float8: dsa_format_e4m3
            }
        }

        /// The size of one number in bytes.
        var byteCount: Int {
            switch self {
            case .float32: 4
            case .bfloat16: 2
            case .float8: 1
            }
        }
    }

    /// The keys of a tile.
    static let tileKeys = Int(dsa_tile_keys)

    /// Whether products of bfloat16 numbers are faster than those of the same numbers in float32.
    static var multipliesBFloat16: Bool { active.multiplies_bf16 }

    /// The numbers of a tile's keys that there must be room for.
    static func tileRows(_ dim: Int) -> Int { dsa_tile_rows(dim) }

    /// Widens and transposes up to `tileKeys` keys, `[keys, dim]` without gaps.
    ///
    /// The tile has room for `tileRows(dim) · tileKeys` numbers, in bfloat16 for keys stored no wider, or in float32.
    static func fill(
        tile: UnsafeMutableRawPointer,
        inBFloat16: Bool,
        keys: Int,
        dim: Int,
        rows: UnsafeRawPointer,
        format: KeyFormat
    ) {
        if inBFloat16 {
            active.key_tile_bf16(format.code, keys, dim, rows, tile.assumingMemoryBound(to: UInt16.self))
        } else {
            active.key_tile_f32(format.code, keys, dim, rows, tile.assumingMemoryBound(to: Float.self))
        }
    }

    /// Scores the keys of a tile for one query token: `scale[t] · Σ_h weight[h] · relu(q[h] · k[t])`, h ascending.
    ///
    /// Queries are `[heads, dim]` in float32, or `[heads, tileRows(dim)]` in bfloat16, 0 from `dim` on; `scales` and
    /// `scores` are `[tileKeys]`. That `upcoming` will be read soon is a hint.
    static func score(
        tile: UnsafeRawPointer,
        inBFloat16: Bool,
        queries: UnsafeRawPointer,
        weights: UnsafePointer<Float>,
        heads: Int,
        dim: Int,
        scales: UnsafePointer<Float>,
        upcoming: UnsafeRawBufferPointer?,
        into scores: UnsafeMutablePointer<Float>
    ) {
        let (next, bytes) = (upcoming?.baseAddress, upcoming?.count ?? 0)
        if inBFloat16 {
            let queries = queries.assumingMemoryBound(to: UInt16.self)
            let tile = tile.assumingMemoryBound(to: UInt16.self)
            active.index_scores_bf16(heads, dim, queries, weights, scales, tile, next, bytes, scores)
        } else {
            let queries = queries.assumingMemoryBound(to: Float.self)
            let tile = tile.assumingMemoryBound(to: Float.self)
            active.index_scores_f32(heads, dim, queries, weights, scales, tile, next, bytes, scores)
        }
    }
}

// MARK: - Selection

extension Kernels {
    /// What the outputs of `appendRanks` must have room for beyond its scores.
    static let rankSlack = 16

    /// Appends rank and position, `first + i`, of each score whose rank is above `floor`; returns how many.
    static func appendRanks(
        of scores: UnsafePointer<Float>,
        count: Int,
        first: Int,
        above floor: UInt32,
        to ranks: UnsafeMutablePointer<UInt32>,
        _ positions: UnsafeMutablePointer<Int32>
    ) -> Int {
        active.ranks_above(count, scores, Int32(truncatingIfNeeded: first), floor, ranks, positions)
    }

    /// Keeps the `wanted` highest of `count` ranks, the earlier of equals, in their order; returns the lowest kept.
    static func keepHighest(
        _ wanted: Int,
        of count: Int,
        ranks: UnsafeMutablePointer<UInt32>,
        positions: UnsafeMutablePointer<Int32>
    ) -> UInt32 {
        active.keep_highest(count, wanted, ranks, positions)
    }
}
