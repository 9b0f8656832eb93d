/// A tile of keys, widened and transposed for the kernels: one worker's memory.
final class IndexKeyTile {
    /// The keys of a tile.
    static let keys = Kernels.tileKeys

    private let source: IndexKeys
    private let inBFloat16: Bool
    private let numbers: MutableMatrixView  // [tileRows, keys], in float32 or, in half the room, in bfloat16
    private let widened: MutableMatrixView  // [keys, dim], for keys that lie apart
    private let scales: MutableMatrixView  // [1, keys]
    private let scratch: Scratch
    private var upcoming: UnsafeRawBufferPointer?

    /// Room for a tile of keys.
    ///
    /// - Parameters:
    ///   - source: the keys.
    ///   - inBFloat16: whether products are taken in bfloat16, for keys stored no wider.
    init(_ source: IndexKeys, inBFloat16: Bool) {
        self.source = source
        self.inBFloat16 = inBFloat16
        scratch = Scratch(floats: (Kernels.tileRows(source.dim) + source.dim + 1) * Self.keys)
        numbers = scratch.matrix(rows: Kernels.tileRows(source.dim), columns: Self.keys)
        widened = scratch.matrix(rows: Self.keys, columns: source.dim)
        scales = scratch.matrix(rows: 1, columns: Self.keys)
        scales.fill(1)
    }

    /// Loads the tile that begins at a key.
    ///
    /// - Parameters:
    ///   - first: a multiple of the tile's keys.
    ///   - end: where the caller's keys end.
    func load(from first: Int, to end: Int) {
        let range = first..<min(first + Self.keys, end)
        let next = range.upperBound..<min(range.upperBound + Self.keys, end)
        upcoming = next.isEmpty ? nil : source.stored(next)?.bytes
        guard let stored = source.stored(range) else {
            let tile = source.widened(range, scratch: widened)
            if tile.stride != tile.columns {
                widened.rows(0..<tile.rows).copy(from: tile)
            }
            let rows = tile.stride == tile.columns ? tile.base : UnsafePointer(widened.base)
            fill(UnsafeRawPointer(rows), keys: range.count, format: .float32)
            return
        }
        if let start = stored.bytes.baseAddress {
            fill(start, keys: range.count, format: stored.format)
        }
        guard let stored = stored.scales else { return }
        for key in 0..<range.count {
            let bits = stored.loadUnaligned(fromByteOffset: key * MemoryLayout<Float>.size, as: UInt32.self)
            scales.base[key] = Float(bitPattern: UInt32(littleEndian: bits))
        }
    }

    private func fill(_ rows: UnsafeRawPointer, keys: Int, format: Kernels.KeyFormat) {
        Kernels.fill(
            tile: numbers.base,
            inBFloat16: inBFloat16,
            keys: keys,
            dim: source.dim,
            rows: rows,
            format: format
        )
    }

    /// Scores the loaded keys for one query token.
    ///
    /// - Parameters:
    ///   - queries: in the tile's arithmetic.
    ///   - token: which of them.
    ///   - scores: `[keys]`, overwritten.
    func score(_ queries: IndexQueries, token: Int, into scores: UnsafeMutablePointer<Float>) {
        queries.withToken(token) { query, weights in
            Kernels.score(
                tile: numbers.base,
                inBFloat16: inBFloat16,
                queries: query,
                weights: weights,
                heads: queries.heads,
                dim: source.dim,
                scales: scales.base,
                upcoming: upcoming,
                into: scores
            )
        }
        upcoming = nil  // fetched once, however many query tokens there are
    }
}
