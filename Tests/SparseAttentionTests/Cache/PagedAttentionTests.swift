import SparseAttention
import TestSupport
import XCTest

final class PagedAttentionTests: XCTestCase {
    func testPagedAttentionIsUnpagedAttention() throws {
        for each in LatentCase.all {
            let (queries, latents, ropeKeys, weight) = each.tensors
            for format in CacheFormat.allCases {
                let pool = try PagedLatentCache.Pool(
                    pages: 8,
                    latentDim: each.sizes[1],
                    ropeDim: each.sizes[2],
                    format: format
                )
                var paged = PagedLatentCache(pool)
                var plain = try LatentCache(
                    capacity: each.keyTokens,
                    latentDim: each.sizes[1],
                    ropeDim: each.sizes[2],
                    format: format
                )
                try paged.append(latents: latents, ropeKeys: ropeKeys)
                try plain.append(latents: latents, ropeKeys: ropeKeys)
                let projection = LatentAttention.KeyValueProjection(weight)
                let attention = try each.attention()
                for form in LatentAttention.Form.allCases {
                    for selection in [nil, try each.selection()] {
                        let found = try attention.attend(
                            queries,
                            to: paged,
                            through: projection,
                            at: selection,
                            form: form
                        )
                        let expected = try attention.attend(
                            queries,
                            to: plain,
                            through: projection,
                            at: selection,
                            form: form
                        )
                        assertSameBits(found.output, expected.output, "\(each) \(form) \(format)")
                        assertSameBits(found.logSumExp, expected.logSumExp, "\(each) \(form) \(format)")
                    }
                }
            }
        }
    }

    func testSlotsSelectWhatPositionsDo() throws {
        let pool = try PagedLatentCache.Pool(pages: 6, latentDim: 4, ropeDim: 2, format: .float8)
        var generator = SeededGenerator(seed: 5)
        let (latents, ropeKeys) = (generator.tensor([150, 4]), generator.tensor([150, 2]))
        var other = PagedLatentCache(pool)
        try other.append(latents: latents.slice(0..<1), ropeKeys: ropeKeys.slice(0..<1))
        var cache = PagedLatentCache(pool)
        try cache.append(latents: latents, ropeKeys: ropeKeys)
        let selection = try TokenSelection(
            positions: [149, 0, 64, -1, 63, 128, -1, -1, -1, -1, -1, -1],
            queryTokens: 3,
            slots: 4
        )
        let slots = cache.slots(of: selection)
        let start = cache.pageTable.map { $0 * 64 }
        XCTAssertEqual(
            slots.positions,
            [start[2] + 21, start[0], start[1], -1, start[0] + 63, start[2], -1, -1, -1, -1, -1, -1]
        )
        XCTAssertEqual(try cache.positions(of: slots), selection)
        let attention = TopKAttention(valueDim: 4)
        let queries = generator.tensor([3, 2, 6])
        let bySlot = try attention.attend(queries, to: cache, atSlots: slots, scale: 0.5)
        let byPosition = try attention.attend(queries, to: cache, at: selection, scale: 0.5)
        assertSameBits(bySlot.output, byPosition.output)
        assertSameBits(bySlot.logSumExp, byPosition.logSumExp)
        XCTAssertEqual(
            bySlot.logSumExp.elements.suffix(2),
            [-.infinity, -.infinity],
            "a row of unused slots"
        )
        // Another sequence's page, a row not yet written, beyond the pool, and a negative number that is not
        // −1.
        for slot in [other.pageTable[0] * 64, start[2] + 22, 6 * 64, .max, -2] {
            let bad = try TokenSelection(positions: [slot], queryTokens: 1, slots: 1)
            assertThrows(
                .invalidSetting(
                    name: "slot",
                    found: "\(slot)",
                    expected: "-1, or the slot of one of the sequence's 150 tokens"
                )
            ) {
                _ = try attention.attend(queries.slice(0..<1), to: cache, atSlots: bad, scale: 0.5)
            }
        }
    }
}
