import CDSAOracle
import SparseAttention

/// `dsa_topk` of `dsa_oracle.h`.
@c @implementation
public func dsa_topk(
    _ scores: UnsafePointer<Float>?,
    _ start: UnsafePointer<Int32>?,
    _ end: UnsafePointer<Int32>?,
    _ rows: Int64,
    _ columns: Int64,
    _ k: Int64,
    _ indices: UnsafeMutablePointer<Int32>?
) -> Int32 {
    answer("dsa_topk") { () throws(OracleFault) in
        let rows = try tokens(rows, "rows")
        let columns = try tokens(columns, "columns")
        let slots = try size(k, "k", in: 1...DSA_MAX_TOPK)
        let scores = try input(scores, "scores", rows, columns)
        let candidates: [Range<Int>]
        switch (start, end) {
        case (nil, nil):
            candidates = [Range<Int>](repeating: 0..<columns, count: rows)
        case (let start?, let end?):
            candidates = try ranges(
                input(start, "start", rows),
                input(end, "end", rows),
                names: ("start", "end"),
                limit: columns
            )
        default:
            throw .argument(start == nil ? "start" : "end", found: "NULL", expected: "both bounds or none")
        }
        let target = try output(indices, "indices", rows, slots)
        let topK = try core { () throws(SparseAttentionError) in try TopK(slots) }
        let selection = SelectionRows(scores: scores, indices: target, columns: columns, slots: slots)
        Workers.all.run(tiles: rows) { row in
            selection.select(topK, among: candidates[row], row: row)
        }
    }
}

/// Rows of scores and where their selections go.
private struct SelectionRows: @unchecked Sendable {
    // Sendable: each tile writes its own row.
    let scores: UnsafeBufferPointer<Float>  // [rows, columns]
    let indices: UnsafeMutableBufferPointer<Int32>  // [rows, slots]
    let columns: Int
    let slots: Int

    /// Selects among some columns of a row.
    func select(_ topK: TopK, among range: Range<Int>, row: Int) {
        let start = row * columns
        let candidates = UnsafeBufferPointer(
            rebasing: scores[start + range.lowerBound..<start + range.upperBound]
        )
        let chosen = UnsafeMutableBufferPointer(rebasing: indices[row * slots..<(row + 1) * slots])
        var span = chosen.mutableSpan
        topK.select(candidates.span, into: &span)
        for slot in chosen.indices where chosen[slot] != TokenSelection.unused {
            chosen[slot] += Int32(range.lowerBound)
        }
    }
}
