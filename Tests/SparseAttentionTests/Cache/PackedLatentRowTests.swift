import SparseAttention
import TestSupport
import XCTest

final class PackedLatentRowTests: XCTestCase {
    private func rows(_ tokens: Int, seed: UInt64) throws -> (latents: Tensor, ropeKeys: Tensor) {
        var generator = SeededGenerator(seed: seed)
        let latents = generator.tensor(try Shape([tokens, 512]), magnitude: 3)
        return (latents, generator.tensor(try Shape([tokens, 64])))
    }

    func testLayout() throws {
        let (latents, ropeKeys) = try rows(1, seed: 1)
        let bytes = try PackedLatentRow.pack(latents: latents, ropeKeys: ropeKeys, format: .float32)
        XCTAssertEqual([bytes.count, PackedLatentRow.byteCount], [656, 656])
        for block in 0..<4 {
            let part = latents.elements[block * 128..<(block + 1) * 128]
            let scale = (part.map(\.magnitude).max() ?? 0) / 448
            let bits = bytes[512 + 4 * block..<516 + 4 * block].reversed().reduce(UInt32(0)) {
                $0 << 8 | UInt32($1)
            }
            XCTAssertEqual(Float(bitPattern: bits), scale)
            for (column, value) in zip(part.indices, part) {
                XCTAssertEqual(bytes[column], Float8E4M3(value / scale).bitPattern)
            }
        }
        for column in 0..<64 {
            let bits = UInt16(bytes[528 + 2 * column]) | UInt16(bytes[529 + 2 * column]) << 8
            XCTAssertEqual(bits, BFloat16(ropeKeys[column]).bitPattern)
        }
    }

    func testUnpackingGivesRoundedNumbers() throws {
        for format in [ScaleFormat.float32, .powerOfTwo] {
            let (latents, ropeKeys) = try rows(3, seed: 2)
            let bytes = try PackedLatentRow.pack(latents: latents, ropeKeys: ropeKeys, format: format)
            let unpacked = try PackedLatentRow.unpack(bytes)
            XCTAssertEqual(unpacked.shape, [3, 576])
            assertSameBits(unpacked.columns(512..<576), ropeKeys.roundedToBFloat16())
            assertSameBits(unpacked.roundedToBFloat16(), unpacked)
            for (found, expected) in zip(unpacked.columns(0..<512).elements, latents.elements) {
                // Half a step of E4M3 is a sixteenth, or 2^-10 of the scale; bfloat16 adds 2^-9 of the number.
                XCTAssertEqual(found, expected, accuracy: expected.magnitude / 15 + 0x1p-9 * 3 / 448)
            }
        }
    }

    func testPowerOfTwoScales() throws {
        var latents = Tensor(repeating: 0, shape: [1, 512])
        latents[0] = 448
        latents[128] = 449
        latents[256] = 3
        let bytes = try PackedLatentRow.pack(
            latents: latents,
            ropeKeys: Tensor(repeating: 0, shape: [1, 64]),
            format: .powerOfTwo
        )
        let scales = (0..<4).map { block in
            Float(
                bitPattern: bytes[512 + 4 * block..<516 + 4 * block].reversed().reduce(UInt32(0)) {
                    $0 << 8 | UInt32($1)
                }
            )
        }
        XCTAssertEqual(scales, [1, 2, 0x1p-7, 0x1p-13])
        XCTAssertEqual([bytes[0], bytes[256]], [0x7E, Float8E4M3(384).bitPattern])
    }

    func testNoRows() throws {
        let (latents, ropeKeys) = try rows(0, seed: 3)
        XCTAssertEqual(try PackedLatentRow.pack(latents: latents, ropeKeys: ropeKeys, format: .float32), [])
        XCTAssertEqual(try PackedLatentRow.unpack([]).shape, [0, 576])
    }

    func testRefusals() throws {
        let (latents, ropeKeys) = try rows(1, seed: 4)
        func pack(_ latents: Tensor, _ ropeKeys: Tensor) throws {
            _ = try PackedLatentRow.pack(latents: latents, ropeKeys: ropeKeys, format: .float32)
        }
        assertThrows(.shapeMismatch(argument: "latents", expected: [1, 512], found: [1, 64])) {
            try pack(ropeKeys, ropeKeys)
        }
        assertThrows(.shapeMismatch(argument: "ropeKeys", expected: [1, 64], found: [1, 512])) {
            try pack(latents, latents)
        }
        assertThrows(.nonFinite(argument: "latents", index: 0)) {
            try pack(latents.settingRows([0], to: .infinity), ropeKeys)
        }
        assertThrows(.nonFinite(argument: "ropeKeys", index: 0)) {
            try pack(latents, ropeKeys.settingRows([0], to: .nan))
        }
        assertThrows(.dimensionMismatch(.columns, argument: "bytes", expected: 1_312, found: 657)) {
            _ = try PackedLatentRow.unpack([UInt8](repeating: 0, count: 657))
        }
    }
}
