import CKernels
import Foundation
import XCTest

/// Tiles of keys bit for bit against the scalar table, their scores against `Double`.
final class IndexerKernelTests: XCTestCase {
    private let formats = [(dsa_format_f32, 4), (dsa_format_bf16, 2), (dsa_format_e4m3, 1)]

    func testTilesHoldTheExactNumbers() throws {
        for (keys, dim) in [(64, 128), (64, 16), (63, 33), (17, 7), (16, 3), (1, 1), (5, 100), (0, 4)] {
            for (format, bytes) in formats {
                var numbers = Numbers(seed: UInt64(keys * 1000 + dim))
                let rows = (0..<keys * dim * bytes + 1).map { _ in UInt8(truncatingIfNeeded: numbers.bits()) }
                let expected = try tile(KernelTables.scalar, format, keys, dim, rows)
                for table in KernelTables.supported {
                    let context = "\(KernelTables.name(of: table)) \(keys)×\(dim), \(bytes) bytes"
                    let found = try tile(table, format, keys, dim, rows)
                    XCTAssertTrue(zip(found, expected).allSatisfy(same), context)
                    guard format != dsa_format_f32 else { continue }
                    let pairs = try pairTile(table, format, keys, dim, rows)
                    for (index, value) in expected.enumerated() {
                        let (column, key) = index.quotientAndRemainder(dividingBy: 64)
                        let half = pairs[column / 2 * 128 + 2 * key + column % 2]
                        XCTAssertTrue(same(Float(bitPattern: UInt32(half) << 16), value), context)
                    }
                    if dim % 2 == 1 {
                        let last = (0..<64).map { pairs[dim / 2 * 128 + 2 * $0 + 1] }
                        XCTAssertEqual(last, [UInt16](repeating: 0, count: 64), context)
                    }
                }
            }
        }
    }

    /// Each of the 256 codes, as the format tests know it.
    func testEveryCode() throws {
        let codes = (0..<256).map { UInt8($0) }
        var values = [Float](repeating: 0, count: 256)
        KernelTables.scalar.widen_e4m3(256, codes, &values)
        for table in KernelTables.supported {
            let found = try tile(table, dsa_format_e4m3, 16, 16, codes + [0])
            for code in 0..<256 {
                let value = found[code % 16 * 64 + code / 16]
                XCTAssertTrue(same(value, values[code]), "\(KernelTables.name(of: table)) \(code)")
            }
        }
    }

    func testScores() throws {
        for (heads, dim) in [(0, 4), (1, 1), (3, 5), (4, 16), (6, 17), (7, 33), (9, 128), (13, 2)] {
            var numbers = Numbers(seed: UInt64(heads * 1000 + dim))
            let codes = (0..<64 * dim + 1).map { _ in UInt8(truncatingIfNeeded: numbers.bits() & 0xBF) }
            let weights = numbers.array(heads + 1)
            let scales = numbers.array(64)
            let keys = try tile(KernelTables.scalar, dsa_format_e4m3, 64, dim, codes)
            let halves = (0..<heads * dim + 1).map { _ in UInt16(truncatingIfNeeded: numbers.bits() & 0xBFFF)
            }
            let queries = halves.map { Float(bitPattern: UInt32($0) << 16) }
            for table in KernelTables.supported {
                let context = "\(KernelTables.name(of: table)) \(heads)×\(dim)"
                let found = [
                    ("f32", try scores(table, heads, dim, queries, weights, scales, codes)),
                    ("bf16", try pairScores(table, heads, dim, halves, weights, scales, codes)),
                ]
                for key in 0..<64 {
                    var (sum, magnitude) = (0.0, 0.0)
                    for head in 0..<heads {
                        let terms = (0..<dim).map {
                            Double(queries[head * dim + $0]) * Double(keys[$0 * 64 + key])
                        }
                        sum += Double(weights[head]) * max(terms.reduce(0, +), 0)
                        magnitude += Double(abs(weights[head])) * terms.reduce(0) { $0 + abs($1) }
                    }
                    let scale = Double(scales[key])
                    let bound = magnitude * abs(scale) * Double(dim + heads + 1) * 0x1p-24 + 1e-30
                    for (name, scores) in found {
                        let error = abs(Double(scores[key]) - sum * scale)
                        XCTAssertLessThanOrEqual(error, bound, "\(context) \(name), key \(key)")
                    }
                }
            }
        }
    }

    /// What a key's score is must not depend on where in a tile it lies, nor on what else does.
    func testAKeyCountsAlone() throws {
        let (heads, dim) = (7, 24)
        var numbers = Numbers(seed: 5)
        let codes = (0..<64 * dim + 1).map { _ in UInt8(truncatingIfNeeded: numbers.bits() & 0xBF) }
        let halves = (0..<heads * dim + 1).map { _ in UInt16(truncatingIfNeeded: numbers.bits() & 0xBFFF) }
        let queries = halves.map { Float(bitPattern: UInt32($0) << 16) }
        let weights = numbers.array(heads + 1)
        let ones = [Float](repeating: 1, count: 64)
        let turned = Array(codes[(5 * dim)..<(64 * dim)] + codes[..<(5 * dim)]) + [0]
        var broken = codes
        broken[37 * dim + dim - 1] = 0xFF
        for table in KernelTables.supported {
            let name = KernelTables.name(of: table)
            func all(_ codes: [UInt8]) throws -> [[Float]] {
                [
                    try scores(table, heads, dim, queries, weights, ones, codes),
                    try pairScores(table, heads, dim, halves, weights, ones, codes),
                ]
            }
            let (found, moved, poisoned) = (try all(codes), try all(turned), try all(broken))
            for index in 0..<2 {
                XCTAssertEqual(moved[index], Array(found[index][5...] + found[index][..<5]), name)
                for key in 0..<64 {
                    if key == 37 {
                        XCTAssertTrue(poisoned[index][key].isNaN, name)
                    } else {
                        XCTAssertEqual(poisoned[index][key], found[index][key], name)
                    }
                }
            }
        }
    }

    // MARK: - Calls

    /// `rows` may begin anywhere: one byte off the start here.
    private func tile(
        _ table: dsa_kernels,
        _ format: dsa_format,
        _ keys: Int,
        _ dim: Int,
        _ rows: [UInt8]
    ) throws -> [Float] {
        let shifted = [0] + rows
        let tile = try guarded(dsa_tile_rows(dim) * 64, filledWith: Float.nan, "tile") { tile in
            shifted.withUnsafeBytes { rows in
                guard let start = rows.baseAddress else { return }
                table.key_tile_f32(format, keys, dim, start + 1, tile)
            }
        }
        return Array(tile.prefix(dim * 64))
    }

    private func pairTile(
        _ table: dsa_kernels,
        _ format: dsa_format,
        _ keys: Int,
        _ dim: Int,
        _ rows: [UInt8]
    ) throws -> [UInt16] {
        try guarded(dsa_tile_rows(dim) * 64, filledWith: UInt16(0x7FC0), "tile of pairs") { tile in
            table.key_tile_bf16(format, keys, dim, rows, tile)
        }
    }

    private func scores(
        _ table: dsa_kernels,
        _ heads: Int,
        _ dim: Int,
        _ queries: [Float],
        _ weights: [Float],
        _ scales: [Float],
        _ codes: [UInt8]
    ) throws -> [Float] {
        let tile = try tile(table, dsa_format_e4m3, 64, dim, codes)
        return try guarded(64, filledWith: Float.nan, "scores") {
            table.index_scores_f32(heads, dim, queries, weights, scales, tile, codes, codes.count, $0)
        }
    }

    private func pairScores(
        _ table: dsa_kernels,
        _ heads: Int,
        _ dim: Int,
        _ queries: [UInt16],
        _ weights: [Float],
        _ scales: [Float],
        _ codes: [UInt8]
    ) throws -> [Float] {
        let tile = try pairTile(table, dsa_format_e4m3, 64, dim, codes)
        let width = dsa_tile_rows(dim)
        var padded = [UInt16](repeating: 0, count: heads * width + 1)
        for head in 0..<heads {
            for column in 0..<dim { padded[head * width + column] = queries[head * dim + column] }
        }
        return try guarded(64, filledWith: Float.nan, "scores of pairs") {
            table.index_scores_bf16(heads, dim, padded, weights, scales, tile, nil, 0, $0)
        }
    }

    private func same(_ x: Float, _ y: Float) -> Bool {
        x.bitPattern == y.bitPattern || (x.isNaN && y.isNaN)
    }
}
