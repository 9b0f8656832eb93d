import SparseAttention

/// One linear layer of DeepSeek-V3.2's width, its weight stored in every format.
struct LinearData {
    /// Inputs and outputs.
    static let side = 7168

    private let weights: [(name: String, weight: WeightMatrix)]
    private let noise: Noise

    /// Random weights: bfloat16 and FP8 bits are drawn, not rounded, so that making them is quick.
    init(noise: Noise) {
        self.noise = noise
        let count = Self.side * Self.side
        let numbers = noise.stream(30).tensor([Self.side, Self.side])
        let halves = AlignedBuffer(byteCount: 2 * count, poisoned: false)
        let codes = AlignedBuffer(byteCount: count, poisoned: false)
        numbers.withMatrix { matrix in
            Kernels.round(
                matrix.base,
                toBFloat16: halves.base.assumingMemoryBound(to: UInt16.self),
                count: count
            )
            Kernels.round(matrix.base, toFloat8: codes.base.assumingMemoryBound(to: UInt8.self), count: count)
        }
        let blocks = tileCount(Self.side, BlockScales.width)
        let scales = BlockScales([Float](repeating: 1 / 64, count: blocks * blocks), columns: Self.side)
        func stored(_ format: WeightMatrix.Format, _ buffer: AlignedBuffer) -> WeightMatrix {
            WeightMatrix(
                rows: Self.side,
                columns: Self.side,
                format: format,
                base: UnsafeRawPointer(buffer.base),
                owner: buffer
            )
        }
        weights = [
            ("float32", WeightMatrix(numbers)), ("bfloat16", stored(.bfloat16, halves)),
            ("float8", stored(.float8(scales), codes)),
        ]
    }

    /// A product with some input rows, for each format and what enters products.
    ///
    /// One row is bound by reading the weight, a chunk by arithmetic.
    func cases(tokens: Int, workers: Workers) -> [BenchmarkCase] {
        let inputs = noise.stream(31).tensor([tokens, Self.side])
        return weights.flatMap { name, weight in
            ProductArithmetic.allCases.compactMap { products in
                // A float32 weight is not stored rounded: nobody multiplies it so.
                guard name != "float32" || products == .float32 else { return nil }
                return BenchmarkCase(
                    name: tokens == 1 ? "linear-decode" : "linear-prefill",
                    precision: "\(products.rawValue)/\(name)",
                    ceiling: tokens == 1 ? .memoryRead : products == .float32 ? .sgemm : .bf16Dot,
                    position: tokens,
                    operations: 2 * Double(Self.side * Self.side),
                    bytes: Double(weight.byteCount) / Double(tokens)
                ) { laps in
                    laps.time("linear", scaledBy: 1 / Double(tokens)) {
                        _ = weight.apply(to: inputs, products: products, workers: workers)
                    }
                }
            }
        }
    }
}
