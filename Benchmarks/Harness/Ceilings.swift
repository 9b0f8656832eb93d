import Foundation
import SparseAttention

/// What this machine reaches at best, measured beside the operators.
struct Ceilings: Encodable {
    /// Float32 matrix products, in GFLOP/s.
    let sgemm: Double
    /// Dot products of bfloat16 on registers alone, in GFLOP/s; float32 where the kernels have no others.
    let bf16Dot: Double
    /// Reading memory, in GB/s.
    let memoryRead: Double

    /// The higher of each of two measurements, so that shares of a ceiling are never flattered.
    static func highest(_ a: Ceilings, _ b: Ceilings) -> Ceilings {
        Ceilings(
            sgemm: max(a.sgemm, b.sgemm),
            bf16Dot: max(a.bf16Dot, b.bf16Dot),
            memoryRead: max(a.memoryRead, b.memoryRead)
        )
    }
}

extension Ceilings: CustomStringConvertible {
    var description: String {
        String(
            format: "sgemm %.0f GFLOP/s, bf16 dot %.0f GFLOP/s, memory read %.1f GB/s",
            sgemm,
            bf16Dot,
            memoryRead
        )
    }
}

/// Measures the ceilings.
struct CeilingProbe {
    /// The threads to load.
    let workers: Workers

    /// Rows of the left factor for each thread; with two threads the whole product is 2048 × 2048 × 2048.
    private static let rowsPerThread = 1024
    /// The side of the right factor.
    private static let side = 2048
    /// Rounds of the register loop: some 10 milliseconds.
    private static let peakRounds = 1_500_000
    /// Rows of one mebibyte to read: half a gibibyte, more than any cache holds.
    private static let (readRows, readColumns) = (512, 262_144)

    /// Medians of several runs.
    func measure(repetitions: Int) -> Ceilings {
        Ceilings(
            sgemm: sgemm(repetitions: repetitions),
            bf16Dot: bf16Dot(repetitions: repetitions),
            memoryRead: memoryRead(repetitions: 2 * repetitions)
        )
    }

    /// The instruction for dot products, on registers alone, one tile a thread.
    private func bf16Dot(repetitions: Int) -> Double {
        let operations = Kernels.dotPeakOperations(rounds: Self.peakRounds)
        return rate(of: operations * Double(workers.count), repetitions: repetitions) {
            workers.run(tiles: workers.count) { _ in Kernels.runDotPeak(rounds: Self.peakRounds) }
        }
    }

    /// One tall product, a slice of rows for each thread.
    func sgemm(repetitions: Int) -> Double {
        let noise = Noise(seed: 1, workers: workers)
        let rows = workers.count * Self.rowsPerThread
        let left = noise.tensor([rows, Self.side])
        let right = noise.tensor([Self.side, Self.side])
        var product = Tensor(repeating: 0, shape: [rows, Self.side])
        let operations = 2 * Double(rows) * Double(Self.side * Self.side)
        return product.withMutableMatrix { product in
            left.withMatrix { left in
                right.withMatrix { right in
                    rate(of: operations, repetitions: repetitions) {
                        workers.run(count: rows, tile: Self.rowsPerThread) { slice in
                            BLAS.multiply(left.rows(slice), right, into: product.rows(slice))
                        }
                    }
                }
            }
        }
    }

    /// The largest element of each row of a large matrix.
    private func memoryRead(repetitions: Int) -> Double {
        let numbers = Noise(seed: 2, workers: workers).tensor([Self.readRows, Self.readColumns])
        var largest = Tensor(repeating: 0, shape: [Self.readRows])
        return largest.withMutableMatrix { largest in
            numbers.withMatrix { numbers in
                rate(
                    of: Double(numbers.rows * numbers.columns * MemoryLayout<Float>.stride),
                    repetitions: repetitions
                ) {
                    workers.run(tiles: numbers.rows) { row in
                        largest.base[row] = Kernels.maximum(numbers[row], count: numbers.columns)
                    }
                }
            }
        }
    }

    /// Billions a second of what `work` does `amount` of.
    private func rate(of amount: Double, repetitions: Int, _ work: () -> Void) -> Double {
        work()
        let times = (0..<repetitions).map { _ in ContinuousClock().measure(work).milliseconds }
        return amount / Samples(times).median * 1e-6
    }
}
