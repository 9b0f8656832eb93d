// MARK: - Several weights at once

extension WeightMatrix {
    /// A weight, and where in a row of numbers its input begins.
    package struct Part {
        let weight: WeightMatrix
        let start: Int

        /// The weight applied to `input[start ..< start + weight.columns]`.
        package init(_ weight: WeightMatrix, at start: Int = 0) {
            self.weight = weight
            self.start = start
        }
    }

    /// The products of several weights with parts of one row, in one region of work.
    ///
    /// What a decoded token asks of its experts is a dozen small products; each by itself would leave threads
    /// waiting for one another. Results are those of `apply`, bit for bit.
    ///
    /// - Parameters:
    ///   - parts: the weights; their inputs may overlap.
    ///   - input: one row of numbers, of any shape.
    ///   - products: the numbers that are multiplied.
    ///   - workers: the threads to use.
    /// - Returns: the outputs one after the other, `[Σ rows]`.
    package static func apply(
        _ parts: [Part],
        to input: Tensor,
        products: ProductArithmetic = .float32,
        workers: Workers
    ) -> Tensor {
        precondition(parts.allSatisfy { $0.start >= 0 && $0.start + $0.weight.columns <= input.count })
        var output = Tensor(uninitialized: [parts.reduce(0) { $0 + $1.weight.rows }])
        output.withMutableMatrix { output in
            guard products == .float32 || parts.allSatisfy({ $0.weight.isStoredRounded }) else {
                return applyEach(parts, to: input, products: products, into: output, workers: workers)
            }
            let tiles = tiles(of: parts)
            input.rounded(to: products == .bfloat16 ? .bfloat16 : .float32).withMatrix { input in
                workers.run(tiles: tiles.count) { index in
                    let tile = tiles[index]
                    tile.part.weight.multiply(
                        tile.rows,
                        vector: input.base + tile.part.start,
                        into: output.base + tile.output
                    )
                }
            }
        }
        return output
    }

    private static func applyEach(
        _ parts: [Part],
        to input: Tensor,
        products: ProductArithmetic,
        into output: MutableMatrixView,
        workers: Workers
    ) {
        var start = 0
        input.withMatrix { input in
            let input = input.reshaped(rows: 1, columns: input.rows * input.columns)
            for part in parts {
                part.weight.apply(
                    to: input.columns(part.start..<part.start + part.weight.columns),
                    into: output.columns(start..<start + part.weight.rows),
                    products: products,
                    workers: workers
                )
                start += part.weight.rows
            }
        }
    }

    private static func tiles(of parts: [Part]) -> [(part: Part, rows: Range<Int>, output: Int)] {
        var tiles: [(part: Part, rows: Range<Int>, output: Int)] = []
        var start = 0
        for part in parts {
            for first in stride(from: 0, to: part.weight.rows, by: vectorTileRows) {
                let rows = first..<min(first + vectorTileRows, part.weight.rows)
                tiles.append((part, rows, start + first))
            }
            start += part.weight.rows
        }
        return tiles
    }
}
