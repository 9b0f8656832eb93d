import SparseAttention
import SparseInference
import TestSupport

/// A tensor to be written into a weight file.
struct TinyWeight {
    var name: String
    var shape: [Int]
    var dataType = DataType.float32
    /// The elements; types that a model's numbers are never stored as are written as zeros.
    var values: [Float]

    /// Random elements that keep activations near one: norms near 1, biases small, matrices of unit gain.
    init(_ name: String, shape: [Int], using generator: inout SeededGenerator) {
        self.name = name
        self.shape = shape
        let count = shape.reduce(1, *)
        let (center, width): (Float, Float) =
            if shape.count == 1 {
                name.hasSuffix("norm.weight") ? (1, 0.2) : (0, 0.3)
            } else {
                (0, name.hasSuffix("embed_tokens.weight") ? 1 : (3 / Float(shape[1])).squareRoot())
            }
        values = (0..<count).map { _ in center + width * generator.uniform() }
    }
}

// MARK: - Formats

extension TinyWeight {
    /// The elements as they are stored.
    var bytes: [UInt8] {
        switch dataType {
        case .float32: values.withUnsafeBytes(Array.init)
        case .bfloat16: values.map { BFloat16($0).bitPattern }.withUnsafeBytes(Array.init)
        case .float16: values.map(Self.half).withUnsafeBytes(Array.init)
        case .float8E4M3: values.map { Float8E4M3($0).bitPattern }
        default: [UInt8](repeating: 0, count: values.count * dataType.byteWidth)
        }
    }

    /// Makes every element one that the type can hold.
    mutating func round(to dataType: DataType) {
        switch dataType {
        case .bfloat16: values = values.map { BFloat16($0).float }
        // Ten bits of fraction, and nothing below the smallest normal number.
        case .float16:
            values = values.map { $0.magnitude < 0x1p-14 ? 0 : Float(bitPattern: $0.bitPattern & ~0x1FFF) }
        case .float8E4M3: values = values.map { Float8E4M3($0).float }
        default: break
        }
    }

    /// The bits of an element that `round(to:)` made a binary16 number.
    private static func half(_ value: Float) -> UInt16 {
        guard value != 0 else { return 0 }
        let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
        let exponent = UInt16(value.exponent + 15) << 10
        return sign | exponent | UInt16(value.significandBitPattern >> 13)
    }
}

// MARK: - Eight bits

extension TinyWeight {
    /// The matrix as codes, and its scales: powers of two, another one in each block.
    func throughFloat8() -> (codes: TinyWeight, scales: TinyWeight) {
        var (codes, scales) = (self, self)
        let blocks = shape.map { ($0 + 127) / 128 }
        scales.name += "_scale_inv"
        scales.shape = blocks
        scales.values = (0..<blocks[0] * blocks[1]).map { 0x1p-7 * Float(1 << ($0 % 3)) }
        codes.dataType = .float8E4M3
        codes.values = values.enumerated().map { index, value in
            let (row, column) = index.quotientAndRemainder(dividingBy: shape[1])
            return Float8E4M3(value / scales.values[row / 128 * blocks[1] + column / 128]).float
        }
        return (codes, scales)
    }
}
