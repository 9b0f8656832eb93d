import TestSupport
import XCTest

@testable import SparseAttention

final class OpenBLASTests: XCTestCase {
    func testKernelsWithoutFusedMultiplyAddAreReplacedWhereTheProcessorHasIt() {
        XCTAssertEqual(
            OpenBLAS.betterKernels(than: "Prescott", supported: ["avx512", "avx2", "scalar"]),
            "SkylakeX"
        )
        XCTAssertEqual(OpenBLAS.betterKernels(than: "Sandybridge", supported: ["avx2", "scalar"]), "Haswell")
    }

    func testFairChoicesStay() {
        for chosen in ["Haswell", "Zen", "SkylakeX", "Cooperlake", "SapphireRapids", "ARMV8", "VORTEX"] {
            XCTAssertNil(
                OpenBLAS.betterKernels(than: chosen, supported: ["avx512", "avx2", "scalar"]),
                chosen
            )
        }
        XCTAssertNil(OpenBLAS.betterKernels(than: "Prescott", supported: ["scalar"]))
        XCTAssertNil(OpenBLAS.betterKernels(than: "Unknown", supported: ["neon", "scalar"]))
    }

    func testProductsAreRightAfterTheChoice() throws {
        let before = OpenBLAS.kernels
        let replaced = OpenBLAS.matchProcessor()
        XCTAssertEqual(replaced == nil, OpenBLAS.kernels == before)
        XCTAssertNil(OpenBLAS.betterKernels(than: OpenBLAS.kernels, supported: Kernels.supported))
        XCTAssertNil(OpenBLAS.matchProcessor(), "a second call finds nothing to do")
        var generator = SeededGenerator(seed: 3)
        let left = generator.tensor([37, 65])
        let right = generator.tensor([65, 41])
        var product = Tensor(repeating: 0, shape: [37, 41])
        product.withMutableMatrix { product in
            left.withMatrix { left in right.withMatrix { BLAS.multiply(left, $0, into: product) } }
        }
        let (a, b, c) = (left.elements, right.elements, product.elements)
        for row in 0..<37 {
            for column in 0..<41 {
                let terms = (0..<65).map { Double(a[row * 65 + $0]) * Double(b[$0 * 41 + column]) }
                let bound = terms.reduce(0) { $0 + $1.magnitude } * 65 * 0x1p-24
                XCTAssertEqual(Double(c[row * 41 + column]), terms.reduce(0, +), accuracy: bound)
            }
        }
    }
}
