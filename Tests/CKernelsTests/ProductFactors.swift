import CKernels
import XCTest

/// Random factors of a product of bfloat16, and its definition.
struct Factors {
    typealias Size = (m: Int, n: Int, k: Int)

    let size: Size
    /// Elements from a row of the left factor to the next: two more than needed.
    let stride: Int
    /// `[m, k]`, zeros beyond each row's end.
    var left: [UInt16]
    /// `[n, k]`: the right factor, column by column.
    let columns: [UInt16]

    init(_ size: Size) {
        self.size = size
        stride = (size.k + 1) / 2 * 2 + 2
        var numbers = Numbers(seed: UInt64(size.m * 10_000 + size.n * 100 + size.k))
        left = [UInt16](repeating: 0, count: size.m * stride + 1)
        for row in 0..<size.m {
            left.replaceSubrange(row * stride..<row * stride + size.k, with: numbers.codes(size.k))
        }
        columns = numbers.codes(size.n * size.k)
    }

    /// The right factor row by row, `[k, n]`.
    var rows: [UInt16] {
        (0..<size.k * size.n).map { columns[$0 % size.n * size.k + $0 / size.n] }
    }

    /// Elements of one panel.
    var panelStride: Int { (size.k + 1) / 2 * 2 * Int(DSA_PANEL_COLUMNS) }

    /// The packed right factor, element by element.
    var packed: [UInt16] {
        let width = Int(DSA_PANEL_COLUMNS)
        var packed = [UInt16](repeating: 0, count: (size.n + width - 1) / width * panelStride)
        for column in 0..<size.n {
            for row in 0..<size.k {
                let pair = row / 2 * width + column % width
                packed[column / width * panelStride + pair * 2 + row % 2] = columns[column * size.k + row]
            }
        }
        return packed
    }

    /// The exact terms of one element.
    func terms(_ row: Int, _ column: Int) -> [Double] {
        (0..<size.k).map {
            Self.value(left[row * stride + $0]) * Self.value(columns[column * size.k + $0])
        }
    }

    private static func value(_ code: UInt16) -> Double {
        Double(Float(bitPattern: UInt32(code) << 16))
    }

    /// The product by one table, `[m, n]`, added to `base` where there is one.
    func product(_ table: dsa_kernels, scales: [Float]?, base: Float?, _ context: String) throws -> [Float] {
        let packed = packed
        return try guarded(size.m * size.n, filledWith: base ?? .nan, context) { output in
            func multiply(_ scales: UnsafePointer<Float>?) {
                table.multiply_bf16(
                    size.m,
                    size.n,
                    (size.k + 1) / 2,
                    left,
                    stride,
                    packed,
                    panelStride,
                    scales,
                    output,
                    size.n,
                    base != nil
                )
            }
            if let scales {
                scales.withUnsafeBufferPointer { multiply($0.baseAddress) }
            } else {
                multiply(nil)
            }
        }
    }
}

extension Numbers {
    /// Numbers in (-1, 1) as bits of bfloat16, none of them subnormal.
    mutating func codes(_ count: Int) -> [UInt16] {
        let values = array(count)
        var codes = [UInt16](repeating: 0, count: count)
        KernelTables.scalar.narrow_bf16(count, values, &codes)
        return codes
    }
}

/// Calls `body` with a pointer to each of `count` runs of `length` codes.
func withRuns(
    of codes: [UInt16],
    length: Int,
    count: Int,
    _ body: (UnsafePointer<UnsafePointer<UInt16>?>?) -> Void
) {
    codes.withUnsafeBufferPointer { codes in
        let starts = (0..<count).map { index in codes.baseAddress.map { $0 + index * length } }
        starts.withUnsafeBufferPointer { body($0.baseAddress) }
    }
}
