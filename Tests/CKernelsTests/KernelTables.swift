import CKernels
import Foundation
import XCTest

/// The tables of this machine, and what the tests of their slots share.
enum KernelTables {
    // Constant function pointers and names: safe to share.

    /// Every table compiled for this architecture, best first.
    nonisolated(unsafe) static let all: [dsa_kernels] = {
        var count = 0
        let list = dsa_all_kernels(&count)
        return (0..<count).compactMap { list?[$0]?.pointee }
    }()

    /// The tables this processor runs; one it lacks is named in the output.
    nonisolated(unsafe) static let supported: [dsa_kernels] = all.filter { table in
        let runs = table.is_supported()
        if !runs { print("kernels '\(name(of: table))' are not supported by this processor: skipped") }
        return runs
    }

    /// The specification.
    static var scalar: dsa_kernels { all[all.count - 1] }

    static func name(of table: dsa_kernels) -> String { String(cString: table.name) }

    /// Counts around every vector width and block, and tails of every length.
    static let counts = [
        0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 257, 1000,
    ]
}

/// Numbers in (-1, 1) that a seed determines.
struct Numbers {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    }

    mutating func bits() -> UInt32 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return UInt32(truncatingIfNeeded: state >> 32)
    }

    mutating func next() -> Float {
        Float(bits() >> 8) / 8_388_608 - 1
    }

    mutating func array(_ count: Int) -> [Float] {
        (0..<count).map { _ in next() }
    }
}

/// An output with a guard behind it: filled with a pattern, and checked for writes beyond its end.
func guarded<Element: Equatable>(
    _ count: Int,
    filledWith fill: Element,
    _ context: String,
    _ body: (UnsafeMutablePointer<Element>) -> Void
) throws -> [Element] {
    var storage = [Element](repeating: fill, count: count + 32)
    try storage.withUnsafeMutableBufferPointer { buffer in
        body(try XCTUnwrap(buffer.baseAddress))
    }
    for index in count..<count + 32 {
        // A NaN pattern equals nothing: compare what the bytes say.
        XCTAssertTrue("\(storage[index])" == "\(fill)", "\(context): wrote \(index - count) beyond the end")
    }
    return Array(storage.prefix(count))
}
