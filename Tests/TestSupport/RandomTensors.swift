package import SparseAttention

extension SeededGenerator {
    /// Numbers in `-magnitude ..< magnitude`.
    package mutating func tensor(_ shape: Shape, magnitude: Float = 1) -> Tensor {
        filled(shape) { $0.uniform() * magnitude }
    }

    /// Small integers, so that products and sums are exact in any order and equal scores are common.
    package mutating func integers(_ shape: Shape, in range: ClosedRange<Int> = -3...3) -> Tensor {
        filled(shape) { Float($0.integer(in: range)) }
    }

    private mutating func filled(_ shape: Shape, _ next: (inout SeededGenerator) -> Float) -> Tensor {
        var tensor = Tensor(uninitialized: shape)
        tensor.withMutableElements { elements in
            for index in elements.indices {
                elements[index] = next(&self)
            }
        }
        return tensor
    }

    /// Distinct visible positions in random order, unused slots among them.
    ///
    /// The query token at row `i` draws from the positions up to `position + i`, and uses at most `used` slots.
    package mutating func selection(
        queryTokens: Int,
        slots: Int,
        position: Int,
        used: Int? = nil
    ) throws(SparseAttentionError) -> TokenSelection {
        var positions: [Int32] = []
        for token in 0..<queryTokens {
            let drawn = permutation(of: position + token + 1).prefix(min(used ?? slots, slots)).map(
                Int32.init
            )
            let unused = [Int32](repeating: TokenSelection.unused, count: slots - drawn.count)
            positions += (drawn + unused).shuffled(using: &self)
        }
        return try TokenSelection(positions: positions, queryTokens: queryTokens, slots: slots)
    }
}

extension Tensor {
    /// A copy in which some rows (all dimensions but the last) hold one number.
    package func settingRows(_ rows: some Sequence<Int>, to value: Float) -> Tensor {
        var copy = self
        let columns = shape.columns
        copy.withMutableElements { elements in
            for row in rows {
                for column in 0..<columns {
                    elements[row * columns + column] = value
                }
            }
        }
        return copy
    }

    /// The rows of a matrix, as arrays.
    package var rowArrays: [[Float]] {
        let (all, columns) = (elements, shape.columns)
        return (0..<shape.rows).map { Array(all[$0 * columns..<($0 + 1) * columns]) }
    }
}
