import SparseAttention
import TestSupport
import XCTest

/// What each attention refuses, and with which error.
final class AttentionRefusalTests: XCTestCase {
    private let scales: [Float] = [0, -1, .nan, .infinity]

    func testDenseAttention() throws {
        func attend(_ queries: Shape, _ keys: Shape, _ values: Shape, scale: Float = 1) throws {
            _ = try DenseAttention().attend(
                ones(queries),
                keys: ones(keys),
                values: ones(values),
                scale: scale
            )
        }
        assertThrows(.dimensionMismatch(.rank, argument: "queries", expected: 3, found: 2)) {
            try attend([2, 3], [4, 2, 3], [4, 2, 5])
        }
        assertThrows(.dimensionMismatch(.rank, argument: "keys", expected: 3, found: 1)) {
            try attend([2, 2, 3], [4], [4, 2, 5])
        }
        assertThrows(.dimensionMismatch(.rank, argument: "values", expected: 3, found: 4)) {
            try attend([2, 2, 3], [4, 2, 3], [4, 2, 5, 1])
        }
        assertThrows(.dimensionMismatch(.headDim, argument: "keys", expected: 3, found: 7)) {
            try attend([2, 2, 3], [4, 2, 7], [4, 2, 5])
        }
        assertThrows(.dimensionMismatch(.keyTokens, argument: "values", expected: 4, found: 5)) {
            try attend([2, 2, 3], [4, 2, 3], [5, 2, 5])
        }
        assertThrows(.dimensionMismatch(.keyHeads, argument: "values", expected: 2, found: 1)) {
            try attend([2, 2, 3], [4, 2, 3], [4, 1, 5])
        }
        for (heads, keyHeads) in [(3, 2), (2, 4), (0, 1), (2, 0)] {
            assertThrows(
                .invalidSetting(
                    name: "heads",
                    found: "\(heads) over \(keyHeads)",
                    expected: "a positive multiple"
                )
            ) {
                try attend(
                    Shape(trusted: [1, heads, 3]),
                    Shape(trusted: [4, keyHeads, 3]),
                    Shape(trusted: [4, keyHeads, 5])
                )
            }
        }
        assertThrows(.invalidSetting(name: "queryTokens", found: "5", expected: "at most the 4 key tokens")) {
            try attend([5, 2, 3], [4, 2, 3], [4, 2, 5])
        }
        for scale in scales {
            assertThrows(.invalidSetting(name: "scale", found: "\(scale)", expected: "a positive number")) {
                try attend([2, 2, 3], [4, 2, 3], [4, 2, 5], scale: scale)
            }
        }
    }

    func testTopKAttention() throws {
        func attend(_ queries: Shape, tokens: Int = 2, valueDim: Int = 2, scale: Float = 1) throws {
            let positions = [Int32](repeating: 0, count: tokens)
            _ = try TopKAttention(valueDim: valueDim).attend(
                ones(queries),
                to: ones([4, 3]),
                at: TokenSelection(positions: positions, queryTokens: tokens, slots: 1),
                scale: scale
            )
        }
        assertThrows(.dimensionMismatch(.rank, argument: "queries", expected: 3, found: 2)) {
            try attend([2, 3])
        }
        assertThrows(.dimensionMismatch(.headDim, argument: "queries", expected: 3, found: 4)) {
            try attend([2, 1, 4])
        }
        assertThrows(.dimensionMismatch(.queryTokens, argument: "selection", expected: 2, found: 3)) {
            try attend([2, 1, 3], tokens: 3)
        }
        for valueDim in [0, -1, 4] {
            assertThrows(
                .invalidSetting(name: "valueDim", found: "\(valueDim)", expected: "1 to the row's 3")
            ) {
                try attend([2, 1, 3], valueDim: valueDim)
            }
        }
        for scale in scales {
            assertThrows(.invalidSetting(name: "scale", found: "\(scale)", expected: "a positive number")) {
                try attend([2, 1, 3], scale: scale)
            }
        }
    }

    func testLatentAttentionSettings() throws {
        for (index, name) in ["heads", "latentDim", "ropeDim", "nopeDim", "valueDim"].enumerated() {
            var sizes = [2, 2, 2, 2, 2]
            sizes[index] = 0
            assertThrows(.invalidSetting(name: name, found: "0", expected: "at least 1")) {
                _ = try LatentAttention.Dimensions(
                    heads: sizes[0],
                    latentDim: sizes[1],
                    ropeDim: sizes[2],
                    nopeDim: sizes[3],
                    valueDim: sizes[4]
                )
            }
        }
        let dimensions = try LatentAttention.Dimensions(
            heads: 2,
            latentDim: 5,
            ropeDim: 2,
            nopeDim: 3,
            valueDim: 4
        )
        for scale in scales {
            assertThrows(.invalidSetting(name: "scale", found: "\(scale)", expected: "a positive number")) {
                _ = try LatentAttention(dimensions: dimensions, scale: scale)
            }
        }
    }

    func testLatentAttention() throws {
        let dimensions = try LatentAttention.Dimensions(
            heads: 2,
            latentDim: 5,
            ropeDim: 2,
            nopeDim: 3,
            valueDim: 4
        )
        let attention = try LatentAttention(dimensions: dimensions, scale: 1)
        func attend(
            _ queries: Shape,
            cache sizes: (latentDim: Int, ropeDim: Int) = (5, 2),
            weight: Shape = [14, 5],
            selected: Int? = nil
        ) throws {
            var cache = try LatentCache(capacity: 3, latentDim: sizes.latentDim, ropeDim: sizes.ropeDim)
            try cache.append(
                latents: ones(Shape([3, sizes.latentDim])),
                ropeKeys: ones(Shape([3, sizes.ropeDim]))
            )
            _ = try attention.attend(
                ones(queries),
                to: cache,
                through: .init(ones(weight)),
                at: selected.map { .everything(queryTokens: $0, position: 0) }
            )
        }
        try attend([3, 2, 5], selected: 3)
        for shape: Shape in [[1, 2, 4], [1, 3, 5], [2, 5], [1, 2, 5, 1]] {
            let expected = Shape(trusted: [shape[0], 2, 5])
            assertThrows(.shapeMismatch(argument: "queries", expected: expected, found: shape)) {
                try attend(shape)
            }
        }
        assertThrows(.dimensionMismatch(.latentDim, argument: "latents", expected: 5, found: 6)) {
            try attend([1, 2, 5], cache: (6, 2))
        }
        assertThrows(.dimensionMismatch(.ropeDim, argument: "latents", expected: 2, found: 0)) {
            try attend([1, 2, 5], cache: (5, 0))
        }
        for shape: Shape in [[13, 5], [14, 6]] {
            assertThrows(.shapeMismatch(argument: "projection", expected: [14, 5], found: shape)) {
                try attend([1, 2, 5], weight: shape)
            }
        }
        assertThrows(.positionOutOfRange(position: 4, allowed: 0..<4)) { try attend([4, 2, 5]) }
        assertThrows(.dimensionMismatch(.queryTokens, argument: "selection", expected: 2, found: 1)) {
            try attend([2, 2, 5], selected: 1)
        }
    }

    func testResults() throws {
        assertThrows(.dimensionMismatch(.rank, argument: "output", expected: 3, found: 2)) {
            _ = try AttentionResult(output: ones([2, 3]), logSumExp: ones([2]), maximumScore: ones([2]))
        }
        assertThrows(.shapeMismatch(argument: "logSumExp", expected: [2, 3], found: [2])) {
            _ = try AttentionResult(
                output: ones([2, 3, 4]),
                logSumExp: ones([2]),
                maximumScore: ones([2, 3])
            )
        }
        assertThrows(.shapeMismatch(argument: "maximumScore", expected: [2, 3], found: [3])) {
            _ = try AttentionResult(
                output: ones([2, 3, 4]),
                logSumExp: ones([2, 3]),
                maximumScore: ones([3])
            )
        }
        assertThrows(.invalidSetting(name: "parts", found: "none", expected: "at least one")) {
            _ = try AttentionResult.merged([])
        }
        let part = try AttentionResult(
            output: ones([2, 3, 4]),
            logSumExp: ones([2, 3]),
            maximumScore: ones([2, 3])
        )
        assertThrows(.shapeMismatch(argument: "parts", expected: [2, 3, 4], found: [1, 3, 4])) {
            _ = try AttentionResult.merged([part, part.slice(0..<1)])
        }
    }

    private func ones(_ shape: Shape) -> Tensor { Tensor(repeating: 1, shape: shape) }
}
