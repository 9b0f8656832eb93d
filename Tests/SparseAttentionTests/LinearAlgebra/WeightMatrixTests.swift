import SparseAttention
import TestSupport
import XCTest

final class WeightMatrixTests: XCTestCase {
    private let formats = StoredFormat.allCases

    func testWideningIsExact() throws {
        for format in formats {
            let (weight, values) = try stored(format, rows: 7, columns: 13, seed: 1)
            XCTAssertEqual(weight.widened().elements, values, "\(format)")
            XCTAssertEqual(weight.rows(2..<5).widened().elements, Array(values[26..<65]), "\(format)")
            XCTAssertEqual(weight.rows(3..<3).widened().count, 0)
            XCTAssertEqual(weight.byteCount, 91 * weight.format.byteCount)
        }
    }

    func testPartsOfAScaledWeightKeepTheirScales() throws {
        let (weight, values) = try stored(.float8, rows: 150, columns: 130, seed: 3)
        XCTAssertEqual(weight.widened().elements, values)
        let part = weight.rows(100..<140)
        XCTAssertEqual(part.widened().elements, Array(values[13_000..<18_200]))
        XCTAssertEqual(part.rows(20..<40).widened().elements, Array(values[15_600..<18_200]))
        var generator = SeededGenerator(seed: 3)
        let input = generator.tensor([1, 130])
        let (whole, product) = (weight.apply(to: input, workers: .one), part.apply(to: input, workers: .one))
        XCTAssertEqual(product.elements, Array(whole.elements[100..<140]))
    }

    func testElementsBetweenAddressesAreCopied() throws {
        for format in formats {
            let (weight, values) = try stored(format, rows: 5, columns: 3, seed: 2, misaligned: true)
            XCTAssertEqual(weight.widened().elements, values, "\(format)")
        }
    }

    func testCopiesATensor() throws {
        let tensor = try Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])
        XCTAssertEqual(WeightMatrix(tensor).widened(), tensor)
    }

    func testProductsMatchTheReference() throws {
        for format in formats {
            for each in MatrixCase.all where each.depth > 0 {
                let (weight, values) = try stored(
                    format,
                    rows: each.columns,
                    columns: each.depth,
                    seed: each.seed
                )
                let inputs = each.factors.left
                let output = weight.apply(to: inputs, workers: .all)
                XCTAssertEqual(output.shape, [each.rows, each.columns])
                assertAccurate(
                    output,
                    plain: PlainLoops.product(inputs.elements, transposed: values, depth: each.depth),
                    reference: PlainLoops.exactProduct(
                        inputs.elements,
                        transposed: values,
                        depth: each.depth
                    ),
                    "\(format) \(each)"
                )
            }
        }
    }

    func testThreadsDoNotChangeBits() throws {
        var generator = SeededGenerator(seed: 4)
        for format in formats {
            let (weight, _) = try stored(format, rows: 1_100, columns: 5, seed: 5)
            for rows in [1, 3] {
                let inputs = generator.tensor(Shape(trusted: [rows, 5]))
                try assertSameForAnyWorkers("\(format) \(rows)") { [weight.apply(to: inputs, workers: $0)] }
            }
        }
    }

    func testColumnsOfInputsAndOutputs() throws {
        var generator = SeededGenerator(seed: 6)
        let inputs = generator.integers([3, 8])
        let weight = generator.integers([2, 4])
        var output = Tensor(repeating: -9, shape: [3, 5])
        output.withMutableMatrix { output in
            inputs.withMatrix {
                WeightMatrix(weight).apply(to: $0.columns(2..<6), into: output.columns(1..<3), workers: .one)
            }
        }
        let expected = PlainLoops.product(
            inputs.columns(2..<6).elements,
            transposed: weight.elements,
            depth: 4
        )
        XCTAssertEqual(output.columns(1..<3).elements, expected)
        XCTAssertEqual(output.columns(0..<1).elements, [-9, -9, -9])
    }
}

// MARK: - Stored elements

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
private enum StoredFormat: CaseIterable {
    case float32, bfloat16, float16, float8
}

/// A weight of random elements in a format, and the numbers they stand for.
private func stored(
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
