// MARK: - Products of bfloat16

extension WeightMatrix {
    /// Inputs of one packed block: with `tileRows` outputs, two fifths of a second-level cache of 1 MiB.
    private static let blockColumns = 1024
    /// Outputs of one tile of work, whole panels; fewer where there is little to share the work of packing.
    private static func tileRows(inputs: Int, rows: Int) -> Int {
        (inputs < 16 ? 1 : rows < 2048 ? 2 : 4) * Kernels.panelColumns
    }
    /// Input rows of one tile of work, which packs its part of the weight anew.
    private static let tileInputs = 1024
    /// Input rows that go through a packed block together, while in cache.
    private static let blockInputs = 128

    /// `output = inputs · weightᵀ` with both rounded to bfloat16, products exact, sums in float32.
    ///
    /// Weights stored in bfloat16 and E4M3 codes enter as they are; an E4M3 weight sums each block of 128 inputs by
    /// itself and multiplies it by the block's scale. Weights in float32 or float16 are rounded. The results of one
    /// input row do not depend on the others; up to `fewInputs` rows may be summed in another order than more.
    ///
    /// Operations: `2 · n · rows · columns`; bytes: the stored weight once for each 1024 input rows.
    ///
    /// - Parameters:
    ///   - inputs: `[n, columns]`.
    ///   - output: `[n, rows]`, overwritten.
    ///   - workers: the threads to use.
    package func applyRounded(to inputs: MatrixView, into output: MutableMatrixView, workers: Workers) {
        precondition(inputs.columns == columns && output.columns == rows && inputs.rows == output.rows)
        guard columns > 0 else { return output.fill(0) }
        guard inputs.rows > 0, rows > 0 else { return }
        let memory = Scratch(floats: BFloat16Matrix.scratchFloats(rows: inputs.rows, columns: columns))
        let rounded = BFloat16Matrix(rows: inputs.rows, columns: columns, scratch: memory)
        workers.run(count: inputs.rows, tile: Self.blockInputs) { range in
            rounded.rows(range).round(inputs.rows(range))
        }
        if inputs.rows <= Self.fewInputs, isStoredRounded {
            // Bound by memory: the weight is read once, straight through.
            return applyStored(to: rounded, into: output, workers: workers)
        }
        let tile = Self.tileRows(inputs: inputs.rows, rows: rows)
        let tiles = tileCount(rows, tile)
        workers.run(
            tiles: tiles * tileCount(inputs.rows, Self.tileInputs),
            scratch: { PanelMemory(rows: min(tile, rows), columns: min(Self.blockColumns, columns)) },
            { index, memory in
                let (part, tileIndex) = index.quotientAndRemainder(dividingBy: tiles)
                let first = part * Self.tileInputs
                let tokens = first..<min(first + Self.tileInputs, inputs.rows)
                let range = tileIndex * tile..<min((tileIndex + 1) * tile, rows)
                multiply(rounded.rows(tokens), range, memory, output.rows(tokens).columns(range))
            }
        )
        withExtendedLifetime(memory) {}
    }

    /// Whether the stored elements are what the product takes.
    var isStoredRounded: Bool {
        switch format {
        case .bfloat16, .float8: true
        case .float32, .float16: false
        }
    }

    /// The product with a few rounded input rows.
    private func applyStored(to inputs: BFloat16Matrix, into output: MutableMatrixView, workers: Workers) {
        let memory = Scratch(floats: inputs.rows * columns)
        let widened = memory.matrix(rows: inputs.rows, columns: columns)
        for row in 0..<inputs.rows {
            Kernels.widen(bfloat16: inputs[row], into: widened[row], count: columns)
        }
        applyRowByRow(to: widened.view, into: output, workers: workers)
        withExtendedLifetime(memory) {}
    }

    /// `output = inputs · weight[range]ᵀ`, block after block of inputs.
    private func multiply(
        _ inputs: BFloat16Matrix,
        _ range: Range<Int>,
        _ memory: PanelMemory,
        _ output: MutableMatrixView
    ) {
        for start in stride(from: 0, to: columns, by: Self.blockColumns) {
            let block = start..<min(start + Self.blockColumns, columns)
            let panels = pack(range, columns: block, memory)
            for part in parts(of: block) {
                let factors = factors(of: range, column: part.lowerBound, memory)
                let terms = panels.rows(part.lowerBound - start..<part.upperBound - start)
                let left = inputs.columns(part)
                for row in stride(from: 0, to: inputs.rows, by: Self.blockInputs) {
                    let rows = row..<min(row + Self.blockInputs, inputs.rows)
                    terms.multiply(
                        left.rows(rows),
                        factors: factors,
                        accumulating: part.lowerBound > 0,
                        into: output.rows(rows)
                    )
                }
            }
        }
    }

    /// The ranges of columns that have one scale each, or all of them.
    private func parts(of block: Range<Int>) -> [Range<Int>] {
        guard isFloat8 else { return [block] }
        return stride(from: block.lowerBound, to: block.upperBound, by: BlockScales.width).map {
            $0..<min($0 + BlockScales.width, block.upperBound)
        }
    }

    /// The scale of each row, for the block of columns that begins at `column`; nil where there are none.
    private func factors(of range: Range<Int>, column: Int, _ memory: PanelMemory) -> UnsafePointer<Float>? {
        guard case .float8(let scales) = format else { return nil }
        for (index, row) in range.enumerated() {
            memory.factors[index] = scales[row: row, column: column]
        }
        return UnsafePointer(memory.factors)
    }

    /// Packs a block of the weight's transpose.
    private func pack(_ range: Range<Int>, columns block: Range<Int>, _ memory: PanelMemory) -> PackedPanels {
        let panels = memory.panels.resized(rows: block.count, columns: range.count)
        for (index, row) in range.enumerated() {
            memory.pointers[index] = bfloat16(row, block, room: memory.block[index], memory)
        }
        panels.pack(columns: UnsafePointer(memory.pointers))
        return panels
    }

    /// Part of a row in bfloat16: where it is stored, or converted into `room`.
    private func bfloat16(
        _ row: Int,
        _ block: Range<Int>,
        room: UnsafeMutablePointer<UInt16>,
        _ memory: PanelMemory
    ) -> UnsafePointer<UInt16> {
        let start = base + (row * columns + block.lowerBound) * format.byteCount
        switch format {
        case .bfloat16:
            return start.assumingMemoryBound(to: UInt16.self)
        case .float32:
            Kernels.round(start.assumingMemoryBound(to: Float.self), toBFloat16: room, count: block.count)
        case .float16:
            let source = start.assumingMemoryBound(to: UInt16.self)
            Kernels.widen(float16: source, into: memory.row, count: block.count)
            Kernels.round(memory.row, toBFloat16: room, count: block.count)
        case .float8:
            let source = start.assumingMemoryBound(to: UInt8.self)
            Kernels.rescale(float8: source, by: 1, toBFloat16: room, count: block.count)
        }
        return UnsafePointer(room)
    }
}

/// One worker's room for a packed block of a weight.
private final class PanelMemory {
    let panels: PackedPanels  // [columns, rows]
    let block: BFloat16Matrix  // [rows, columns], for weights stored in another format
    let pointers: UnsafeMutablePointer<UnsafePointer<UInt16>?>  // [rows]
    let factors: UnsafeMutablePointer<Float>  // [rows]
    let row: UnsafeMutablePointer<Float>  // [columns]
    private let scratch: Scratch

    init(rows: Int, columns: Int) {
        scratch = Scratch(
            floats: PackedPanels.scratchFloats(rows: columns, columns: rows)
                + BFloat16Matrix.scratchFloats(rows: rows, columns: columns) + 3 * rows + columns
        )
        panels = PackedPanels(rows: columns, columns: rows, scratch: scratch)
        block = BFloat16Matrix(rows: rows, columns: columns, scratch: scratch)
        pointers = scratch.array(of: UnsafePointer<UInt16>?.self, count: rows)
        factors = scratch.array(of: Float.self, count: rows)
        row = scratch.array(of: Float.self, count: columns)
    }
}
