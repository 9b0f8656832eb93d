import Foundation
import SparseInference
import XCTest

/// A file with random damage opens or is refused; it never ends the process.
final class CheckpointFuzzTests: XCTestCase {
    /// Steele, Lea and Flood 2014, *SplitMix*: the same numbers on every machine.
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var bits = state
            bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
            bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
            return bits ^ bits >> 31
        }
    }

    /// Flips, overwrites, removes, inserts or cuts at random places.
    private func damaged(_ bytes: [UInt8], with generator: inout Generator) -> [UInt8] {
        var bytes = bytes
        for _ in 0..<Int.random(in: 1...4, using: &generator) {
            guard let place = bytes.indices.randomElement(using: &generator) else { break }
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            case 1: bytes[place] = .random(in: .min ... .max, using: &generator)
            case 2: bytes[place] = Array("0123456789-[]{},:\"\\e.".utf8).randomElement(using: &generator) ?? 0
            case 3: bytes.remove(at: place)
            case 4: bytes.insert(bytes[place], at: place)
            default: bytes.removeLast(bytes.count - place)
            }
        }
        return bytes
    }

    func testDamagedSafetensorsNeverTrap() throws {
        let header =
            "{\"__metadata__\":{\"format\":\"pt\"}," + entry("a", "F32", [2, 2], 0..<16) + ","
            + entry("b\\u00e9", "BF16", [3], 16..<22) + "," + entry("empty", "I64", [0, 7], 22..<22) + "}"
        let valid = safetensors(header: header, data: Array(0..<22))
        let folder = try TemporaryFolder()
        var generator = Generator(state: 20)
        var opened = 0
        for trial in 0..<2000 {
            let url = try folder.write(damaged(valid, with: &generator), as: "file.safetensors")
            do {
                let file = try SafetensorsFile(contentsOf: url)
                opened += 1
                for name in file.names {
                    let entry = try XCTUnwrap(file.tensors[name])
                    XCTAssertEqual(try file.withBytes(of: name) { Array($0).count }, entry.byteCount)
                }
            } catch {
                XCTAssertTrue(error is SparseInferenceError, "trial \(trial): \(error)")
                XCTAssertFalse("\(error)".isEmpty)
            }
        }
        // Damage to the data alone goes unseen, damage to the header seldom does.
        XCTAssertGreaterThan(opened, 20)
        XCTAssertLessThan(opened, 1000)
    }

    func testDamagedIndexesNeverTrap() throws {
        let folder = try TemporaryFolder()
        let header = "{" + entry("a", "U8", [4], 0..<4) + "}"
        try folder.write(safetensors(header: header, data: [1, 2, 3, 4]), as: "m.safetensors")
        let valid = Array("{\"metadata\":{},\"weight_map\":{\"a\":\"m.safetensors\"}}".utf8)
        var generator = Generator(state: 21)
        for trial in 0..<1000 {
            try folder.write(damaged(valid, with: &generator), as: "model.safetensors.index.json")
            do {
                let checkpoint = try Checkpoint(contentsOf: folder.url)
                XCTAssertEqual(checkpoint.names, ["a"], "trial \(trial)")
            } catch {
                XCTAssertFalse(error.description.isEmpty, "trial \(trial)")
            }
        }
    }

    func testDamagedConfigurationsNeverTrap() throws {
        var generator = Generator(state: 22)
        for family in ModelConfiguration.Family.allCases {
            let valid = Array(ConfigurationText(family: family).description.utf8)
            for _ in 0..<2000 {
                guard let value = try? JSONValue(parsing: damaged(valid, with: &generator)) else { continue }
                _ = try? ModelConfiguration(value)
            }
        }
    }
}
