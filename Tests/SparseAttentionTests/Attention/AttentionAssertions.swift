import SparseAttention
import TestSupport
import XCTest

extension AttentionResult {
    /// Output and statistics.
    var tensors: [Tensor] { [output, logSumExp, maximumScore] }

    /// The results of some query tokens.
    func slice(_ tokens: Range<Int>) throws -> AttentionResult {
        try AttentionResult(
            output: output.slice(tokens),
            logSumExp: logSumExp.slice(tokens),
            maximumScore: maximumScore.slice(tokens)
        )
    }
}

/// Fails unless output and log-sum-exp are as exact as a plain loop, and the largest scores are those expected.
func assertAccurate(
    _ result: AttentionResult,
    plain: (output: [Float], logSumExp: [Float]),
    reference: AttentionResult,
    _ message: @autoclosure () -> String = "",
    file: StaticString = #filePath,
    line: UInt = #line
) {
    let (output, logSumExp) = (reference.output.elements, reference.logSumExp.elements)
    assertAccurate(
        result.output,
        plain: plain.output,
        reference: output.map(Double.init),
        "output \(message())",
        file: file,
        line: line
    )
    assertAccurate(
        result.logSumExp,
        plain: plain.logSumExp,
        reference: logSumExp.map(Double.init),
        "logSumExp \(message())",
        file: file,
        line: line
    )
    assertClose(
        result.maximumScore,
        reference.maximumScore,
        within: Tolerances.sameAttention,
        "maximumScore \(message())",
        file: file,
        line: line
    )
}

/// Fails unless two computations gave the same attention, up to rounding.
func assertSame(
    _ found: AttentionResult,
    _ expected: AttentionResult,
    _ message: @autoclosure () -> String = "",
    file: StaticString = #filePath,
    line: UInt = #line
) {
    for (a, b) in zip(found.tensors, expected.tensors) {
        assertClose(a, b, within: Tolerances.sameAttention, message(), file: file, line: line)
    }
}
