import Foundation
import SparseAttention

/// Compares every operator that is timed with its definition, at sizes where the definition is quick.
///
/// A speed is printed only after this: a fast wrong answer is worth nothing.
struct Verification {
    /// The layer whose operators are checked.
    let shape: LayerShape
    /// The threads to use.
    let workers: Workers
    /// Where the inputs come from.
    let noise: Noise

    /// A result that differs from its definition.
    struct Mismatch: Error, CustomStringConvertible {
        let what: String
        let found: String
        var description: String { "wrong result, nothing was timed: \(what): \(found)" }
    }

    /// The relative L2 distance allowed between two orders of the same float32 sums.
    ///
    /// Sums of 10³ terms differ by some 10⁻⁶; a wrong element or token shows as 10⁻³ and more.
    private static let tolerance = 2e-5

    /// The same where factors are rounded to bfloat16 (2⁻⁹ each) and latents to FP8 (2⁻⁴): noise of sums, not bias.
    private static let roundedTolerance = 3e-2

    /// Runs all checks.
    ///
    /// - Throws: `Mismatch` for the first one that fails.
    func run() throws {
        try checkTopK()
        try checkIndexScores()
        try checkSparseAgainstReference()
        try checkSparseAgainstDense()
        try checkForms()
        try checkRounded()
    }
}

// MARK: - Checks

extension Verification {
    /// Selection equals sorting, with ties.
    private func checkTopK() throws {
        let scores = noise.stream(10).tensor([5000]).elements.map { ($0 * 64).rounded() / 64 }
        for count in [1, 63, shape.topK, 5000] {
            let topK = try TopK(count)
            guard topK.select(scores) == topK.reference(scores) else {
                throw Mismatch(what: "top-k", found: "\(count) of 5000 differ from sorting")
            }
        }
    }

    /// Scores equal their definition, and the indexer selects what sorting its scores selects.
    private func checkIndexScores() throws {
        let (tokens, keyTokens) = (3, 1100)
        let keys = noise.stream(11).tensor([keyTokens, shape.indexHeadDim])
        let queries = noise.stream(12).tensor([tokens, shape.indexHeads, shape.indexHeadDim])
        let weights = noise.stream(13).tensor([tokens, shape.indexHeads])
        let indexer = try LightningIndexer(
            heads: shape.indexHeads,
            headDim: shape.indexHeadDim,
            topK: 200,
            workers: workers
        )
        let start = keyTokens - tokens
        let scores = try indexer.scores(queries: queries, weights: weights, keys: keys, from: start)
        let few = try indexer.scores(queries: queries, weights: weights, keys: keys.slice(0..<203), from: 200)
        let reference = try indexer.referenceScores(
            queries: queries,
            weights: weights,
            keys: keys.slice(0..<203),
            from: 200
        )
        try compare(visible(few), visible(reference), "index scores against their definition")
        let selection = try indexer.select(queries: queries, weights: weights, keys: keys, from: start)
        for token in 0..<tokens {
            let row = Array(scores.elements[token * keyTokens..<token * keyTokens + start + token + 1])
            guard indexer.topK.reference(row) == Array(selection[token]) else {
                throw Mismatch(what: "selection", found: "token \(token) differs from sorting its scores")
            }
        }
    }

    /// The sparse core equals its definition.
    private func checkSparseAgainstReference() throws {
        let sizes = shape.attention
        let latents = noise.stream(14).tensor([700, sizes.rowDim])
        let queries = noise.stream(15).tensor([2, 16, sizes.rowDim])
        let first = (0..<600).map { Int32($0) }
        let second = stride(from: 1, to: 700, by: 3).map { Int32($0) }
        let selection = try TokenSelection(
            positions: first + second + [Int32](repeating: TokenSelection.unused, count: 600 - second.count),
            queryTokens: 2,
            slots: 600
        )
        let attention = TopKAttention(valueDim: sizes.latentDim, workers: workers)
        let found = try attention.attend(queries, to: latents, at: selection, scale: shape.scale)
        let expected = try attention.reference(queries, to: latents, at: selection, scale: shape.scale)
        try compare(found, expected, "sparse core against its definition")
    }

    /// Selecting every token equals attending to all.
    private func checkSparseAgainstDense() throws {
        let sizes = shape.attention
        let tokens = 1500
        let latents = noise.stream(16).tensor([tokens, sizes.rowDim])
        let queries = noise.stream(17).tensor([1, sizes.heads, sizes.rowDim])
        let sparse = try TopKAttention(valueDim: sizes.latentDim, workers: workers)
            .attend(
                queries,
                to: latents,
                at: .everything(queryTokens: 1, position: tokens - 1),
                scale: shape.scale
            )
        let dense = latents.withRows {
            DenseAttention(workers: workers)
                .attend(
                    queries,
                    to: $0,
                    valueDim: sizes.latentDim,
                    position: tokens - 1,
                    scale: shape.scale
                )
        }
        try compare(sparse, dense, "sparse core with every token against dense")
    }

    /// Expanded and absorbed attention agree, dense and sparse, on a chunk of more than one tile.
    private func checkForms() throws {
        let sizes = try LatentAttention.Dimensions(
            heads: 2,
            latentDim: shape.attention.latentDim,
            ropeDim: shape.attention.ropeDim,
            nopeDim: shape.attention.nopeDim,
            valueDim: shape.attention.valueDim
        )
        let few = LayerShape(
            attention: sizes,
            indexHeads: shape.indexHeads,
            indexHeadDim: shape.indexHeadDim,
            topK: 150
        )
        let (tokens, chunk) = (1500, 1100)
        let data = try LayerData(shape: few, capacity: tokens, noise: noise.stream(18))
        try data.grow(to: tokens)
        let attention = try LatentAttention(dimensions: sizes, scale: shape.scale, workers: workers)
        let projection = LatentAttention.KeyValueProjection(data.projection)
        let queries = data.queries(tokens: chunk, heads: sizes.heads)
        let selection = try LightningIndexer(
            heads: few.indexHeads,
            headDim: few.indexHeadDim,
            topK: few.topK,
            workers: workers
        ).select(
            queries: data.indexQueries(tokens: chunk),
            weights: data.headWeights(tokens: chunk),
            keys: data.indexKeys,
            from: tokens - chunk
        )
        for (chosen, name) in [(nil, "dense"), (selection, "sparse")] {
            func attend(_ form: LatentAttention.Form) throws -> AttentionResult {
                try attention.attend(queries, to: data.latents, through: projection, at: chosen, form: form)
            }
            try compare(attend(.expanded), attend(.absorbed), "\(name) expanded against absorbed")
        }
    }
}

extension Verification {
    /// In bfloat16, what each side reads gives what float32 gives from the same rows, but for rounding; the
    /// selection is that of the indexer's own scores.
    private func checkRounded() throws {
        let few = LayerShape(
            attention: shape.attention,
            indexHeads: shape.indexHeads,
            indexHeadDim: shape.indexHeadDim,
            topK: 300
        )
        let (tokens, position) = (3, 1100)
        let layer = try LayerPair(shape: few, precision: .bfloat16, capacity: 1103, noise: noise.stream(19))
        try layer.grow(to: position + tokens)
        let queries = layer.sparse.absorbedQueries(tokens: tokens)
        let indexer = try layer.indexer(workers: workers)
        let operands = (layer.sparse.indexQueries(tokens: tokens), layer.sparse.headWeights(tokens: tokens))
        let scores = try indexer.scores(
            queries: operands.0,
            weights: operands.1,
            keys: layer.sparse.indexKeys,
            from: position
        )
        let selection = try indexer.select(
            queries: operands.0,
            weights: operands.1,
            keys: layer.sparse.indexKeys,
            from: position
        )
        for token in 0..<tokens {
            let start = token * (position + tokens)
            let row = Array(scores.elements[start..<start + position + token + 1])
            guard indexer.topK.reference(row) == Array(selection[token]) else {
                throw Mismatch(what: "FP8 selection", found: "token \(token) differs from sorting its scores")
            }
        }
        let exact = TopKAttention(valueDim: few.attention.latentDim, workers: workers)
        try compare(
            layer.sparseCore(workers: workers).attend(
                queries,
                to: layer.sparse.latents,
                at: selection,
                scale: few.scale
            ),
            exact.attend(queries, to: layer.sparse.latents, at: selection, scale: few.scale),
            "sparse core in bfloat16 against float32",
            within: Self.roundedTolerance
        )
        func dense(_ attention: DenseAttention) -> AttentionResult {
            layer.dense.latents.withRows { rows in
                attention.attend(
                    queries,
                    to: rows,
                    valueDim: few.attention.latentDim,
                    position: position,
                    scale: few.scale
                )
            }
        }
        try compare(
            dense(layer.denseCore(workers: workers)),
            dense(DenseAttention(workers: workers)),
            "dense core in bfloat16 against float32",
            within: Self.roundedTolerance
        )
    }
}

// MARK: - Comparing

extension Verification {
    /// The elements that are not −infinity.
    private func visible(_ scores: Tensor) -> [Float] {
        scores.elements.filter { $0 != -.infinity }
    }

    private func compare(
        _ found: AttentionResult,
        _ expected: AttentionResult,
        _ what: String,
        within tolerance: Double = Self.tolerance
    ) throws {
        try compare(found.output.elements, expected.output.elements, what + ", output", within: tolerance)
        try compare(
            found.logSumExp.elements,
            expected.logSumExp.elements,
            what + ", log-sum-exp",
            within: tolerance
        )
    }

    private func compare(
        _ found: [Float],
        _ expected: [Float],
        _ what: String,
        within tolerance: Double = Self.tolerance
    ) throws {
        guard found.count == expected.count else {
            throw Mismatch(what: what, found: "\(found.count) elements in place of \(expected.count)")
        }
        var (distance, length) = (0.0, 0.0)
        for (a, b) in zip(found, expected) {
            distance += (Double(a) - Double(b)) * (Double(a) - Double(b))
            length += Double(b) * Double(b)
        }
        let error = (distance / length).squareRoot()
        guard error <= tolerance else {
            throw Mismatch(what: what, found: "relative distance \(error), allowed \(tolerance)")
        }
    }
}
