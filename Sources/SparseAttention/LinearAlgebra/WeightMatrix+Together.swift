// MARK: - Several weights at once

extension WeightMatrix {
    /// A weight, and where in a row of numbers its inputs begin.
    package struct Part: Sendable {
        let weight: WeightMatrix
        let starts: [Int]

        /// The weight applied to `input[start ..< start + weight.columns]` for each start.
        package init(_ weight: WeightMatrix, at starts: [Int] = [0]) {
            self.weight = weight
            self.starts = starts
        }

        /// The numbers that come out.
        fileprivate var outputs: Int { starts.count * weight.rows }

        /// Whether its inputs are read in the kernels' own order.
        fileprivate var takesArrangedInputs: Bool {
            starts.count > 1 && weight.takesArrangedInputs
                && starts.allSatisfy { $0 % Kernels.arrangedColumns == 0 }
        }
    }

    /// The products of several weights with parts of one row, in one region of work.
    ///
    /// What decoded tokens ask of their experts is dozens of small products; each by itself would leave threads
    /// waiting for one another. Results are those of `apply` to a single row, bit for bit.
    ///
    /// - Parameters:
    ///   - parts: the weights; their inputs may overlap.
    ///   - input: one row of numbers, of any shape.
    ///   - products: the numbers that are multiplied.
    ///   - workers: the threads to use.
    /// - Returns: the outputs one after the other, each part's in the order of its starts.
    package static func apply(
        _ parts: [Part],
        to input: Tensor,
        products: ProductArithmetic = .float32,
        workers: Workers
    ) -> Tensor {
        precondition(
            parts.allSatisfy { part in
                part.starts.allSatisfy { $0 >= 0 && $0 + part.weight.columns <= input.count }
            }
        )
        var output = Tensor(uninitialized: [parts.reduce(0) { $0 + $1.outputs }])
        output.withMutableMatrix { output in
            guard products == .float32 || parts.allSatisfy({ $0.weight.isStoredRounded }) else {
                return applyEach(parts, to: input, products: products, into: output, workers: workers)
            }
            let tiles = tiles(of: parts)
            let isArranged = tiles.contains(where: \.isArranged)
            input.rounded(to: products == .bfloat16 ? .bfloat16 : .float32).withMatrix { input in
                let memory = Scratch(floats: isArranged ? input.rows * input.columns : 0)
                let arranged = isArranged ? arrange(input, in: memory) : input
                workers.run(tiles: tiles.count) { index in
                    let tile = tiles[index]
                    let (weight, starts) = (tile.part.weight, tile.part.starts)
                    weight.multiply(
                        tile.rows,
                        vectors: starts.count,
                        areArranged: tile.isArranged,
                        from: { (tile.isArranged ? arranged : input).base + starts[$0] },
                        into: { output.base + tile.output + $0 * weight.rows }
                    )
                }
                withExtendedLifetime(memory) {}
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
        var first = 0
        input.withMatrix { input in
            let input = input.reshaped(rows: 1, columns: input.rows * input.columns)
            for part in parts {
                for start in part.starts {
                    part.weight.apply(
                        to: input.columns(start..<start + part.weight.columns),
                        into: output.columns(first..<first + part.weight.rows),
                        products: products,
                        workers: workers
                    )
                    first += part.weight.rows
                }
            }
        }
    }

    /// All of a row in the kernels' own order, as far as it is a whole number of chunks.
    private static func arrange(_ input: MatrixView, in memory: Scratch) -> MatrixView {
        let (count, width) = (input.rows * input.columns, Kernels.arrangedColumns)
        let arranged = memory.matrix(rows: 1, columns: count)
        Kernels.arrange(input.base, into: arranged.base, count: count / width * width)
        return arranged.view
    }

    /// Some outputs of a part.
    private struct Tile: Sendable {
        let part: Part
        let rows: Range<Int>
        let output: Int
        let isArranged: Bool
    }

    private static func tiles(of parts: [Part]) -> [Tile] {
        var tiles: [Tile] = []
        var start = 0
        for part in parts {
            let (rows, tile) = (part.weight.rows, part.weight.tileRows(inputs: part.starts.count))
            let isArranged = part.takesArrangedInputs
            for first in stride(from: 0, to: rows, by: tile) {
                let range = first..<min(first + tile, rows)
                tiles.append(.init(part: part, rows: range, output: start + first, isArranged: isArranged))
            }
            start += part.outputs
        }
        return tiles
    }
}
