import CDSAOracle
import XCTest

final class LogitRefusalTests: XCTestCase {
    func testEachArgumentOfTheLogits() {
        let cases: [(String, (inout LogitCall) -> Void)] = [
            ("q is NULL", { $0.q = nil }),
            ("kv is NULL", { $0.kv = nil }),
            ("weights is NULL", { $0.weights = nil }),
            ("k_start is NULL", { $0.start = nil }),
            ("k_end is NULL", { $0.end = nil }),
            ("logits is NULL", { $0.hasOutput = false }),
            ("q_type is 3", { $0.qType = 3 }),
            ("kv_type is -1", { $0.kvType = -1 }),
            ("seq_len is -1", { $0.tokens = -1 }),
            ("seq_len is 9223372036854775807", { $0.tokens = .max }),
            ("heads is 0", { $0.heads = 0 }),
            ("heads is 4097", { $0.heads = 4097 }),
            ("dim is 0", { $0.dim = 0 }),
            ("dim is 16385", { $0.dim = 16385 }),
            ("seq_len_kv is -9223372036854775808", { $0.keys = .min }),
            ("seq_len_kv is 2147483648", { $0.keys = 1 << 31 }),
            ("k_start[1] is -1", { $0.start = [0, -1, 0] }),
            ("k_start[2] is 11", { $0.start = [0, 0, 11] }),
            ("k_end[0] is 11", { $0.end = [11, 0, 0] }),
            ("k_end[2] is -2147483648", { $0.end = [0, 0, .min] }),
        ]
        XCTAssertEqual(LogitCall().run().status, accepted)
        for (reason, change) in cases {
            var call = LogitCall()
            change(&call)
            let (status, logits) = call.run()
            assertRefused(status, DSA_ERROR_ARGUMENT, "dsa_mqa_logits: " + reason)
            XCTAssertTrue(logits.allSatisfy { $0 == poison }, "\(reason): a refused call has written")
        }
    }

    func testMemoryAndAlignment() {
        let byte = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
        byte.initializeMemory(as: UInt8.self, repeating: 0, count: 64)
        defer { byte.deallocate() }
        func call(_ q: UnsafeRawPointer, _ weights: UInt, _ tokens: Int64) -> Int32 {
            dsa_mqa_logits(
                q,
                float32,
                byte,
                float32,
                nil,
                UnsafePointer(bitPattern: weights),
                [0],
                [1],
                tokens,
                DSA_MAX_HEADS == 4096 && tokens > 1 ? 4096 : 1,
                tokens > 1 ? 16384 : 1,
                1,
                byte.assumingMemoryBound(to: Float.self) + 4
            )
        }
        let address = UInt(bitPattern: byte)
        XCTAssertEqual(call(byte, address, 1), accepted)
        assertRefused(call(byte + 2, address, 1), DSA_ERROR_ARGUMENT, "dsa_mqa_logits: q is misaligned")
        assertRefused(
            call(byte, address + 1, 1),
            DSA_ERROR_ARGUMENT,
            "dsa_mqa_logits: weights is misaligned"
        )
        // 2^31 tokens of 4096 heads of 16384 floats: more than any machine has, and checked before anything is read.
        assertRefused(
            call(byte, address, Int64(DSA_MAX_TOKENS)),
            DSA_ERROR_MEMORY,
            "dsa_mqa_logits: \(Int64(DSA_MAX_TOKENS) << 28) bytes are needed"
        )
    }

    func testEachArgumentOfThePagedLogits() {
        let cases: [(String, (inout PagedLogitCall) -> Void)] = [
            ("q is NULL", { $0.q = nil }),
            ("kv_cache is NULL", { $0.cache = nil }),
            ("weights is NULL", { $0.weights = nil }),
            ("context_lens is NULL", { $0.contexts = nil }),
            ("block_table is NULL", { $0.table = nil }),
            ("logits is NULL", { $0.hasOutput = false }),
            ("q_type is 7", { $0.qType = 7 }),
            ("batch is -1", { $0.batch = -1 }),
            ("next_n is -1", { $0.tokensEach = -1 }),
            (
                "batch · next_n is 2147483647 · 2147483647",
                { ($0.batch, $0.tokensEach) = (0x7FFF_FFFF, 0x7FFF_FFFF) }
            ),
            ("heads is 0", { $0.heads = 0 }),
            ("dim is 0", { $0.dim = 0 }),
            ("dim is 129", { $0.dim = 129 }),
            ("pages is -1", { $0.pages = -1 }),
            ("max_blocks is -1", { $0.slots = -1 }),
            ("max_blocks is 1, expected at least the 2", { $0.slots = 1 }),
            ("max_context_len is -1", { $0.longest = -1 }),
            ("context_lens[0] is 100, expected 0 to 99", { $0.longest = 99 }),
            ("context_lens[1] is -1", { $0.contexts = [100, -1] }),
            ("block_table[0][1] is 3", { $0.table = [2, 3, 1, 0] }),
            ("block_table[1][0] is -1", { $0.table = [2, 0, -1, 0] }),
            ("block_table[0][0] is 2, expected a page, 0 to 1", { $0.pages = 2 }),
        ]
        XCTAssertEqual(PagedLogitCall().run().status, accepted)
        for (reason, change) in cases {
            var call = PagedLogitCall()
            change(&call)
            let (status, logits) = call.run()
            assertRefused(status, DSA_ERROR_ARGUMENT, "dsa_paged_mqa_logits: " + reason)
            XCTAssertTrue(logits.allSatisfy { $0 == poison }, "\(reason): a refused call has written")
        }
    }
}
