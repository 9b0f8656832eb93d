import Foundation
import XCTest

/// `dsa train` and `dsa evaluate` as processes.
final class TrainCommandTests: CommandLineTestCase {
    override func setUpWithError() throws {
        try super.setUpWithError()
        let configuration = """
            {"model_type": "deepseek_v32", "architectures": ["DeepseekV32ForCausalLM"], "vocab_size": 760,
             "hidden_size": 8, "intermediate_size": 8, "moe_intermediate_size": 4, "num_hidden_layers": 1,
             "num_attention_heads": 1, "num_key_value_heads": 1, "n_routed_experts": 2, "n_shared_experts": 1,
             "num_experts_per_tok": 1, "n_group": 1, "topk_group": 1, "norm_topk_prob": true,
             "routed_scaling_factor": 1.0, "first_k_dense_replace": 0, "q_lora_rank": 4, "kv_lora_rank": 4,
             "qk_nope_head_dim": 4, "qk_rope_head_dim": 2, "v_head_dim": 4, "index_n_heads": 1,
             "index_head_dim": 4, "index_topk": 8, "max_position_embeddings": 256, "rms_norm_eps": 1e-6,
             "rope_theta": 10000.0}
            """
        let stages = ["densePretraining", "denseWarmUp", "sparseTraining"].map { kind in
            """
            {"name": "\(kind)", "kind": "\(kind)", "steps": 40, "sequences": 1, "length": 64, "questions": 1,
             "mixture": {"copy": 1}, "learningRate": {"peak": 0.01, "end": 0, "warmUpSteps": 0, "shape": "constant"}}
            """
        }
        let recipe = #"{"seed": 1, "initialDeviation": 0.1, "stages": [\#(stages.joined(separator: ","))]}"#
        try Data(configuration.utf8).write(to: folder.appendingPathComponent("config.json"))
        try Data(recipe.utf8).write(to: folder.appendingPathComponent("recipe.json"))
    }

    private func train(_ out: String) -> [String] {
        ["train", path("recipe.json"), "--out", path(out), "--save-every", "0.02"]
    }

    func testRunsThatAreKilledEndTheSameBitForBit() throws {
        let dsa = try CommandLine()
        let whole = try dsa.run(train("whole"))
        XCTAssertEqual(whole.status, 0, whole.output)
        XCTAssertTrue(whole.output.contains("finished"), whole.output)
        XCTAssertTrue(whole.output.contains("denseWarmUp, after: the selection keeps"), whole.output)
        var generator = SystemRandomNumberGenerator()
        var kills = 0
        for _ in 0..<20 {
            let process = try dsa.start(train("cut"))
            Thread.sleep(forTimeInterval: Double.random(in: 0.02...0.25, using: &generator))
            kill(process.processIdentifier, SIGKILL)
            process.waitUntilExit()
            kills += process.terminationReason == .uncaughtSignal ? 1 : 0
        }
        XCTAssertGreaterThan(kills, 0, "every run was over before it was killed")
        XCTAssertEqual(try dsa.run(train("cut")).status, 0)
        for file in [
            "densePretraining/model.safetensors", "sparseTraining/model.safetensors",
            "state/state.safetensors",
        ] {
            XCTAssertEqual(
                try Data(contentsOf: folder.appendingPathComponent("cut/" + file)),
                try Data(contentsOf: folder.appendingPathComponent("whole/" + file)),
                file
            )
        }
        let log = try String(contentsOf: folder.appendingPathComponent("cut/log.jsonl"), encoding: .utf8)
        XCTAssertEqual(log.split(separator: "\n").count, 120)
    }

    func testEvaluationPrintsRows() throws {
        let dsa = try CommandLine()
        XCTAssertEqual(try dsa.run(train("run")).status, 0)
        let arguments = [
            "evaluate", "--model", path("run/sparseTraining"), "--tasks", "copy,prose", "--lengths", "64",
            "--texts", "2",
        ]
        let table = try dsa.run(arguments)
        XCTAssertEqual(table.output.split(separator: "\n").count, 3, table.output)
        let json = try dsa.run(arguments + ["--json"])
        let rows = try XCTUnwrap(
            JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [[String: Any]],
            json.output
        )
        XCTAssertEqual(rows.compactMap { $0["task"] as? String }, ["copy", "prose"])
        XCTAssertNotNil(rows[0]["sparseAccuracy"])
        let refused = try dsa.run(["evaluate", "--model", path("run/sparseTraining"), "--tasks", "noodle"])
        XCTAssertEqual(refused.status, 1)
        XCTAssertTrue(refused.output.contains("task is noodle, expected one of needle"), refused.output)
    }

    func testAMissingRecipeIsNamed() throws {
        let result = try CommandLine().run(["train", path("nothing.json"), "--out", path("run")])
        XCTAssertNotEqual(result.status, 0)
        XCTAssertTrue(result.output.contains("nothing.json"), result.output)
    }
}
