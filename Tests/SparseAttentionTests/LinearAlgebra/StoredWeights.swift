import SparseAttention
import TestSupport
import XCTest

/// Bytes a weight may refer to.
private final class Storage {
    let bytes: UnsafeMutableRawBufferPointer

    init(_ source: [UInt8], offset: Int) {
        bytes = .allocate(byteCount: source.count + offset, alignment: 16)
        UnsafeMutableRawBufferPointer(rebasing: bytes[offset...]).copyBytes(from: source)
    }

    deinit {
        bytes.deallocate()
    }
}

/// How the elements of a test weight are stored.
enum StoredFormat: CaseIterable {
    case float32, bfloat16, float16, float8
}

/// A weight of random elements in a format, and the numbers they stand for.
func stored(
    _ format: StoredFormat,
    rows: Int,
    columns: Int,
    seed: UInt64,
    misaligned: Bool = false
) throws -> (weight: WeightMatrix, values: [Float]) {
    var generator = SeededGenerator(seed: seed)
    let blockColumns = tileCount(columns, BlockScales.width)
    let scales = (0..<tileCount(rows, BlockScales.width) * blockColumns).map { _ in
        generator.uniform().magnitude
    }
    var bytes: [UInt8] = []
    var values: [Float] = []
    for index in 0..<rows * columns {
        let number = generator.uniform()
        switch format {
        case .float32:
            values.append(number)
            withUnsafeBytes(of: number.bitPattern) { bytes += $0 }
        case .bfloat16:
            let code = BFloat16(number)
            values.append(code.float)
            withUnsafeBytes(of: code.bitPattern) { bytes += $0 }
        case .float16:
            let code = UInt16(truncatingIfNeeded: generator.next()) & 0xBBFF  // below 1 in magnitude
            values.append(float16(code))
            withUnsafeBytes(of: code) { bytes += $0 }
        case .float8:
            let code = Float8E4M3(number)
            let block =
                index / columns / BlockScales.width * blockColumns + index % columns / BlockScales.width
            values.append(code.float * scales[block])
            bytes.append(code.bitPattern)
        }
    }
    let weightFormat: WeightMatrix.Format =
        switch format {
        case .float32: .float32
        case .bfloat16: .bfloat16
        case .float16: .float16
        case .float8: .float8(BlockScales(scales, columns: columns))
        }
    let offset = misaligned ? 1 : 0
    let storage = Storage(bytes, offset: offset)
    let base = try XCTUnwrap(storage.bytes.baseAddress)
    let weight = WeightMatrix(
        rows: rows,
        columns: columns,
        format: weightFormat,
        base: UnsafeRawPointer(base + offset),
        owner: storage
    )
    return (weight, values)
}

/// The value of an IEEE binary16 number that is finite.
private func float16(_ code: UInt16) -> Float {
    let (exponent, fraction) = (Int(code >> 10 & 0x1F), Float(code & 0x3FF))
    let magnitude =
        exponent == 0
        ? fraction * 0x1p-24
        : Float(sign: .plus, exponent: exponent - 15, significand: 1 + fraction / 1024)
    return code & 0x8000 == 0 ? magnitude : -magnitude
}
