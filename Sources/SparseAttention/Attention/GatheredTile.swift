import Foundation

/// One worker's memory for a query token with few heads, whose selected rows are read where they lie.
///
/// A product of a few heads with a tile of gathered rows would spend its time on copying and packing them. Here the heads
/// are the lanes of a vector, sixteen at a time, and meet each row as it comes.
///
/// Operations: `4 · 16 · ⌈heads / 16⌉ · slots · (rowDim + valueDim)`, those of empty lanes included.
final class GatheredTile {
    /// With more heads than this a product of matrices is faster.
    static let mostHeads = 32

    private let scale: Float
    private let valueDim: Int
    private let queries: MutableMatrixView  // [lanes, rowDim]
    private let factors: MutableMatrixView  // [rowDim, lanes]
    private let weights: MutableMatrixView  // [slots, lanes]
    private let sums: MutableMatrixView  // [lanes, valueDim]
    private let output: MutableMatrixView  // [heads, valueDim]
    private let room: MutableMatrixView  // [tileRows, rowDim], for rows stored in another format
    private let maxima: UnsafeMutablePointer<Float>  // [heads, and idle lanes], scaled
    private let totals: UnsafeMutablePointer<Float>  // [heads, and idle lanes], relative to `maxima`
    private let scratch: Scratch

    /// Memory for at most `slots` rows.
    init(heads: Int, slots: Int, rowDim: Int, valueDim: Int, scale: Float) {
        let lanes = Kernels.lanes
        let laneHeads = tileCount(heads, lanes) * lanes
        scratch = Scratch(
            floats: lanes * (2 * rowDim + valueDim) + slots * lanes + heads * valueDim + 2 * laneHeads
                + Self.tileRows * rowDim,
            matrices: 9
        )
        queries = scratch.matrix(rows: lanes, columns: rowDim)
        factors = scratch.matrix(rows: rowDim, columns: lanes)
        weights = scratch.matrix(rows: slots, columns: lanes)
        sums = scratch.matrix(rows: lanes, columns: valueDim)
        output = scratch.matrix(rows: heads, columns: valueDim)
        room = scratch.matrix(rows: Self.tileRows, columns: rowDim)
        maxima = scratch.array(of: Float.self, count: laneHeads)
        totals = scratch.array(of: Float.self, count: laneHeads)
        self.scale = scale
        self.valueDim = valueDim
    }

    /// Attends to rows, all of them valid.
    ///
    /// - Parameters:
    ///   - queries: `[heads, rowDim]`.
    ///   - rows: all rows of the sequence.
    ///   - chosen: positions, at most as many as there are slots.
    func attend(_ queries: MatrixView, to rows: RowsView, at chosen: [Int32]) {
        for first in stride(from: 0, to: queries.rows, by: Kernels.lanes) {
            let heads = first..<min(first + Kernels.lanes, queries.rows)
            load(queries.rows(heads))
            forEachTile(of: rows, at: chosen) { range, rows, positions in
                Kernels.multiply(
                    gathered: positions,
                    of: rows,
                    lanes: heads.count,
                    by: factors.base,
                    into: weights[range.lowerBound]
                )
            }
            Kernels.exponentiate(
                lanesOf: weights.base,
                count: chosen.count,
                lanes: heads.count,
                scale: scale,
                maxima: maxima + first,
                sums: totals + first
            )
            sums.fill(0)
            forEachTile(of: rows, at: chosen) { range, rows, positions in
                Kernels.add(
                    gathered: positions,
                    of: rows.columns(0..<valueDim),
                    lanes: heads.count,
                    times: weights[range.lowerBound],
                    to: sums.base
                )
            }
            for (lane, head) in heads.enumerated() {
                output[head].update(from: sums[lane], count: valueDim)
            }
        }
    }

    /// Goes through the chosen rows, where they lie when they are stored in float32, else widened tile by tile.
    ///
    /// Sums go on from tile to tile, so that both give the same bits.
    private func forEachTile(
        of rows: RowsView,
        at chosen: [Int32],
        _ body: (_ range: Range<Int>, _ rows: MatrixView, _ positions: UnsafeBufferPointer<Int32>) -> Void
    ) {
        guard !chosen.isEmpty else { return }
        if let matrix = rows.matrix {
            return chosen.withUnsafeBufferPointer { body(chosen.indices, matrix, $0) }
        }
        for start in stride(from: 0, to: chosen.count, by: Self.tileRows) {
            let range = start..<min(start + Self.tileRows, chosen.count)
            let tile = room.rows(0..<range.count)
            rows.gather(chosen[range], into: tile)
            Self.inOrder.withUnsafeBufferPointer {
                body(range, tile.view, UnsafeBufferPointer(rebasing: $0[0..<range.count]))
            }
        }
    }

    /// Rows widened at once.
    private static let tileRows = 128
    /// The positions of a tile.
    private static let inOrder = (0..<Int32(tileRows)).map { $0 }

    /// Lays out the queries of some heads; lanes without a head hold 0, and so do their scores.
    private func load(_ source: MatrixView) {
        queries.fill(0)
        queries.rows(0..<source.rows).copy(from: source)
        for lane in 0..<Kernels.lanes {
            let line = queries[lane]
            for column in 0..<queries.columns {
                factors[column][lane] = line[column]
            }
        }
    }

    /// Writes the results of one head; zeros and −infinity where it saw nothing.
    func finish(row head: Int, into result: AttentionResult.Rows, at index: Int) {
        let target = result.output[index]
        result.maximumScore[index] = maxima[head]
        guard maxima[head] != -.infinity else {
            target.update(repeating: 0, count: valueDim)
            result.logSumExp[index] = -.infinity
            return
        }
        target.update(from: output[head], count: valueDim)
        Kernels.scale(target, by: 1 / totals[head], count: valueDim)
        result.logSumExp[index] = maxima[head] + log(totals[head])
    }
}
