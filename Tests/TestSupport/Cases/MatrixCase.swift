package import SparseAttention

/// The sizes of a matrix product, and the seed of its factors.
package struct MatrixCase: Hashable, Sendable {
    /// Rows of the left factor.
    package let rows: Int
    /// The dimension summed over.
    package let depth: Int
    /// Columns of the product.
    package let columns: Int
    /// The seed of both factors.
    package let seed: UInt64

    /// Sizes around one element, one register, one tile of 64 or 128 rows, and primes.
    package static let all: [MatrixCase] = [
        MatrixCase(rows: 1, depth: 1, columns: 1, seed: 1),
        MatrixCase(rows: 1, depth: 63, columns: 100, seed: 2),
        MatrixCase(rows: 63, depth: 1, columns: 5, seed: 3),
        MatrixCase(rows: 2, depth: 100, columns: 63, seed: 4),
        MatrixCase(rows: 131, depth: 17, columns: 7, seed: 5),
        MatrixCase(rows: 5, depth: 257, columns: 3, seed: 6),
        MatrixCase(rows: 4, depth: 16, columns: 128, seed: 7),
        MatrixCase(rows: 3, depth: 0, columns: 4, seed: 8),
        MatrixCase(rows: 0, depth: 3, columns: 4, seed: 9),
        MatrixCase(rows: 3, depth: 4, columns: 0, seed: 10),
    ]

    /// Sizes around a panel of 48 columns, a block of 512 inputs and the blocks of 128 that share a scale.
    package static let blocks: [MatrixCase] = [
        MatrixCase(rows: 9, depth: 515, columns: 50, seed: 11),
        MatrixCase(rows: 3, depth: 641, columns: 131, seed: 12),
        MatrixCase(rows: 20, depth: 130, columns: 97, seed: 13),
    ]

    /// `[rows, depth]` and, transposed, `[columns, depth]`.
    package var factors: (left: Tensor, right: Tensor) {
        var generator = SeededGenerator(seed: seed)
        return (
            generator.tensor(Shape(trusted: [rows, depth])),
            generator.tensor(Shape(trusted: [columns, depth]))
        )
    }
}

extension Tensor {
    /// A matrix with rows and columns exchanged.
    package var transposed: Tensor {
        let (rows, columns, source) = (shape[0], shape[1], elements)
        var result = Tensor(uninitialized: Shape(trusted: [columns, rows]))
        result.withMutableElements { elements in
            for row in 0..<rows {
                for column in 0..<columns {
                    elements[column * rows + row] = source[row * columns + column]
                }
            }
        }
        return result
    }
}
