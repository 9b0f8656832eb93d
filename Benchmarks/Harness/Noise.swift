import SparseAttention

/// Seeded random numbers that do not depend on the number of threads.
///
/// Number `i` of a stream is a hash of its seed and of `i`: uniform, mean 0, variance 1.
///
/// Source: Steele, Lea and Flood 2014, the finalizer of SplitMix64.
struct Noise {
    /// Where the stream starts.
    let seed: UInt64
    /// The threads that fill large tensors.
    let workers: Workers

    /// Rows filled by one thread at a time.
    private static let tileRows = 64

    /// A stream of its own for one purpose.
    func stream(_ name: UInt64) -> Noise {
        Noise(seed: Self.mixed(seed &+ name &* 0xD1B5_4A32_D192_ED03), workers: workers)
    }

    /// A tensor of random numbers.
    ///
    /// - Parameters:
    ///   - shape: the tensor's shape.
    ///   - offset: the index in the stream of its first number.
    /// - Returns: numbers `offset ..< offset + shape.count` of the stream, in row-major order.
    func tensor(_ shape: Shape, offset: Int = 0) -> Tensor {
        var tensor = Tensor(uninitialized: shape)
        tensor.withMutableMatrix { matrix in
            workers.run(count: matrix.rows, tile: Self.tileRows) { rows in
                for row in rows {
                    let start = offset + row * matrix.columns
                    for column in 0..<matrix.columns {
                        matrix[row][column] = number(start + column)
                    }
                }
            }
        }
        return tensor
    }

    private func number(_ index: Int) -> Float {
        let bits = Self.mixed(seed &+ UInt64(truncatingIfNeeded: index) &* 0x9E37_79B9_7F4A_7C15)
        // 24 bits in [0, 1), moved and stretched to variance 1: √12 · (u − ½)
        return (Float(bits >> 40) * 0x1p-24 - 0.5) * 3.464_101_6
    }

    private static func mixed(_ value: UInt64) -> UInt64 {
        var bits = value
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }
}
