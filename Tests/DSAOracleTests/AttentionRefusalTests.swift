import CDSAOracle
import XCTest

final class OracleAttentionRefusalTests: XCTestCase {
    private typealias Change = (reason: String, apply: (inout AttentionCall) -> Void)

    func testEachArgument() {
        let common: [Change] = [
            ("q is NULL", { $0.q = nil }),
            ("out is NULL", { $0.hasOutput = false }),
            ("q_type is 3", { $0.qType = 3 }),
            ("h_q is 0", { $0.heads = 0 }),
            ("h_q is 4097", { $0.heads = 4097 }),
            ("sm_scale is 0.0", { $0.scale = 0 }),
            ("sm_scale is -1.0", { $0.scale = -1 }),
            ("sm_scale is inf", { $0.scale = .infinity }),
            ("sm_scale is nan", { $0.scale = .nan }),
        ]
        let rows: [Change] = [
            ("kv is NULL", { $0.kv = nil }),
            ("kv_type is 9", { $0.kvType = 9 }),
            ("s_q is -1", { $0.tokens = -1 }),
            ("s_kv is -1", { $0.keys = -1 }),
            ("s_kv is 2147483648", { $0.keys = 1 << 31 }),
            ("d_qk is 0", { $0.rowDim = 0 }),
            ("d_qk is 16385", { $0.rowDim = 16385 }),
            ("d_v is 0", { $0.valueDim = 0 }),
            ("d_v is 577", { $0.valueDim = 577 }),
        ]
        let selections: [Change] = [
            ("indices is NULL", { $0.indices = nil }),
            ("topk is -1", { $0.slots = -1 }),
            ("topk is 1048577", { $0.slots = 1_048_577 }),
            ("topk_length[0] is -1", { $0.lengths = [-1, 0] }),
            ("topk_length[1] is 4", { $0.lengths = [0, 4] }),
        ]
        check(.sparse, common + rows + selections)
        check(
            .packed,
            common + selections + [
                ("kv_cache is NULL", { $0.cache = nil }),
                ("tokens is -1", { $0.tokens = -1 }),
                ("pages is -1", { $0.keys = -1 }),
                ("pages is 33554432", { $0.keys = 1 << 25 }),
            ]
        )
        check(.dense, common + rows + [("s_q is 2, expected at most s_kv, 1", { $0.keys = 1 })])
    }

    private func check(_ function: AttentionFunction, _ changes: [Change]) {
        XCTAssertEqual(AttentionCall(function).run().status, accepted)
        for change in changes {
            var call = AttentionCall(function)
            change.apply(&call)
            let outcome = call.run()
            assertRefused(outcome.status, DSA_ERROR_ARGUMENT, "\(function.rawValue): \(change.reason)")
            for values in [outcome.output, outcome.maximum, outcome.logSumExp] {
                XCTAssertTrue(
                    values.allSatisfy { $0 == poison },
                    "\(change.reason): a refused call has written"
                )
            }
        }
    }

    func testEmptyShapes() {
        for function in [AttentionFunction.sparse, .packed] {
            var call = AttentionCall(function)
            (call.keys, call.kv, call.cache) = (0, nil, nil)
            let nothingToRead = call.run()
            assertAccepted(nothingToRead.status)
            XCTAssertEqual(nothingToRead.logSumExp, [Float](repeating: .infinity, count: 6))
            XCTAssertEqual(nothingToRead.output, [Float](repeating: 0, count: 6 * 512))
            call = AttentionCall(function)
            (call.slots, call.indices, call.lengths) = (0, nil, nil)
            let nothingChosen = call.run()
            assertAccepted(nothingChosen.status)
            XCTAssertEqual(nothingChosen.output, [Float](repeating: 0, count: 6 * 512))
        }
        for function in AttentionFunction.allCases {
            var call = AttentionCall(function)
            (call.tokens, call.q, call.hasOutput, call.indices, call.lengths) = (0, nil, false, nil, nil)
            assertAccepted(call.run().status)
        }
    }

    func testEachArgumentOfMultiHeadAttention() {
        struct Call {
            var q: [Float]? = [Float](repeating: 1, count: 16)
            var k: [Float]? = [Float](repeating: 1, count: 12)
            var v: [Float]? = [Float](repeating: 1, count: 9)
            var type = float32
            var tokens: Int64 = 1
            var keys: Int64 = 3
            var heads: Int64 = 4
            var keyHeads: Int64 = 1
            var dim: Int64 = 4
            var scale: Float = 1
            var valueDim: Int64 = 3
            var hasOutput = true
        }
        let cases: [(String, (inout Call) -> Void)] = [
            ("q is NULL", { $0.q = nil }),
            ("k is NULL", { $0.k = nil }),
            ("v is NULL", { $0.v = nil }),
            ("out is NULL", { $0.hasOutput = false }),
            ("type is 3", { $0.type = 3 }),
            ("s_q is -1", { $0.tokens = -1 }),
            ("s_q is 4, expected at most s_kv, 3", { $0.tokens = 4 }),
            ("s_kv is -1", { $0.keys = -1 }),
            ("h_q is 0", { $0.heads = 0 }),
            ("h_kv is 0", { $0.keyHeads = 0 }),
            ("h_kv is 3, expected a divisor of h_q, 4", { $0.keyHeads = 3 }),
            ("d_qk is 0", { $0.dim = 0 }),
            ("sm_scale is 0.0", { $0.scale = 0 }),
            ("d_v is 0", { $0.valueDim = 0 }),
        ]
        func run(_ call: Call) -> (Int32, [Float]) {
            var out = [Float](repeating: poison, count: 12)
            let status = out.withUnsafeMutableBufferPointer { out in
                dsa_mha_forward(
                    call.q,
                    call.k,
                    call.v,
                    call.type,
                    call.tokens,
                    call.keys,
                    call.heads,
                    call.keyHeads,
                    call.dim,
                    call.scale,
                    call.valueDim,
                    call.hasOutput ? out.baseAddress : nil,
                    nil,
                    nil
                )
            }
            return (status, out)
        }
        XCTAssertEqual(run(Call()).1, [Float](repeating: 1, count: 12))
        for (reason, change) in cases {
            var call = Call()
            change(&call)
            let (status, out) = run(call)
            assertRefused(status, DSA_ERROR_ARGUMENT, "dsa_mha_forward: " + reason)
            XCTAssertTrue(out.allSatisfy { $0 == poison }, "\(reason): a refused call has written")
        }
    }
}
