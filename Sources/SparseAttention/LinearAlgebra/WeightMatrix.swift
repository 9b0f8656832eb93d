/// The scales of a weight stored as E4M3 codes: one for each block of 128×128, edge blocks partial.
package struct BlockScales: Sendable {
    /// Rows and columns of a block.
    package static let width = QuantizedWeight.blockWidth

    private let values: [Float]  // [⌈rows / 128⌉, ⌈columns / 128⌉]
    private let blockColumns: Int
    private let firstRow: Int  // rows of the whole weight before this part

    /// The scales of a whole weight of the given width.
    package init(_ values: [Float], columns: Int) {
        self.init(values, blockColumns: tileCount(columns, Self.width), firstRow: 0)
    }

    private init(_ values: [Float], blockColumns: Int, firstRow: Int) {
        self.values = values
        self.blockColumns = blockColumns
        self.firstRow = firstRow
    }

    fileprivate func dropping(rows first: Int) -> BlockScales {
        BlockScales(values, blockColumns: blockColumns, firstRow: firstRow + first)
    }

    subscript(row row: Int, column column: Int) -> Float {
        values[(firstRow + row) / Self.width * blockColumns + column / Self.width]
    }

    /// Lends the scales of each row of blocks, ascending, with the part of `range` that lies in it.
    fileprivate func forEachRowOfBlocks(
        in range: Range<Int>,
        _ body: (Range<Int>, UnsafePointer<Float>) -> Void
    ) {
        values.withUnsafeBufferPointer { values in
            guard let base = values.baseAddress else { return }
            var row = range.lowerBound
            while row < range.upperBound {
                let block = (firstRow + row) / Self.width
                let end = min((block + 1) * Self.width - firstRow, range.upperBound)
                body(row..<end, base + block * blockColumns)
                row = end
            }
        }
    }

    fileprivate func forEachBlock(inRow row: Int, columns: Int, _ body: (Range<Int>, Float) -> Void) {
        for start in stride(from: 0, to: columns, by: Self.width) {
            body(start..<min(start + Self.width, columns), self[row: row, column: start])
        }
    }
}

/// The weight of a linear layer, in the format its file stores.
///
/// The numbers stay where they are, usually in a memory-mapped file, and are widened to float32 tile by tile
/// while they are used: a checkpoint never needs its float32 size in memory. Widening is exact.
package struct WeightMatrix: @unchecked Sendable {
    // Sendable: read-only memory that `owner` keeps alive.

    /// How one element is stored.
    package enum Format: Sendable {
        case float32, bfloat16, float16
        /// E4M3 codes with one scale for each block of 128×128.
        case float8(BlockScales)

        /// The size of one element in bytes.
        package var byteCount: Int {
            switch self {
            case .float32: 4
            case .bfloat16, .float16: 2
            case .float8: 1
            }
        }

        /// The format of the rows from `first` on.
        fileprivate func dropping(rows first: Int) -> Format {
            if case .float8(let scales) = self { .float8(scales.dropping(rows: first)) } else { self }
        }

        /// Whether products can read the elements where they are stored.
        fileprivate var isFloat32: Bool {
            if case .float32 = self { true } else { false }
        }
    }

    /// The number of outputs.
    package let rows: Int
    /// The number of inputs.
    package let columns: Int
    /// How the elements are stored.
    package let format: Format

    let base: UnsafeRawPointer
    private let owner: AnyObject

    /// Refers to `rows · columns` elements at `base`, in row-major order.
    ///
    /// Elements that do not lie on a multiple of their size are copied once.
    ///
    /// `owner` keeps the memory alive.
    package init(rows: Int, columns: Int, format: Format, base: UnsafeRawPointer, owner: AnyObject) {
        self.rows = rows
        self.columns = columns
        self.format = format
        if Int(bitPattern: base) % format.byteCount == 0 {
            self.base = base
            self.owner = owner
        } else {
            let byteCount = rows * columns * format.byteCount
            let copy = AlignedBuffer(byteCount: byteCount, poisoned: false)
            copy.base.copyMemory(from: base, byteCount: byteCount)
            self.base = UnsafeRawPointer(copy.base)
            self.owner = copy
        }
    }

    /// Copies a float32 matrix.
    package init(_ tensor: Tensor) {
        let byteCount = tensor.count * MemoryLayout<Float>.stride
        let copy = AlignedBuffer(byteCount: byteCount, poisoned: false)
        tensor.withMatrix { copy.base.copyMemory(from: $0.base, byteCount: byteCount) }
        self.init(
            rows: tensor.shape.rows,
            columns: tensor.shape.columns,
            format: .float32,
            base: UnsafeRawPointer(copy.base),
            owner: copy
        )
    }

    /// Whether elements are E4M3 codes with block scales.
    package var isFloat8: Bool {
        if case .float8 = format { true } else { false }
    }

    /// Whether elements are bfloat16.
    package var isBFloat16: Bool {
        if case .bfloat16 = format { true } else { false }
    }

    /// The bytes the elements take where they are stored.
    package var byteCount: Int { rows * columns * format.byteCount }

    /// Some of the rows, sharing memory.
    package func rows(_ range: Range<Int>) -> WeightMatrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows)
        return WeightMatrix(
            rows: range.count,
            columns: columns,
            format: format.dropping(rows: range.lowerBound),
            base: base + range.lowerBound * columns * format.byteCount,
            owner: owner
        )
    }

    /// Widens some rows to float32.
    ///
    /// `output` is `[range.count, columns]`, without gaps between its rows.
    package func widen(_ range: Range<Int>, into output: MutableMatrixView) {
        precondition(output.rows == range.count && output.columns == columns && output.stride == columns)
        let start = base + range.lowerBound * columns * format.byteCount
        let count = range.count * columns
        switch format {
        case .float32:
            output.base.update(from: start.assumingMemoryBound(to: Float.self), count: count)
        case .bfloat16:
            Kernels.widen(
                bfloat16: start.assumingMemoryBound(to: UInt16.self),
                into: output.base,
                count: count
            )
        case .float16:
            Kernels.widen(
                float16: start.assumingMemoryBound(to: UInt16.self),
                into: output.base,
                count: count
            )
        case .float8(let scales):
            Kernels.widen(float8: start.assumingMemoryBound(to: UInt8.self), into: output.base, count: count)
            for (row, source) in range.enumerated() {
                scales.forEachBlock(inRow: source, columns: columns) { columns, scale in
                    Kernels.scale(output[row] + columns.lowerBound, by: scale, count: columns.count)
                }
            }
        }
    }

    /// Some rows in float32, as an embedding gives those of tokens: `[indices, columns]`.
    ///
    /// - Precondition: every index is a row.
    package func rows(of indices: [Int]) -> Tensor {
        var rows = Tensor(uninitialized: [indices.count, columns])
        rows.withMutableMatrix { rows in
            for (place, index) in indices.enumerated() {
                widen(index..<index + 1, into: rows.rows(place..<place + 1))
            }
        }
        return rows
    }

    /// The matrix in float32.
    package func widened() -> Tensor {
        var tensor = Tensor(uninitialized: [rows, columns])
        tensor.withMutableMatrix { widen(0..<rows, into: $0) }
        return tensor
    }
}

// MARK: - Products

extension WeightMatrix {
    /// Floats of one widened tile: half of a second-level cache of 1 MiB.
    private static let tileFloats = 1 << 17

    /// `output = inputs · weightᵀ`.
    ///
    /// Operations: `2 · n · rows · columns`; bytes: the stored weight once. Up to `fewInputs` rows, the result of each is
    /// the one it has alone, bit for bit.
    ///
    /// - Parameters:
    ///   - inputs: `[n, columns]`.
    ///   - output: `[n, rows]`, overwritten.
    ///   - products: the numbers that are multiplied; `applyRounded` describes `.bfloat16`.
    ///   - workers: the threads to use.
    package func apply(
        to inputs: MatrixView,
        into output: MutableMatrixView,
        products: ProductArithmetic = .float32,
        workers: Workers
    ) {
        precondition(inputs.columns == columns && output.columns == rows && inputs.rows == output.rows)
        guard products == .float32 else {
            return applyRounded(to: inputs, into: output, workers: workers)
        }
        guard inputs.rows > Self.fewInputs else {
            return applyRowByRow(to: inputs, into: output, workers: workers)
        }
        let tile = min(max(Self.tileFloats / max(columns, 1), 32), 512)
        workers.run(
            tiles: tileCount(rows, tile),
            scratch: { TileScratch(rows: format.isFloat32 ? 0 : tile, columns: columns) },
            { index, scratch in
                let range = index * tile..<min((index + 1) * tile, rows)
                let weights = view(of: range, scratch: scratch.tile)
                BLAS.multiply(inputs, transposed: weights, into: output.columns(range))
            }
        )
    }

    /// `inputs · weightᵀ` as a new tensor `[n, rows]`.
    package func apply(
        to inputs: Tensor,
        products: ProductArithmetic = .float32,
        workers: Workers
    ) -> Tensor {
        var output = Tensor(uninitialized: [inputs.shape.rows, rows])
        output.withMutableMatrix { output in
            inputs.withMatrix { apply(to: $0, into: output, products: products, workers: workers) }
        }
        return output
    }

    private func view(of range: Range<Int>, scratch: MutableMatrixView) -> MatrixView {
        guard !format.isFloat32 else {
            let start = base.assumingMemoryBound(to: Float.self) + range.lowerBound * columns
            return MatrixView(base: start, rows: range.count, columns: columns, stride: columns)
        }
        let output = scratch.rows(0..<range.count)
        widen(range, into: output)
        return output.view
    }

    /// `output[r] = weight[r] · vector` for the rows of a range.
    func multiply(
        _ range: Range<Int>,
        vector: UnsafePointer<Float>,
        into output: UnsafeMutablePointer<Float>
    ) {
        let start = base + range.lowerBound * columns * format.byteCount
        let rows = range.count
        switch format {
        case .float32:
            let matrix = start.assumingMemoryBound(to: Float.self)
            let view = MatrixView(base: matrix, rows: rows, columns: columns, stride: columns)
            Kernels.multiply(view, vector: vector, into: output)
        case .bfloat16:
            let matrix = start.assumingMemoryBound(to: UInt16.self)
            Kernels.multiply(bfloat16: matrix, rows: rows, columns: columns, vector: vector, into: output)
        case .float16:
            let matrix = start.assumingMemoryBound(to: UInt16.self)
            Kernels.multiply(float16: matrix, rows: rows, columns: columns, vector: vector, into: output)
        case .float8(let scales):
            multiply(range, scales: scales, vector: vector, into: output)
        }
    }

    /// The same for E4M3 codes: rows that share their blocks' scales at a time.
    private func multiply(
        _ range: Range<Int>,
        scales: BlockScales,
        vector: UnsafePointer<Float>,
        into output: UnsafeMutablePointer<Float>
    ) {
        let codes = base.assumingMemoryBound(to: UInt8.self)
        scales.forEachRowOfBlocks(in: range) { rows, scales in
            Kernels.multiply(
                float8: codes + rows.lowerBound * columns,
                rows: rows.count,
                columns: columns,
                scales: scales,
                vector: vector,
                into: output + (rows.lowerBound - range.lowerBound)
            )
        }
    }
}

extension WeightMatrix {
    /// `output = vector · weight[range]`: the rows of a range, each times an element of the vector, ascending.
    ///
    /// - Parameters:
    ///   - range: the rows.
    ///   - vector: `[range.count]`.
    ///   - output: `[columns]`, overwritten.
    func multiplyTransposed(
        _ range: Range<Int>,
        vector: UnsafePointer<Float>,
        into output: UnsafeMutablePointer<Float>
    ) {
        output.update(repeating: 0, count: columns)
        if case .bfloat16 = format {
            let matrix = base.assumingMemoryBound(to: UInt16.self)
            for (index, row) in range.enumerated() {
                let numbers = matrix + row * columns
                Kernels.add(bfloat16: numbers, times: vector[index], to: output, count: columns)
            }
            return
        }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { room in
            guard let room = room.baseAddress else { return }
            let widened = MutableMatrixView(base: room, rows: 1, columns: columns, stride: columns)
            for (index, row) in range.enumerated() {
                widen(row..<row + 1, into: widened)
                Kernels.add(room, times: vector[index], to: output, count: columns)
            }
        }
    }
}

/// Room for one widened tile.
private final class TileScratch {
    let tile: MutableMatrixView
    private let scratch: Scratch

    init(rows: Int, columns: Int) {
        scratch = Scratch(floats: rows * columns)
        tile = scratch.matrix(rows: rows, columns: columns)
    }
}
