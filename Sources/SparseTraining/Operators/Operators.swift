import SparseAttention

/// The operations of the model with their gradients, as plain pairs: `forward` computes a value, `backward` turns the
/// gradient of a loss with respect to that value into gradients with respect to what it was computed from.
///
/// Everything is float32 and explicit: no tape, no graph. What `backward` needs is handed to it; what is cheap to compute
/// again is computed again. Work is cut by shapes alone, so results do not depend on the number of threads.
public enum Operators {
    /// Rows of one tile of work where rows are independent.
    static let tileRows = 64
}

extension Tensor {
    /// Runs a body over tiles of rows that it writes.
    mutating func forEachTile(
        workers: Workers,
        _ body: @Sendable (_ rows: Range<Int>, _ matrix: MutableMatrixView) -> Void
    ) {
        withMutableMatrix { matrix in
            workers.run(count: matrix.rows, tile: Operators.tileRows) { body($0, matrix) }
        }
    }
}
