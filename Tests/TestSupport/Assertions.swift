package import SparseAttention
import XCTest

/// Fails when two arrays differ in a NaN or an infinity, or by more than a relative L2 bound.
package func assertClose(
    _ found: [Float],
    _ expected: [Double],
    within bound: Double,
    _ message: @autoclosure () -> String = "",
    file: StaticString = #filePath,
    line: UInt = #line
) {
    guard found.count == expected.count else {
        XCTFail("\(found.count) elements, expected \(expected.count) \(message())", file: file, line: line)
        return
    }
    let comparison = Comparison(found, with: expected)
    if !comparison.isWithin(bound) {
        XCTFail("\(comparison.explanation(bound: bound)) \(message())", file: file, line: line)
    }
}

/// Fails when two tensors differ in shape, in a NaN or an infinity, or by more than a relative L2 bound.
package func assertClose(
    _ found: Tensor,
    _ expected: Tensor,
    within bound: Double,
    _ message: @autoclosure () -> String = "",
    file: StaticString = #filePath,
    line: UInt = #line
) {
    XCTAssertEqual(found.shape, expected.shape, message(), file: file, line: line)
    assertClose(
        found.elements,
        expected.elements.map(Double.init),
        within: bound,
        message(),
        file: file,
        line: line
    )
}

/// Fails unless `found` is at most twice as far from the reference as a plain `Float` loop, plus the floor.
package func assertAccurate(
    _ found: Tensor,
    plain: [Float],
    reference: [Double],
    _ message: @autoclosure () -> String = "",
    file: StaticString = #filePath,
    line: UInt = #line
) {
    assertClose(
        plain,
        reference,
        within: Tolerances.plainLoop,
        "plain loop \(message())",
        file: file,
        line: line
    )
    guard plain.count == reference.count else { return }
    let bound = Tolerances.plainLoopFactor * Comparison(plain, with: reference).relativeL2 + Tolerances.floor
    assertClose(found.elements, reference, within: bound, message(), file: file, line: line)
}

/// Fails unless two tensors have the same shape and the same bits.
package func assertSameBits(
    _ found: Tensor,
    _ expected: Tensor,
    _ message: @autoclosure () -> String = "",
    file: StaticString = #filePath,
    line: UInt = #line
) {
    guard !found.isBitwiseEqual(to: expected) else { return }
    let pairs = zip(found.elements, expected.elements)
    let index = pairs.enumerated().first { $1.0.bitPattern != $1.1.bitPattern }?.offset
    let element = index.map { "at \($0): \(found[$0]), expected \(expected[$0])" } ?? ""
    XCTFail("bits differ, \(found.shape) \(expected.shape) \(element) \(message())", file: file, line: line)
}

/// Fails when a tensor holds a NaN or an infinity, the sign of an element never written or of a stray read.
package func assertFinite(
    _ tensor: Tensor,
    _ message: @autoclosure () -> String = "",
    file: StaticString = #filePath,
    line: UInt = #line
) {
    if let index = tensor.firstNonFinite {
        XCTFail("\(tensor[index]) at \(index) \(message())", file: file, line: line)
    }
}

/// Fails unless the body throws exactly this error.
package func assertThrows(
    _ expected: SparseAttentionError,
    file: StaticString = #filePath,
    line: UInt = #line,
    _ body: () throws -> Void
) {
    do {
        try body()
        XCTFail("nothing thrown, expected: \(expected)", file: file, line: line)
    } catch {
        XCTAssertEqual(error as? SparseAttentionError, expected, file: file, line: line)
    }
}

/// Fails when a list of cases holds one twice: a loop that never varied something.
package func assertDistinct<Case: Hashable>(
    _ cases: [Case],
    file: StaticString = #filePath,
    line: UInt = #line
) {
    XCTAssertFalse(cases.isEmpty, "no cases", file: file, line: line)
    let repeated = Dictionary(grouping: cases, by: { $0 }).filter { $1.count > 1 }
    XCTAssertTrue(repeated.isEmpty, "repeated: \(repeated.keys)", file: file, line: line)
}

/// Runs a computation with 1, 2 and 4 threads and fails unless all results have the same bits.
package func assertSameForAnyWorkers(
    _ message: @autoclosure () -> String = "",
    file: StaticString = #filePath,
    line: UInt = #line,
    _ body: (Workers) throws -> [Tensor]
) throws {
    let expected = try body(.one)
    for count in [2, 4] {
        let found = try body(Workers(count: count))
        for (a, b) in zip(found, expected) {
            assertSameBits(a, b, "\(count) threads \(message())", file: file, line: line)
        }
    }
}
