import Conformance
import SparseAttention
import SparseInference
import XCTest

/// Golden data whose tensors do not fit one another miss with a typed error; they never end the process.
final class DamagedGoldenTests: XCTestCase {
    /// A golden file of float32 zeros, or of int32 zeros where the name says so.
    private func golden(_ shapes: KeyValuePairs<String, [Int]>) throws -> GoldenFile {
        var members: [String] = []
        var end = 0
        for (name, shape) in shapes {
            let isList = name.hasSuffix("indices") || name.hasSuffix("_ids")
            let start = end
            end += 4 * shape.reduce(1, *)
            members.append(
                "\"\(name)\":{\"dtype\":\"\(isList ? "I32" : "F32")\",\"shape\":\(shape),"
                    + "\"data_offsets\":[\(start),\(end)]}"
            )
        }
        let header = Array("{\(members.joined(separator: ","))}".utf8)
        let length = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) }
        let bytes = length + header + [UInt8](repeating: 0, count: end)
        return try bytes.withUnsafeBytes {
            GoldenFile(try SafetensorsFile(MappedFile(copying: $0, name: "golden.safetensors")))
        }
    }

    private func operators(
        _ shapes: KeyValuePairs<String, [Int]>,
        parameters: String = "{}"
    ) throws -> [ConformanceCase] {
        try OperatorCases(golden(shapes), parameters: JSONValue(parsing: Array(parameters.utf8))).all
    }

    /// Checks that every case throws this.
    private func assertError<Fault: Error & Equatable>(
        _ expected: Fault,
        _ cases: [ConformanceCase],
        file: StaticString = #filePath,
        line: UInt = #line
    ) {
        XCTAssertFalse(cases.isEmpty, file: file, line: line)
        for item in cases {
            XCTAssertThrowsError(try item.run(), item.name, file: file, line: line) { error in
                XCTAssertEqual(error as? Fault, expected, item.name, file: file, line: line)
            }
        }
    }

    private func mismatch(
        _ dimension: SparseAttentionError.Dimension,
        _ name: String,
        expected: Int,
        found: Int
    ) -> SparseAttentionError {
        .dimensionMismatch(dimension, argument: name, expected: expected, found: found)
    }

    func testWeightsThatDoNotFitTheirInput() throws {
        assertError(
            mismatch(.columns, "swiglu.gate_proj", expected: 4, found: 6),
            try operators(["swiglu.x": [6, 4], "swiglu.gate_proj": [8, 6], "swiglu.out": [4, 6]])
        )
        assertError(
            mismatch(.rank, "swiglu.gate_proj", expected: 2, found: 3),
            try operators(["swiglu.x": [6, 4], "swiglu.gate_proj": [8, 1, 4], "swiglu.out": [4, 6]])
        )
    }

    func testTensorsOfTooFewDimensions() throws {
        assertError(
            mismatch(.rank, "attention.a.q", expected: 3, found: 2),
            try operators(
                ["attention.a.q": [4, 6], "attention.a.out": [4, 6]],
                parameters: #"{"attention": {"a": {"scale": 1}}}"#
            )
        )
        assertError(
            mismatch(.rank, "sparse.kv", expected: 3, found: 0),
            try operators(["sparse.kv": [], "sparse.out": [1]], parameters: #"{"sparse": {}}"#)
        )
        assertError(
            mismatch(.rank, "weight_dequant.a.weight", expected: 2, found: 1),
            NumericsCases(
                try golden(["weight_dequant.a.weight": [4], "weight_dequant.a.output": [4]])
            ).all
        )
        assertError(
            GoldenFault.emptyTensor("sparse.indices"),
            try operators(
                ["sparse.kv": [2, 1, 4], "sparse.q": [1, 2, 4], "sparse.indices": [], "sparse.out": [1]],
                parameters: #"{"sparse": {"d_v": 2, "scale": 1}}"#
            )
        )
    }

    func testPartsOfQueriesThatDoNotMatch() throws {
        let parameters = """
            {"mla": {"heads": 2, "kv_lora_rank": 4, "qk_rope": 2, "qk_nope": 3, "v": 3, "scale": 1}}
            """
        assertError(
            SparseAttentionError.shapeMismatch(argument: "q_pe", expected: [5, 2, 2], found: [4, 2, 2]),
            try operators(
                ["mla.q_nope": [5, 2, 3], "mla.q_pe": [4, 2, 2], "mla.out": [5, 2, 3]],
                parameters: parameters
            )
        )
    }

    func testRoutingNoExpertsCanFollow() throws {
        let shapes: KeyValuePairs = [
            "moe_gate.a.x": [2, 3], "moe_gate.a.weight": [8, 3], "moe_gate.a.bias": [8],
            "moe_gate.a.expert_ids": [2, 2],
        ]
        for (groups, kept, perToken, name, found, expected) in [
            (0, 1, 1, "n_group", 0, "1 to 8"), (3, 1, 1, "n_group", 3, "a divisor of 8"),
            (4, 5, 1, "topk_group", 5, "1 to 4"), (4, 2, -1, "num_experts_per_tok", -1, "1 to 8"),
        ] {
            let parameters = """
                {"moe_gate": {"moe_gate.a": {"n_group": \(groups), "topk_group": \(kept),
                 "num_experts_per_tok": \(perToken), "norm_topk_prob": true, "routed_scaling_factor": 1}}}
                """
            assertError(
                SparseAttentionError.invalidSetting(name: name, found: "\(found)", expected: expected),
                try operators(shapes, parameters: parameters)
            )
        }
    }

    /// A size that only the parameters tell is held against the tensors before anything of it is made.
    func testParametersLargerThanTheirTensors() throws {
        let parameters = """
            {"yarn": {"a": {"rope_dim": 18470955161532, "rope_theta": 10000, "rope_scaling":
             {"factor": 8, "original_max_position_embeddings": 2048, "beta_fast": 32, "beta_slow": 1}}}}
            """
        assertError(
            mismatch(.ropeDim, "rope_dim", expected: 32, found: 18_470_955_161_532),
            try operators(["yarn.a.inv_freq_hf": [16]], parameters: parameters)
        )
    }

    /// Rows without numbers cost nothing to store, and for ever to go through.
    func testManyEmptyRows() throws {
        assertError(
            GoldenFault.emptyTensor("swiglu.x"),
            try operators(["swiglu.x": [1 << 50, 0], "swiglu.out": [1, 1]])
        )
    }
}
