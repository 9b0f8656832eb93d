import SparseAttention
import TestSupport
import XCTest

final class LatentAttentionPropertyTests: XCTestCase {
    func testSelectingEverythingIsDense() throws {
        try forEachForm { each, form in
            let attention = try each.attention()
            let (queries, latents, ropeKeys, weight) = each.tensors
            let cache = try each.cache(latents: latents, ropeKeys: ropeKeys)
            let everything = TokenSelection.everything(
                queryTokens: each.queryTokens,
                position: each.keyTokens - each.queryTokens
            )
            assertSame(
                try attention.attend(queries, to: cache, through: .init(weight), at: everything, form: form),
                try attention.attend(queries, to: cache, through: .init(weight), form: form),
                "\(form) \(each)"
            )
        }
    }

    func testPrefillEqualsDecoding() throws {
        try forEachForm { each, form in
            let attention = try each.attention()
            let (queries, latents, ropeKeys, weight) = each.tensors
            let selection = try each.selection()
            let position = each.keyTokens - each.queryTokens
            for chosen in [nil, selection] {
                var cache = try each.cache(latents: latents, ropeKeys: ropeKeys)
                let whole = try attention.attend(
                    queries,
                    to: cache,
                    through: .init(weight),
                    at: chosen,
                    form: form
                )
                try cache.truncate(to: position)
                for token in 0..<each.queryTokens {
                    let own = position + token..<position + token + 1
                    try cache.append(latents: latents.slice(own), ropeKeys: ropeKeys.slice(own))
                    let decoded = try attention.attend(
                        queries.slice(token..<token + 1),
                        to: cache,
                        through: .init(weight),
                        at: chosen.map {
                            try TokenSelection(positions: Array($0[token]), queryTokens: 1, slots: each.slots)
                        },
                        form: form
                    )
                    assertSame(decoded, try whole.slice(token..<token + 1), "\(form) \(each) token \(token)")
                }
            }
        }
    }

    func testLaterTokensChangeNothing() throws {
        try forEachForm(LatentCase.all + LatentCase.long.prefix(1)) { each, form in
            guard each.queryTokens > 1 else { return }
            let attention = try each.attention()
            let (queries, latents, ropeKeys, weight) = each.tensors
            let last = each.keyTokens - 1
            let clean = try each.cache(latents: latents, ropeKeys: ropeKeys)
            let poisoned = try each.cache(
                latents: latents.settingRows([last], to: .nan),
                ropeKeys: ropeKeys.settingRows([last], to: .nan)
            )
            let earlier = 0..<each.queryTokens - 1
            let everyToken = TokenSelection.everything(queryTokens: each.queryTokens, position: last)
            for chosen in [nil, try each.selection(), everyToken] {
                let expected = try attention.attend(
                    queries,
                    to: clean,
                    through: .init(weight),
                    at: chosen,
                    form: form
                )
                let found = try attention.attend(
                    queries,
                    to: poisoned,
                    through: .init(weight),
                    at: chosen,
                    form: form
                )
                assertSame(try found.slice(earlier), try expected.slice(earlier), "\(form) \(each)")
                assertFinite(try found.slice(earlier).output, "\(form) \(each)")
            }
        }
    }

    func testUnselectedRowsAreNeverRead() throws {
        try forEachForm { each, form in
            let attention = try each.attention()
            let (queries, latents, ropeKeys, weight) = each.tensors
            let selection = try each.selection()
            let unselected = Set(0..<each.keyTokens).subtracting(selection.positions.map(Int.init))
            let clean = try each.cache(latents: latents, ropeKeys: ropeKeys)
            let poisoned = try each.cache(
                latents: latents.settingRows(unselected, to: .nan),
                ropeKeys: ropeKeys.settingRows(unselected, to: .infinity)
            )
            let found = try attention.attend(
                queries,
                to: poisoned,
                through: .init(weight),
                at: selection,
                form: form
            )
            assertFinite(found.output, "\(form) \(each)")
            assertSame(
                found,
                try attention.attend(queries, to: clean, through: .init(weight), at: selection, form: form),
                "\(form) \(each)"
            )
        }
    }

    func testNaNInASelectedRowShows() throws {
        try forEachForm { each, form in
            let (queries, latents, ropeKeys, weight) = each.tensors
            let last = each.keyTokens - 1
            let cache = try each.cache(latents: latents.settingRows([last], to: .nan), ropeKeys: ropeKeys)
            let slots = [Int32](repeating: Int32(last), count: 1)
            let result = try each.attention().attend(
                queries.slice(each.queryTokens - 1..<each.queryTokens),
                to: cache,
                through: .init(weight),
                at: TokenSelection(positions: slots, queryTokens: 1, slots: 1),
                form: form
            )
            XCTAssertTrue(result.output.elements.allSatisfy(\.isNaN), "\(form) \(each)")
            XCTAssertTrue(result.logSumExp.elements.allSatisfy(\.isNaN), "\(form) \(each)")
        }
    }

    private func forEachForm(
        _ cases: [LatentCase] = LatentCase.all,
        _ body: (LatentCase, LatentAttention.Form) throws -> Void
    ) throws {
        for each in cases {
            for form in LatentAttention.Form.allCases { try body(each, form) }
        }
    }
}

// MARK: - Slots

extension LatentAttentionPropertyTests {
    func testRowsThatSelectNothing() throws {
        try forEachForm { each, form in
            let (queries, latents, ropeKeys, weight) = each.tensors
            let cache = try each.cache(latents: latents, ropeKeys: ropeKeys)
            for slots in [0, 3] {
                let nothing = try TokenSelection(
                    positions: [Int32](repeating: TokenSelection.unused, count: each.queryTokens * slots),
                    queryTokens: each.queryTokens,
                    slots: slots
                )
                let result = try each.attention()
                    .attend(queries, to: cache, through: .init(weight), at: nothing, form: form)
                XCTAssertTrue(result.output.elements.allSatisfy { $0 == 0 }, "\(form) \(each)")
                XCTAssertTrue(result.logSumExp.elements.allSatisfy { $0 == -.infinity }, "\(form) \(each)")
                XCTAssertTrue(result.maximumScore.elements.allSatisfy { $0 == -.infinity }, "\(form) \(each)")
            }
        }
    }

    func testOddSlotsCountAsEmpty() throws {
        try forEachForm { each, form in
            let attention = try each.attention()
            let (queries, latents, ropeKeys, weight) = each.tensors
            let cache = try each.cache(latents: latents, ropeKeys: ropeKeys)
            let selection = try each.selection()
            let odd: [Int32] = [-1, Int32(each.keyTokens), .max, .min, Int32(each.keyTokens) + 300]
            let padded = try TokenSelection(
                positions: (0..<each.queryTokens).flatMap { odd + selection[$0].reversed() },
                queryTokens: each.queryTokens,
                slots: each.slots + odd.count
            )
            assertSame(
                try attention.attend(queries, to: cache, through: .init(weight), at: padded, form: form),
                try attention.attend(queries, to: cache, through: .init(weight), at: selection, form: form),
                "\(form) \(each)"
            )
        }
    }

    func testASelectionIsACausalSet() throws {
        try forEachForm { each, form in
            let attention = try each.attention()
            let (queries, latents, ropeKeys, weight) = each.tensors
            let cache = try each.cache(latents: latents, ropeKeys: ropeKeys)
            // Every token of the sequence, later ones included, each of them three times.
            let slots = (0..<3).flatMap { _ in (0..<each.keyTokens).map(Int32.init) }
            let repeated = try TokenSelection(
                positions: (0..<each.queryTokens).flatMap { _ in slots },
                queryTokens: each.queryTokens,
                slots: slots.count
            )
            assertSame(
                try attention.attend(queries, to: cache, through: .init(weight), at: repeated, form: form),
                try attention.attend(queries, to: cache, through: .init(weight), form: form),
                "\(form) \(each)"
            )
        }
    }
}
