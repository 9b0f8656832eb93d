import SparseAttention

extension AttentionBlock {
    /// Gradients of a core that attends to selected tokens.
    struct SelectedResult {
        var queries: Tensor  // [tokens, heads, queryDim]
        var rows: Tensor  // [tokens, latentDim + ropeDim]
        var weight: Tensor  // [heads · (nopeDim + valueDim), latentDim]
        var attention: Tensor  // [tokens, slots]
    }

    /// The attention of all heads to the selected tokens, `[tokens, slots]`.
    func selectedAttention(_ trace: Trace, _ parameters: ParameterSet, _ selection: TokenSelection) -> Tensor
    {
        let tokens = trace.queries.shape[0]
        let nothing = Tensor(repeating: 0, shape: [tokens, sizes.heads * sizes.valueDim])
        return selectedGradients(nothing, trace, parameters[prefix + "kv_b_proj.weight"], selection).attention
    }

    /// The backward pass of the sparse core: through the value projection, the core, and the key projection.
    ///
    /// - Parameters:
    ///   - gradient: that of the core's output, `[tokens, heads · valueDim]`.
    ///   - trace: of the forward pass.
    ///   - weight: the key-value projection.
    ///   - selection: the tokens attended to.
    /// - Returns: the gradients of queries, rows and projection.
    func selectedGradients(
        _ gradient: Tensor,
        _ trace: Trace,
        _ weight: Tensor,
        _ selection: TokenSelection
    ) -> SelectedResult {
        let tokens = trace.queries.shape[0]
        let absorbed = attention.absorb(trace.queries, through: .init(weight))
        let core = SelectedAttentionGradient(sizes: sizes, scale: attention.scale, workers: workers)(
            sumGradients(gradient, weight),
            .init(
                queries: absorbed,
                rows: trace.latents.joined(with: trace.ropeKeys),
                selection: selection,
                logSumExp: trace.logSumExp,
                corrections: corrections(trace.output, gradient)
            )
        )
        var queries = Tensor(uninitialized: trace.queries.shape)
        var weightGradient = Tensor(uninitialized: weight.shape)
        lend(mutable: &queries, &weightGradient) { queries, weightGradient in
            lend(core.queries, core.sums, trace.queries) { absorbed, sums, source in
                lend(weight, gradient) { weight, gradient in
                    let queries = queries.reshaped(rows: tokens, columns: sizes.heads * sizes.queryDim)
                    let source = source.reshaped(rows: tokens, columns: sizes.heads * sizes.queryDim)
                    let absorbed = absorbed.reshaped(rows: tokens, columns: sizes.heads * sizes.rowDim)
                    let sums = sums.reshaped(rows: tokens, columns: sizes.heads * sizes.latentDim)
                    workers.run(tiles: sizes.heads) { head in
                        let first = head * sizes.projectionRows
                        let (keys, values) = (
                            first..<first + sizes.nopeDim,
                            first + sizes.nopeDim..<first + sizes.projectionRows
                        )
                        let row = absorbed.columns(head * sizes.rowDim..<(head + 1) * sizes.rowDim)
                        let latent = row.columns(0..<sizes.latentDim)
                        let start = head * sizes.queryDim
                        let nope = start..<start + sizes.nopeDim
                        BLAS.multiply(latent, transposed: weight.rows(keys), into: queries.columns(nope))
                        queries.columns(start + sizes.nopeDim..<start + sizes.queryDim)
                            .copy(from: row.columns(sizes.latentDim..<sizes.rowDim))
                        BLAS.multiply(
                            transposed: source.columns(nope),
                            latent,
                            into: weightGradient.rows(keys)
                        )
                        BLAS.multiply(
                            transposed: gradient.columns(head * sizes.valueDim..<(head + 1) * sizes.valueDim),
                            sums.columns(head * sizes.latentDim..<(head + 1) * sizes.latentDim),
                            into: weightGradient.rows(values)
                        )
                    }
                }
            }
        }
        return SelectedResult(
            queries: queries,
            rows: core.rows,
            weight: weightGradient,
            attention: core.attention
        )
    }

    /// The gradient of the weighted sums of latents, `[tokens, heads, latentDim]`.
    private func sumGradients(_ gradient: Tensor, _ weight: Tensor) -> Tensor {
        let tokens = gradient.shape[0]
        var sums = Tensor(uninitialized: [tokens, sizes.heads, sizes.latentDim])
        sums.withMutableMatrix { sums in
            let sums = sums.reshaped(rows: tokens, columns: sizes.heads * sizes.latentDim)
            lend(gradient, weight) { gradient, weight in
                workers.run(tiles: sizes.heads) { head in
                    let first = head * sizes.projectionRows + sizes.nopeDim
                    BLAS.multiply(
                        gradient.columns(head * sizes.valueDim..<(head + 1) * sizes.valueDim),
                        weight.rows(first..<first + sizes.valueDim),
                        into: sums.columns(head * sizes.latentDim..<(head + 1) * sizes.latentDim)
                    )
                }
            }
        }
        return sums
    }

    /// Output times gradient, summed over each head's values, `[tokens, heads]`.
    private func corrections(_ output: Tensor, _ gradient: Tensor) -> Tensor {
        let tokens = output.shape[0]
        var sums = Tensor(uninitialized: [tokens, sizes.heads])
        sums.withMutableMatrix { sums in
            lend(output, gradient) { output, gradient in
                for token in 0..<tokens {
                    for head in 0..<sizes.heads {
                        let start = head * sizes.valueDim
                        sums[token][head] = Kernels.dot(
                            output[token] + start,
                            gradient[token] + start,
                            count: sizes.valueDim
                        )
                    }
                }
            }
        }
        return sums
    }
}
