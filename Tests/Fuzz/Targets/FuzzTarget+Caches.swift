import SparseAttention

extension FuzzTarget {
    /// Unpacks rows, or quantizes numbers, or uses caches, as the first byte says.
    func useCaches(_ input: consuming Input) throws {
        switch input.number(below: 4) {
        case 0: try unpackRows(input)
        case 1: try dequantize(input)
        case 2: try fillLatents(input)
        default: try fillKeys(input)
        }
    }

    /// Rows of the packed format; those of finite numbers can be packed again.
    private func unpackRows(_ input: consuming Input) throws {
        let rows = try PackedLatentRow.unpack(input.remainder())
        precondition(rows.shape.columns == 576)
        guard rows.firstNonFinite == nil else { return }
        for format in [ScaleFormat.float32, .powerOfTwo] {
            let packed = try PackedLatentRow.pack(
                latents: rows.columns(0..<512),
                ropeKeys: rows.columns(512..<576),
                format: format
            )
            precondition(packed.count == rows.shape.rows * PackedLatentRow.byteCount)
        }
    }

    /// Codes and scales whose numbers may not fit the size.
    private func dequantize(_ input: consuming Input) throws {
        let (rows, columns) = (input.number(below: 32) - 1, input.number(below: 256) - 1)
        let scales = input.floats(input.number(below: 64))
        let codes = input.remainder()
        let refusals = [
            {
                _ = try QuantizedRows(rows: rows, columns: columns, codes: codes, scales: scales)
                    .dequantized()
            },
            {
                _ = try QuantizedWeight(rows: rows, columns: columns, codes: codes, scales: scales)
                    .dequantized()
            },
        ]
        for attempt in refusals {
            do { try attempt() } catch { check(error) }
        }
        let tensor = try Tensor(scales, shape: [scales.count])
        let quantized = try QuantizedRows(quantizing: tensor, format: .powerOfTwo)
        precondition(quantized.dequantized().count == scales.count)
    }

    /// Appends to, truncates and forks a flat and a paged latent cache, which have to agree.
    private func fillLatents(_ input: consuming Input) throws {
        let format = CacheFormat.allCases[input.number(below: CacheFormat.allCases.count)]
        let (latentDim, ropeDim) = (input.number(below: 140), input.number(below: 8))
        let capacity = input.number(below: 150) - 1
        var flat = try LatentCache(
            capacity: capacity,
            latentDim: latentDim,
            ropeDim: ropeDim,
            format: format
        )
        var paged = PagedLatentCache(
            try PagedLatentCache.Pool(pages: 4, latentDim: latentDim, ropeDim: ropeDim, format: format)
        )
        while !input.isEmpty {
            let step = input.number(below: 4)
            if step == 0 {
                let length = input.number(below: 150)
                do {
                    try flat.truncate(to: length)
                    try paged.truncate(to: length)
                } catch { check(error) }
            } else {
                let tokens = step == 1 ? 1 : input.number(below: 70)
                let numbers = input.floats(min(tokens * latentDim, 16))
                let latents = Tensor(cycling: numbers, shape: [tokens, latentDim])
                let ropeKeys = Tensor(cycling: numbers.reversed(), shape: [tokens, ropeDim])
                do {
                    try flat.append(latents: latents, ropeKeys: ropeKeys)
                    let fork = paged.fork()
                    try paged.append(latents: latents, ropeKeys: ropeKeys)
                    precondition(fork.count + tokens == paged.count)
                } catch { check(error) }
            }
            // The one has room where the other is full.
            guard flat.count == paged.count else { return }
        }
        let (left, right) = (flat.withRows { $0.widened() }, paged.withRows { $0.widened() })
        precondition(left.isBitwiseEqual(to: right))
    }

    /// The same for a pair of index key caches.
    private func fillKeys(_ input: consuming Input) throws {
        let format = CacheFormat.allCases[input.number(below: CacheFormat.allCases.count)]
        let width = input.number(below: 160)
        var flat = try IndexKeyCache(capacity: 130, indexHeadDim: width, format: format)
        var paged = PagedIndexKeyCache(
            try PagedIndexKeyCache.Pool(pages: 3, indexHeadDim: width, format: format)
        )
        while !input.isEmpty {
            let tokens = input.number(below: 70)
            let keys = Tensor(cycling: input.floats(16), shape: [tokens, width])
            do {
                try flat.append(keys)
                try paged.append(keys)
            } catch { return check(error) }
        }
        let (left, right) = (flat.withRows { $0.widened() }, paged.withRows { $0.widened() })
        precondition(left.isBitwiseEqual(to: right))
    }
}

extension Tensor {
    /// A tensor that repeats some numbers; zeros when there are none.
    fileprivate init(cycling numbers: [Float], shape: Shape) {
        self.init(repeating: 0, shape: shape)
        guard !numbers.isEmpty else { return }
        withMutableElements { elements in
            for index in elements.indices { elements[index] = numbers[index % numbers.count] }
        }
    }
}
