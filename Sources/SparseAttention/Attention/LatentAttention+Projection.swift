extension LatentAttention {
    /// Moves the key projection into the queries: `absorbed = [q_nope · W_key | q_rope]`.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, nopeDim + ropeDim]`.
    ///   - projection: forms keys and values from latents.
    /// - Returns: `[queryTokens, heads, latentDim + ropeDim]`.
    package func absorb(_ queries: Tensor, through projection: KeyValueProjection) -> Tensor {
        let sizes = dimensions
        let tokens = queries.shape[0]
        if tokens <= WeightMatrix.fewInputs, isStoredWhereUsed(projection) {
            return absorb(fewTokens: queries, through: projection)
        }
        var absorbed = Tensor(uninitialized: [tokens, sizes.heads, sizes.rowDim])
        absorbed.withMutableMatrix { output in
            queries.withMatrix { queries in
                let output = output.reshaped(rows: tokens, columns: sizes.heads * sizes.rowDim)
                let queries = queries.reshaped(rows: tokens, columns: sizes.heads * sizes.queryDim)
                workers.run(
                    tiles: sizes.heads,
                    scratch: {
                        ProjectionMemory(
                            rows: sizes.nopeDim,
                            columns: sizes.latentDim,
                            roundedInputs: usedProducts == .float32 ? nil : tokens
                        )
                    },
                    { head, memory in
                        let start = head * sizes.projectionRows
                        projection.weight.widen(start..<start + sizes.nopeDim, into: memory.weight)
                        round(memory.weight)
                        let query = queries.columns(head * sizes.queryDim..<(head + 1) * sizes.queryDim)
                        let row = output.columns(head * sizes.rowDim..<(head + 1) * sizes.rowDim)
                        let (nope, latent) = (
                            query.columns(0..<sizes.nopeDim), row.columns(0..<sizes.latentDim)
                        )
                        if usedProducts == .float32 {
                            forEachPart(of: tokens) {
                                BLAS.multiply(nope.rows($0), memory.weight.view, into: latent.rows($0))
                            }
                        } else {
                            memory.multiplyRounded(nope, into: latent)
                        }
                        round(row.columns(0..<sizes.latentDim))
                        row.columns(sizes.latentDim..<sizes.rowDim)
                            .copy(from: query.columns(sizes.nopeDim..<sizes.queryDim))
                    }
                )
            }
        }
        return absorbed
    }

    /// Applies the value projection behind the weighted sum of latents.
    ///
    /// - Parameters:
    ///   - sums: `[queryTokens, heads, latentDim]`.
    ///   - projection: forms keys and values from latents.
    /// - Returns: `[queryTokens, heads, valueDim]`.
    package func expandValues(_ sums: Tensor, through projection: KeyValueProjection) -> Tensor {
        let sizes = dimensions
        let tokens = sums.shape[0]
        if tokens == 1, rounding.activations == .float32 {
            return expandValues(oneToken: sums, through: projection)
        }
        var values = Tensor(uninitialized: [tokens, sizes.heads, sizes.valueDim])
        values.withMutableMatrix { output in
            sums.withMatrix { sums in
                let output = output.reshaped(rows: tokens, columns: sizes.heads * sizes.valueDim)
                let sums = sums.reshaped(rows: tokens, columns: sizes.heads * sizes.latentDim)
                workers.run(
                    tiles: sizes.heads,
                    scratch: { ProjectionMemory(rows: sizes.valueDim, columns: sizes.latentDim) },
                    { head, memory in
                        let start = head * sizes.projectionRows + sizes.nopeDim
                        let weight = projection.weight.rows(start..<start + sizes.valueDim)
                        let sum = sums.columns(head * sizes.latentDim..<(head + 1) * sizes.latentDim)
                        let value = output.columns(head * sizes.valueDim..<(head + 1) * sizes.valueDim)
                        guard rounding.activations != .float32 else {
                            return weight.apply(to: sum, into: value, products: usedProducts, workers: .one)
                        }
                        weight.widen(0..<sizes.valueDim, into: memory.weight)
                        round(memory.weight)
                        forEachPart(of: tokens) {
                            BLAS.multiply(sum.rows($0), transposed: memory.weight.view, into: value.rows($0))
                        }
                        round(value)
                    }
                )
            }
        }
        return values
    }
}

// MARK: - Few tokens

extension LatentAttention {
    /// Whether the product of a few tokens can read the projection where it is stored, with nothing to round.
    private func isStoredWhereUsed(_ projection: KeyValueProjection) -> Bool {
        rounding.activations == .float32 && (usedProducts == .float32 || projection.weight.isBFloat16)
    }

    /// Tokens that are multiplied together: one at a time while they are few, so that each gets the numbers it has alone.
    private func forEachPart(of tokens: Int, _ body: (Range<Int>) -> Void) {
        guard tokens <= WeightMatrix.fewInputs else { return body(0..<tokens) }
        for token in 0..<tokens { body(token..<token + 1) }
    }

    /// `absorb` for a few tokens: bound by reading the key projection, once.
    private func absorb(fewTokens queries: Tensor, through projection: KeyValueProjection) -> Tensor {
        let sizes = dimensions
        let tokens = queries.shape[0]
        var absorbed = Tensor(uninitialized: [tokens, sizes.heads, sizes.rowDim])
        absorbed.withMutableMatrix { output in
            queries.withMatrix { queries in
                workers.run(tiles: sizes.heads) { head in
                    let start = head * sizes.projectionRows
                    withUnsafeTemporaryAllocation(of: Float.self, capacity: sizes.nopeDim) { nope in
                        guard let nope = nope.baseAddress else { return }
                        for row in stride(from: head, to: tokens * sizes.heads, by: sizes.heads) {
                            let (source, target) = (queries[row], output[row])
                            nope.update(from: source, count: sizes.nopeDim)
                            if usedProducts == .bfloat16 {
                                Kernels.roundToBFloat16(nope, count: sizes.nopeDim)
                            }
                            projection.weight.multiplyTransposed(
                                start..<start + sizes.nopeDim,
                                vector: nope,
                                into: target
                            )
                            (target + sizes.latentDim)
                                .update(from: source + sizes.nopeDim, count: sizes.ropeDim)
                        }
                    }
                }
            }
        }
        return absorbed
    }

    /// `expandValues` for one token: the heads' products in one region of work.
    private func expandValues(oneToken sums: Tensor, through projection: KeyValueProjection) -> Tensor {
        let sizes = dimensions
        let parts = (0..<sizes.heads).map { head in
            let start = head * sizes.projectionRows + sizes.nopeDim
            return WeightMatrix.Part(
                projection.weight.rows(start..<start + sizes.valueDim),
                at: [head * sizes.latentDim]
            )
        }
        return WeightMatrix.apply(parts, to: sums, products: usedProducts, workers: workers)
            .reshaped(trusted: [1, sizes.heads, sizes.valueDim])
    }
}

/// One worker's memory for a head's part of a projection.
private final class ProjectionMemory {
    let weight: MutableMatrixView  // [rows, columns]
    private let rounded: BFloat16Matrix  // [rows, columns]
    private let inputs: BFloat16Matrix  // [roundedInputs, rows]
    private let panels: PackedPanels  // [rows, columns]
    private let pointers: UnsafeMutablePointer<UnsafePointer<UInt16>?>  // [rows]
    private let scratch: Scratch

    /// Memory for a part; with room for `roundedInputs` rows where they enter products as bfloat16.
    init(rows: Int, columns: Int, roundedInputs: Int? = nil) {
        let (packed, inputRows) = (roundedInputs == nil ? 0 : rows, roundedInputs ?? 0)
        scratch = Scratch(
            floats: rows * columns + BFloat16Matrix.scratchFloats(rows: packed, columns: columns)
                + BFloat16Matrix.scratchFloats(rows: inputRows, columns: rows)
                + PackedPanels.scratchFloats(rows: packed, columns: columns) + 2 * rows
        )
        weight = scratch.matrix(rows: rows, columns: columns)
        rounded = BFloat16Matrix(rows: packed, columns: columns, scratch: scratch)
        inputs = BFloat16Matrix(rows: inputRows, columns: rows, scratch: scratch)
        panels = PackedPanels(rows: packed, columns: columns, scratch: scratch)
        pointers = scratch.array(of: UnsafePointer<UInt16>?.self, count: rows)
    }

    /// `output = source · weight`, both rounded to bfloat16.
    func multiplyRounded(_ source: MatrixView, into output: MutableMatrixView) {
        inputs.round(source)
        rounded.round(weight.view)
        for row in 0..<weight.rows {
            pointers[row] = UnsafePointer(rounded[row])
        }
        panels.pack(rows: UnsafePointer(pointers))
        panels.multiply(inputs, into: output)
    }
}
