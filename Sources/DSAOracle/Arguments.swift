import CDSAOracle
import SparseAttention

/// The element types of inputs.
enum ElementType: Int32 {
    case float32 = 0
    case bfloat16 = 1
    case e4m3 = 2

    /// The type with a code of the header.
    init(_ code: Int32, _ name: String) throws(OracleFault) {
        guard let type = ElementType(rawValue: code) else {
            throw .argument(name, found: "\(code)", expected: "DSA_FLOAT32, DSA_BFLOAT16 or DSA_E4M3")
        }
        self = type
    }

    /// The size of an element in bytes, and its alignment.
    var byteCount: Int {
        switch self {
        case .float32: 4
        case .bfloat16: 2
        case .e4m3: 1
        }
    }
}

extension ScaleFormat {
    /// The format with a code of the header.
    init(_ code: Int32) throws(OracleFault) {
        switch Int(code) {
        case Int(DSA_SCALE_FLOAT32): self = .float32
        case Int(DSA_SCALE_POWER_OF_TWO): self = .powerOfTwo
        default:
            throw .argument(
                "scale_format",
                found: "\(code)",
                expected: "DSA_SCALE_FLOAT32 or DSA_SCALE_POWER_OF_TWO"
            )
        }
    }
}

// MARK: - Sizes

/// A size that lies in a range.
func size(_ value: Int64, _ name: String, in range: ClosedRange<Int32>) throws(OracleFault) -> Int {
    guard let small = Int32(exactly: value), range.contains(small) else {
        throw .argument(name, found: "\(value)", expected: "\(range.lowerBound) to \(range.upperBound)")
    }
    return Int(small)
}

/// A number of tokens, pages or rows.
func tokens(_ value: Int64, _ name: String) throws(OracleFault) -> Int {
    try size(value, name, in: 0...DSA_MAX_TOKENS)
}

/// A number of heads.
func heads(_ value: Int64, _ name: String) throws(OracleFault) -> Int {
    try size(value, name, in: 1...DSA_MAX_HEADS)
}

/// The width of a row.
func width(_ value: Int64, _ name: String) throws(OracleFault) -> Int {
    try size(value, name, in: 1...DSA_MAX_DIM)
}

/// A softmax scale.
func scale(_ value: Float) throws(OracleFault) -> Float {
    guard value > 0, value.isFinite else {
        throw .argument("sm_scale", found: "\(value)", expected: "a positive finite number")
    }
    return value
}

/// Refuses a call that would need more bytes than this machine has.
func reserve(_ factors: Int...) throws(OracleFault) {
    try core { () throws(SparseAttentionError) in
        try AlignedBuffer.checkAvailable(byteCount: Shape(factors).count)
    }
}

// MARK: - Arrays

/// The elements of an array a caller passes, none of them read yet.
///
/// - Throws: a fault when it is NULL or misaligned though it has elements, or larger than the machine's memory.
func input<Element>(
    _ pointer: UnsafePointer<Element>?,
    _ name: String,
    _ sizes: Int...
) throws(OracleFault) -> UnsafeBufferPointer<Element> {
    let count = try elements(pointer.map { UInt(bitPattern: $0) }, name, sizes, MemoryLayout<Element>.stride)
    return UnsafeBufferPointer(start: count == 0 ? nil : pointer, count: count)
}

/// The elements of an array a caller wants written.
///
/// - Throws: a fault as for an input.
func output<Element>(
    _ pointer: UnsafeMutablePointer<Element>?,
    _ name: String,
    _ sizes: Int...
) throws(OracleFault) -> UnsafeMutableBufferPointer<Element> {
    let count = try elements(pointer.map { UInt(bitPattern: $0) }, name, sizes, MemoryLayout<Element>.stride)
    return UnsafeMutableBufferPointer(start: count == 0 ? nil : pointer, count: count)
}

/// An array of one of the element types, widened when it is used.
struct TypedArray {
    let base: UnsafeRawPointer?
    let type: ElementType
    let sizes: [Int]
    let name: String

    /// Checks the array.
    init(_ pointer: UnsafeRawPointer?, _ name: String, _ type: ElementType, _ sizes: Int...)
        throws(OracleFault)
    {
        let count = try elements(pointer.map { UInt(bitPattern: $0) }, name, sizes, type.byteCount)
        // The copy in float32.
        try reserve(count, MemoryLayout<Float>.size)
        base = count == 0 ? nil : pointer
        self.type = type
        self.sizes = sizes
        self.name = name
    }

    /// The numbers in float32, copied.
    func tensor() throws(OracleFault) -> Tensor {
        let shape = try core { () throws(SparseAttentionError) in try Shape(sizes) }
        return widened(shape, from: 0)
    }

    /// Some of the rows of the outermost dimension in float32, copied.
    ///
    /// - Precondition: the range lies inside the dimension.
    func rows(_ range: Range<Int>) -> Tensor {
        precondition(range.lowerBound >= 0 && range.upperBound <= sizes[0])
        let inner = sizes.dropFirst()
        return widened(
            Shape(trusted: [range.count] + inner),
            from: range.lowerBound * inner.reduce(1, *)
        )
    }

    /// The numbers in float32, copied; all finite.
    func finiteTensor() throws(OracleFault) -> Tensor {
        let tensor = try tensor()
        if let index = tensor.firstNonFinite { throw .nonFinite(name, index: index) }
        return tensor
    }

    private func widened(_ shape: Shape, from start: Int) -> Tensor {
        var tensor = Tensor(uninitialized: shape)
        guard let base, shape.count > 0 else { return tensor }
        let source = base + start * type.byteCount
        tensor.withMutableMatrix { matrix in
            switch type {
            case .float32:
                matrix.base.update(from: source.assumingMemoryBound(to: Float.self), count: shape.count)
            case .bfloat16:
                let bits = source.assumingMemoryBound(to: UInt16.self)
                Kernels.widen(bfloat16: bits, into: matrix.base, count: shape.count)
            case .e4m3:
                let codes = source.assumingMemoryBound(to: UInt8.self)
                Kernels.widen(float8: codes, into: matrix.base, count: shape.count)
            }
        }
        return tensor
    }

    /// Lends a matrix as rows: where it lies if its format allows, else widened.
    func withRows<Result>(
        _ body: (RowsView) throws(SparseAttentionError) -> Result
    ) throws(OracleFault) -> Result {
        let format: StorageFormat? =
            switch type {
            case .float32: .float32
            case .bfloat16: .bfloat16
            case .e4m3: nil
            }
        guard let format, let base else {
            let tensor = try tensor()
            return try core { () throws(SparseAttentionError) in try tensor.withRows(body) }
        }
        let (rows, columns) = (sizes[0], sizes[1])
        let view = RowsView(base: base, format: format, rows: rows, columns: columns, stride: columns)
        return try core { () throws(SparseAttentionError) in try body(view) }
    }
}

/// Checks where an array lies and returns how many elements it has.
private func elements(
    _ address: UInt?,
    _ name: String,
    _ sizes: [Int],
    _ byteCount: Int
) throws(OracleFault) -> Int {
    var bytes = byteCount
    for size in sizes {
        let (product, overflow) = bytes.multipliedReportingOverflow(by: size)
        guard !overflow else {
            throw .argument(name, found: "of size \(sizes)", expected: "sizes whose product can be addressed")
        }
        bytes = product
    }
    guard bytes > 0 else { return 0 }
    guard let address else {
        throw .argument(name, found: "NULL", expected: "\(bytes) bytes")
    }
    guard address % UInt(byteCount) == 0 else {
        throw .argument(name, found: "misaligned", expected: "a multiple of \(byteCount) as its address")
    }
    return bytes / byteCount
}

// MARK: - Ranges

/// A half-open range for each row, from two arrays a caller passes.
///
/// - Throws: a fault when a bound is not in `0 ... limit`.
func ranges(
    _ start: UnsafeBufferPointer<Int32>,
    _ end: UnsafeBufferPointer<Int32>,
    names: (String, String),
    limit: Int
) throws(OracleFault) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    ranges.reserveCapacity(start.count)
    for (row, (lower, upper)) in zip(start, end).enumerated() {
        for (name, bound) in [(names.0, lower), (names.1, upper)] where bound < 0 || bound > limit {
            throw .argument("\(name)[\(row)]", found: "\(bound)", expected: "0 to \(limit)")
        }
        ranges.append(Int(lower)..<Int(max(lower, upper)))
    }
    return ranges
}
