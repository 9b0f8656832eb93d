// MARK: - A few input rows

extension WeightMatrix {
    /// Input rows up to which each is multiplied as if it were alone.
    ///
    /// Sequences that are decoded together, and tokens that were guessed, get the very numbers they get one at a time;
    /// the weight is read from memory once for all of them.
    package static let fewInputs = 16

    /// Outputs computed as one tile of work for a single input row.
    static let vectorTileRows = 64

    /// Outputs of one tile of work, times its input rows.
    private static let tileProducts = 128

    /// Bytes of a weight that all of several input rows go by while it is in cache: half of a second-level cache.
    private static let vectorsTileBytes = 1 << 19

    /// Outputs of one tile of work for a few input rows, a multiple of four.
    func tileRows(inputs: Int) -> Int {
        guard inputs > 1 else { return Self.vectorTileRows }
        let fitting = Self.vectorsTileBytes / max(columns * format.byteCount, 1)
        return max(min(fitting, Self.tileProducts / inputs, Self.vectorTileRows) / 4 * 4, 4)
    }

    /// `output = inputs · weightᵀ` for a few input rows, each multiplied as if it were alone.
    func applyRowByRow(to inputs: MatrixView, into output: MutableMatrixView, workers: Workers) {
        guard inputs.rows > 0 else { return }
        let isArranged = inputs.rows > 1 && takesArrangedInputs
        let memory = Scratch(floats: isArranged ? inputs.rows * columns : 0)
        let arranged = memory.matrix(rows: isArranged ? inputs.rows : 0, columns: columns)
        for row in 0..<arranged.rows {
            Kernels.arrange(inputs[row], into: arranged[row], count: columns)
        }
        let source = isArranged ? arranged.view : inputs
        workers.run(count: rows, tile: tileRows(inputs: inputs.rows)) { range in
            multiply(
                range,
                vectors: inputs.rows,
                areArranged: isArranged,
                from: { source[$0] },
                into: { output[$0] + range.lowerBound }
            )
        }
        withExtendedLifetime(memory) {}
    }

    /// Whether several inputs are read in the kernels' own order.
    var takesArrangedInputs: Bool { isBFloat16 && columns % Kernels.arrangedColumns == 0 }

    /// `output[r] = weight[r] · vector` for the rows of a range and a few vectors.
    ///
    /// - Parameters:
    ///   - range: the rows.
    ///   - vectors: how many there are.
    ///   - areArranged: whether they come in the kernels' own order.
    ///   - vector: `[columns]`, by its index.
    ///   - output: `[range.count]`, by its vector's index.
    func multiply(
        _ range: Range<Int>,
        vectors: Int,
        areArranged: Bool,
        from vector: (Int) -> UnsafePointer<Float>,
        into output: (Int) -> UnsafeMutablePointer<Float>
    ) {
        guard areArranged else {
            for index in 0..<vectors { multiply(range, vector: vector(index), into: output(index)) }
            return
        }
        let matrix = (base + range.lowerBound * columns * format.byteCount)
            .assumingMemoryBound(to: UInt16.self)
        withUnsafeTemporaryAllocation(of: UnsafePointer<Float>?.self, capacity: vectors) { inputs in
            withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<Float>?.self, capacity: vectors) {
                outputs in
                for index in 0..<vectors {
                    inputs.initializeElement(at: index, to: vector(index))
                    outputs.initializeElement(at: index, to: output(index))
                }
                Kernels.multiply(
                    bfloat16: matrix,
                    rows: range.count,
                    columns: columns,
                    vectors: UnsafeBufferPointer(inputs),
                    into: UnsafeBufferPointer(outputs)
                )
            }
        }
    }
}
