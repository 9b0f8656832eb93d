import Conformance
import Foundation
import SparseInference

extension FuzzTarget {
    /// Runs every case that golden data give rise to: parameters, a header, and the bytes the data repeat.
    func runConformance(_ input: consuming Input) throws {
        let parameters = try JSONValue(parsing: input.text(), dialect: .nonFiniteNumbers)
        let fill = input.remainder(afterTexts: 1)
        let golden = GoldenFile(try input.file(named: "golden.safetensors", fill: fill))
        run(
            NumericsCases(golden).all + RoundTripCases(golden).all
                + OperatorCases(golden, parameters: parameters).all
        )
    }

    /// Runs the cases that two lists name: `hostile/manifest.json`, then `tokenizer_cases.json`.
    func runManifest(_ input: consuming Input) throws {
        let nowhere = URL(fileURLWithPath: "/nonexistent", isDirectory: true)
        let manifest = try JSONValue(parsing: input.text(), dialect: .nonFiniteNumbers)
        let hostile = Result { try HostileCases(nowhere, manifest: manifest).all }
        switch hostile {
        case .success(let cases): run(cases)
        case .failure(let error): check(error)
        }
        let cases = try JSONValue(parsing: input.text(), dialect: .nonFiniteNumbers)
        run(TokenizerCases(cases, name: "tokenizer") { FixtureTokenizer.shared }.all)
    }

    private func run(_ cases: [ConformanceCase]) {
        for item in cases {
            do { _ = try item.run() } catch { check(error) }
        }
    }
}
