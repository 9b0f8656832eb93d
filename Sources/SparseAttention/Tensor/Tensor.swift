/// A dense row-major array of `Float`.
///
/// A value type: copies share memory until one is written. A slice along the first dimension shares
/// memory as well, so prefixes of a sequence cost nothing.
public struct Tensor: Sendable {
    /// The sizes of the dimensions, outermost first.
    public let shape: Shape

    private var buffer: AlignedBuffer
    private var offset: Int  // elements before the first one of this tensor

    /// A tensor filled with one number.
    public init(repeating value: Float = 0, shape: Shape) {
        self.init(uninitialized: shape)
        mutableBase.update(repeating: value, count: shape.count)
    }

    /// A tensor of the given elements in row-major order.
    ///
    /// - Throws: `SparseAttentionError.shapeMismatch` when their number is not that of the shape.
    public init(_ elements: [Float], shape: Shape) throws(SparseAttentionError) {
        guard elements.count == shape.count else {
            throw .shapeMismatch(argument: "elements", expected: shape, found: [elements.count])
        }
        self.init(uninitialized: shape)
        let base = mutableBase
        elements.withUnsafeBufferPointer { source in
            if let start = source.baseAddress {
                base.update(from: start, count: source.count)
            }
        }
    }

    /// A tensor whose elements are still to be written; NaN in debug builds.
    package init(uninitialized shape: Shape) {
        self.shape = shape
        buffer = AlignedBuffer(
            byteCount: shape.count * MemoryLayout<Float>.stride,
            poisoned: AlignedBuffer.poisonsFreshMemory
        )
        offset = 0
    }

    private init(shape: Shape, buffer: AlignedBuffer, offset: Int) {
        self.shape = shape
        self.buffer = buffer
        self.offset = offset
    }
}

// MARK: - Shape

extension Tensor {
    /// The number of elements.
    public var count: Int { shape.count }

    /// The same elements under another shape, sharing memory.
    ///
    /// - Throws: `SparseAttentionError.shapeMismatch` when the numbers of elements differ.
    public func reshaped(_ shape: Shape) throws(SparseAttentionError) -> Tensor {
        guard shape.count == count else {
            throw .shapeMismatch(argument: "tensor", expected: shape, found: self.shape)
        }
        return reshaped(trusted: shape)
    }

    /// The same for a shape that is known to fit.
    func reshaped(trusted shape: Shape) -> Tensor {
        precondition(shape.count == count)
        return Tensor(shape: shape, buffer: buffer, offset: offset)
    }

    /// The entries `range` of the first dimension, sharing memory.
    ///
    /// - Throws: `SparseAttentionError.positionOutOfRange` when the range leaves the dimension.
    public func slice(_ range: Range<Int>) throws(SparseAttentionError) -> Tensor {
        let length = shape.rank == 0 ? 0 : shape[0]
        guard range.lowerBound >= 0, range.upperBound <= length else {
            let position = range.lowerBound < 0 ? range.lowerBound : range.upperBound
            throw .positionOutOfRange(position: position, allowed: 0..<length + 1)
        }
        let inner = Shape(trusted: Array(shape.dimensions.dropFirst()))
        return Tensor(
            shape: Shape(trusted: [range.count] + inner.dimensions),
            buffer: buffer,
            offset: offset + range.lowerBound * inner.count
        )
    }
}

// MARK: - Elements

extension Tensor {
    /// The element at a row-major index.
    ///
    /// - Precondition: `0 <= index < count`.
    public subscript(_ index: Int) -> Float {
        get {
            precondition(index >= 0 && index < count, "index \(index) outside 0 ..< \(count)")
            return base[index]
        }
        set {
            precondition(index >= 0 && index < count, "index \(index) outside 0 ..< \(count)")
            mutableBase[index] = newValue
        }
    }

    /// All elements in row-major order, copied.
    public var elements: [Float] {
        Array(UnsafeBufferPointer(start: base, count: count))
    }

    /// Reads the elements in place, in row-major order.
    ///
    /// - Parameter body: is lent the elements.
    /// - Returns: what it returns.
    /// - Throws: what it throws.
    public func withElements<Result, Failure: Error>(
        _ body: (Span<Float>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeBufferPointer(start: base, count: count).span)
    }

    /// Writes the elements in place, in row-major order.
    ///
    /// - Parameter body: is lent the elements.
    /// - Returns: what it returns.
    /// - Throws: what it throws.
    public mutating func withMutableElements<Result, Failure: Error>(
        _ body: (inout MutableSpan<Float>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        var span = UnsafeMutableBufferPointer(start: mutableBase, count: count).mutableSpan
        return try body(&span)
    }

    /// The index of the first NaN or infinity, if there is one.
    package var firstNonFinite: Int? {
        withElements { elements in
            for index in elements.indices where !elements[index].isFinite {
                return index
            }
            return nil
        }
    }

    private var base: UnsafePointer<Float> {
        UnsafePointer(buffer.base.assumingMemoryBound(to: Float.self) + offset)
    }

    private var mutableBase: UnsafeMutablePointer<Float> {
        mutating get {
            if !isKnownUniquelyReferenced(&buffer) {
                let copy = AlignedBuffer(byteCount: count * MemoryLayout<Float>.stride, poisoned: false)
                copy.base.copyMemory(from: base, byteCount: count * MemoryLayout<Float>.stride)
                buffer = copy
                offset = 0
            }
            return buffer.base.assumingMemoryBound(to: Float.self) + offset
        }
    }
}

// MARK: - Matrices

extension Tensor {
    /// Lends the tensor as a matrix: the last dimension gives the columns, all others the rows.
    package func withMatrix<Result, Failure: Error>(
        _ body: (MatrixView) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(MatrixView(base: base, rows: shape.rows, columns: shape.columns, stride: shape.columns))
    }

    /// Lends the tensor as a matrix to write into.
    package mutating func withMutableMatrix<Result, Failure: Error>(
        _ body: (MutableMatrixView) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let base = mutableBase
        return try body(
            MutableMatrixView(base: base, rows: shape.rows, columns: shape.columns, stride: shape.columns)
        )
    }
}

extension Tensor: Equatable {
    /// Same shape and equal elements; NaN equals nothing.
    public static func == (left: Tensor, right: Tensor) -> Bool {
        left.shape == right.shape
            && left.withElements { a in
                right.withElements { b in a.indices.allSatisfy { a[$0] == b[$0] } }
            }
    }

    /// Same shape and the same bits in every element, so that NaN and the sign of zero count.
    package func isBitwiseEqual(to other: Tensor) -> Bool {
        shape == other.shape
            && withElements { a in
                other.withElements { b in a.indices.allSatisfy { a[$0].bitPattern == b[$0].bitPattern } }
            }
    }
}

// MARK: - Rows

extension Tensor {
    /// Some columns of every row, copied: `[rows, range.count]`.
    ///
    /// - Precondition: the range lies inside the last dimension.
    package func columns(_ range: Range<Int>) -> Tensor {
        var part = Tensor(uninitialized: [shape.rows, range.count])
        part.withMutableMatrix { part in
            withMatrix { part.copy(from: $0.columns(range)) }
        }
        return part
    }

    /// The rows at the given indices, copied: `[indices, columns]`.
    ///
    /// - Precondition: every index is a row.
    package func gathered(_ indices: [Int]) -> Tensor {
        var rows = Tensor(uninitialized: [indices.count, shape.columns])
        rows.withMutableMatrix { rows in
            withMatrix { source in
                for (row, index) in indices.enumerated() {
                    rows.rows(row..<row + 1).copy(from: source.rows(index..<index + 1))
                }
            }
        }
        return rows
    }

    /// Tensors one after the other along their first dimension, copied.
    ///
    /// - Precondition: there is at least one, and all are alike in the other dimensions.
    package init(joining parts: [Tensor]) {
        let inner = parts[0].shape.dimensions.dropFirst()
        precondition(parts.allSatisfy { $0.shape.rank >= 1 && $0.shape.dimensions.dropFirst() == inner })
        self.init(uninitialized: Shape(trusted: [parts.reduce(0) { $0 + $1.shape[0] }] + inner))
        var row = 0
        withMutableMatrix { joined in
            for part in parts {
                part.withMatrix { joined.rows(row..<row + $0.rows).copy(from: $0) }
                row += part.shape.rows
            }
        }
    }

    /// The rows of two tensors side by side, copied: `[rows, left columns + right columns]`.
    ///
    /// - Precondition: both have as many rows.
    package init(besides left: Tensor, _ right: Tensor) {
        precondition(left.shape.rows == right.shape.rows)
        let columns = left.shape.columns
        self.init(uninitialized: [left.shape.rows, columns + right.shape.columns])
        let width = shape.columns
        withMutableMatrix { joined in
            left.withMatrix { joined.columns(0..<columns).copy(from: $0) }
            right.withMatrix { joined.columns(columns..<width).copy(from: $0) }
        }
    }

    /// Adds a tensor of the same shape, element by element.
    package mutating func add(_ other: Tensor) {
        precondition(other.shape == shape, "\(other.shape) is not \(shape)")
        withMutableMatrix { sum in
            other.withMatrix { Kernels.add($0.base, times: 1, to: sum.base, count: sum.rows * sum.columns) }
        }
    }

    /// Adds one row of another tensor, times a factor, to a row of this one.
    package mutating func add(_ other: Tensor, row: Int, times factor: Float, toRow target: Int) {
        precondition(other.shape.columns == shape.columns)
        withMutableMatrix { sum in
            other.withMatrix { Kernels.add($0[row], times: factor, to: sum[target], count: sum.columns) }
        }
    }

    /// Every element times a factor.
    package func scaled(by factor: Float) -> Tensor {
        var scaled = self
        scaled.withMutableMatrix { matrix in
            Kernels.scale(matrix.base, by: factor, count: matrix.rows * matrix.columns)
        }
        return scaled
    }
}
