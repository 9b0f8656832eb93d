import SparseAttention
import TestSupport
import XCTest

final class LightningIndexerFloat8Tests: XCTestCase {
    private let formats: [ScaleFormat] = [.float32, .powerOfTwo]
    private let cases = IndexerCase.all.filter { $0.headDim & ($0.headDim - 1) == 0 && $0.queryTokens > 0 }

    func testScoresMatchTheReference() throws {
        for each in cases {
            for format in formats {
                let (queries, weights, keys) = each.tensors
                let scores = try each.indexer(precision: .float8(format))
                    .scores(queries: queries, weights: weights, keys: keys, from: each.position)
                let (queryCodes, keyCodes) = (try coded(queries, format), try coded(keys, format))
                let reference: [Double] = self.scores(each, queryCodes, weights, keyCodes)
                assertClose(
                    scores.elements,
                    reference,
                    within: Tolerances.scaledProducts,
                    "\(format) \(each)"
                )
            }
        }
    }

    func testSelectionFollowsTheScores() throws {
        for each in IndexerCase.exact {
            let (queries, weights, keys) = each.exactTensors
            for format in formats {
                let indexer = try each.indexer(precision: .float8(format))
                let scores = try indexer.scores(
                    queries: queries,
                    weights: weights,
                    keys: keys,
                    from: each.position
                )
                let selection = try indexer.select(
                    queries: queries,
                    weights: weights,
                    keys: keys,
                    from: each.position
                )
                for (token, row) in scores.rowArrays.enumerated() {
                    let expected = indexer.topK.reference(Array(row[...(each.position + token)]))
                    XCTAssertEqual(selection.sets[token], expected, "\(format) \(each) token \(token)")
                }
                let (queryCodes, keyCodes) = (try coded(queries, format), try coded(keys, format))
                XCTAssertEqual(
                    try indexer.select(
                        queryCodes: queryCodes,
                        weights: weights,
                        keyCodes: keyCodes,
                        from: each.position
                    ),
                    selection
                )
                assertSameBits(
                    try indexer.scores(
                        queryCodes: queryCodes,
                        weights: weights,
                        keyCodes: keyCodes,
                        from: each.position
                    ),
                    scores
                )
            }
        }
    }

    func testScoresAreNearThoseOfFloat32() throws {
        let each = IndexerCase.all[1]
        let (queries, weights, keys) = each.tensors
        for format in formats {
            let coarse = try each.indexer(precision: .float8(format))
                .scores(queries: queries, weights: weights, keys: keys, from: each.position)
            let exact = try each.indexer().scores(
                queries: queries,
                weights: weights,
                keys: keys,
                from: each.position
            )
            assertClose(coarse, exact, within: Tolerances.float8Scores, "\(format)")
        }
    }

    func testThreadsDoNotChangeBits() throws {
        for each in cases {
            let (queries, weights, keys) = each.tensors
            try assertSameForAnyWorkers("\(each)") { workers in
                let indexer = try each.indexer(precision: .float8(.powerOfTwo), workers: workers)
                let selection = try indexer.select(
                    queries: queries,
                    weights: weights,
                    keys: keys,
                    from: each.position
                )
                return [
                    try indexer.scores(queries: queries, weights: weights, keys: keys, from: each.position),
                    try Tensor(selection.positions.map(Float.init), shape: [selection.positions.count]),
                ]
            }
        }
    }

    func testRefusesNumbersThatHaveNoCode() throws {
        let indexer = try LightningIndexer(heads: 1, headDim: 2, topK: 1, precision: .float8(.float32))
        let (ones, weights) = (Tensor(repeating: 1, shape: [2, 1, 2]), Tensor(repeating: 1, shape: [2, 1]))
        let keys = Tensor(repeating: 1, shape: [2, 2])
        assertThrows(.nonFinite(argument: "tensor", index: 2)) {
            _ = try indexer.select(
                queries: ones,
                weights: weights,
                keys: keys.settingRows([1], to: .nan),
                from: 0
            )
        }
    }

    func testRefusesCodes() throws {
        let indexer = try LightningIndexer(heads: 2, headDim: 4, topK: 1)
        func codes(_ rows: Int, _ columns: Int) throws -> QuantizedRows {
            try QuantizedRows(
                quantizing: Tensor(repeating: 1, shape: Shape([rows, columns])),
                format: .float32
            )
        }
        func select(_ queries: QuantizedRows, _ weights: Shape, _ keys: QuantizedRows, from position: Int)
            throws
        {
            let weights = Tensor(repeating: 1, shape: weights)
            _ = try indexer.select(queryCodes: queries, weights: weights, keyCodes: keys, from: position)
        }
        try select(codes(2, 4), [1, 2], codes(3, 4), from: 2)
        assertThrows(.shapeMismatch(argument: "queryCodes", expected: [2, 4], found: [3, 4])) {
            try select(codes(3, 4), [1, 2], codes(3, 4), from: 2)
        }
        assertThrows(.shapeMismatch(argument: "queryCodes", expected: [2, 4], found: [2, 5])) {
            try select(codes(2, 5), [1, 2], codes(3, 4), from: 2)
        }
        assertThrows(.shapeMismatch(argument: "weights", expected: [1, 2], found: [2, 1])) {
            try select(codes(2, 4), [2, 1], codes(3, 4), from: 2)
        }
        assertThrows(.dimensionMismatch(.indexHeadDim, argument: "keys", expected: 4, found: 3)) {
            try select(codes(2, 4), [1, 2], codes(3, 3), from: 2)
        }
        assertThrows(.positionOutOfRange(position: 3, allowed: 0..<3)) {
            try select(codes(2, 4), [1, 2], codes(3, 4), from: 3)
        }
        let wide = try LightningIndexer(heads: 1, headDim: 256, topK: 1)
        assertThrows(
            .invalidSetting(
                name: "index head dim",
                found: "256",
                expected: "at most 128, so that a row of codes has one scale"
            )
        ) {
            let row = try codes(1, 256)
            _ = try wide.scores(
                queryCodes: row,
                weights: Tensor(repeating: 1, shape: [1, 1]),
                keyCodes: row,
                from: 0
            )
        }
    }

    /// Rotated, rounded to bfloat16 and quantized, as the deployed indexer does.
    private func coded(_ tensor: Tensor, _ format: ScaleFormat) throws -> QuantizedRows {
        try QuantizedRows(quantizing: tensor.hadamardRotated().roundedToBFloat16(), format: format)
    }

    /// `(Σ_j relu(q8 · k8) · w · queryScale · heads^-½ · headDim^-½) · keyScale` in `Double`.
    private func scores(
        _ each: IndexerCase,
        _ queries: QuantizedRows,
        _ weights: Tensor,
        _ keys: QuantizedRows
    ) -> [Double] {
        let (q, k) = (queries.widenedCodes().elements, keys.widenedCodes().elements)
        let logits = PlainLoops.exactProduct(q, transposed: k, depth: each.headDim)
        let factor = 1 / Double(each.heads * each.headDim).squareRoot()
        return (0..<each.queryTokens * each.keyTokens).map { index in
            let (token, key) = (index / each.keyTokens, index % each.keyTokens)
            guard key <= each.position + token else { return -.infinity }
            let sum = (token * each.heads..<(token + 1) * each.heads).reduce(0.0) { sum, row in
                let weight = Double(weights[row]) * Double(queries.scales[row]) * factor
                return sum + max(logits[row * each.keyTokens + key], 0) * weight
            }
            return sum * Double(keys.scales[key])
        }
    }
}
