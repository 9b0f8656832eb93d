/// The scores of a chunk of queries, computed tile by tile and consumed at once.
///
/// A tile of keys is widened once and scored for every query token of a tile of those; its scores go straight into
/// the selection of each. Nothing of size heads × keys or queries × keys is kept.
struct IndexScores: Sendable {
    let queries: IndexQueries
    let keys: IndexKeys
    let workers: Workers

    /// Query tokens that share a tile of keys: their queries stay in the second-level cache.
    private static let tileTokens = 16
    /// With fewer tiles of queries than this, keys are split over the workers too.
    private static let enoughTiles = 8
    /// Into how many parts the work is cut then.
    private static let parts = 16
    /// The fewest keys of a part.
    private static let partKeys = 1024

    private var queryTiles: Int { tileCount(queries.tokens, Self.tileTokens) }

    private func tokens(ofTile tile: Int) -> Range<Int> {
        tile * Self.tileTokens..<min((tile + 1) * Self.tileTokens, queries.tokens)
    }

    /// The keys of each part when keys are split; a function of the sizes alone.
    private func partKeys(visible: Int) -> Int {
        let parts = tileCount(Self.parts, max(queryTiles, 1))
        let whole = tileCount(tileCount(visible, parts), IndexKeyTile.keys) * IndexKeyTile.keys
        return max(whole, Self.partKeys)
    }
}

// MARK: - Selecting

extension IndexScores {
    /// Selects the best keys of each query token; the token at row `i` sees `position + i + 1` keys.
    func select(_ topK: TopK, visible: Int, position: Int) -> TokenSelection {
        let slots = min(topK.count, visible)
        var positions = [Int32](repeating: TokenSelection.unused, count: queries.tokens * slots)
        positions.withUnsafeMutableBufferPointer { buffer in
            let rows = SelectionRows(buffer: buffer, slots: slots)
            if queryTiles >= Self.enoughTiles {
                selectByQueries(topK, visible: visible, position: position, into: rows)
            } else {
                selectByParts(topK, visible: visible, position: position, into: rows)
            }
        }
        return TokenSelection(trusted: positions, queryTokens: queries.tokens, slots: slots)
    }

    /// Each worker selects for its own query tokens, from all keys.
    private func selectByQueries(_ topK: TopK, visible: Int, position: Int, into rows: SelectionRows) {
        workers.run(
            tiles: queryTiles,
            scratch: {
                SelectionMemory(
                    self,
                    streams: (0..<Self.tileTokens).map { _ in
                        TopKStream(topK, slots: rows.slots, candidates: visible)
                    }
                )
            },
            { tile, memory in
                let tokens = tokens(ofTile: tile)
                for stream in memory.streams { stream.reset() }
                stream(
                    tokens,
                    keys: 0..<position + tokens.upperBound,
                    position: position,
                    tile: memory.tile,
                    into: memory.streams
                )
                for (token, stream) in zip(tokens, memory.streams) {
                    stream.finish(into: rows[token])
                }
            }
        )
    }

    /// Each worker selects from its own keys; what the parts kept is put together, in order.
    private func selectByParts(_ topK: TopK, visible: Int, position: Int, into rows: SelectionRows) {
        let partKeys = partKeys(visible: visible)
        let parts = tileCount(visible, partKeys)
        let kept = (0..<queries.tokens * parts).map { _ in
            TopKStream(topK, slots: rows.slots, candidates: min(partKeys, visible))
        }
        let streams = Streams(all: kept)
        workers.run(
            tiles: queryTiles * parts,
            scratch: { IndexKeyTile(keys, inBFloat16: queries.inBFloat16) },
            { index, keyTile in
                let (tile, part) = index.quotientAndRemainder(dividingBy: parts)
                let tokens = tokens(ofTile: tile)
                let keys = part * partKeys..<min((part + 1) * partKeys, position + tokens.upperBound)
                guard keys.lowerBound < keys.upperBound else { return }
                stream(
                    tokens,
                    keys: keys,
                    position: position,
                    tile: keyTile,
                    into: tokens.map { streams.all[$0 * parts + part] }
                )
            }
        )
        workers.run(tiles: queries.tokens) { token in
            let row = streams.all[token * parts..<(token + 1) * parts]
            if parts == 1 {
                row[token].finish(into: rows[token])
                return
            }
            let kept = row.reduce(0) { $0 + min($1.used, rows.slots) }
            let merged = TopKStream(topK, slots: rows.slots, candidates: kept, room: kept)
            for stream in row { merged.add(stream) }
            merged.finish(into: rows[token])
        }
    }

    /// Scores a range of keys for a tile of query tokens and feeds each token's stream with those it sees.
    private func stream(
        _ tokens: Range<Int>,
        keys range: Range<Int>,
        position: Int,
        tile: IndexKeyTile,
        into streams: [TopKStream]
    ) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: IndexKeyTile.keys) { scores in
            guard let scores = scores.baseAddress else { return }
            for first in stride(from: range.lowerBound, to: range.upperBound, by: IndexKeyTile.keys) {
                tile.load(from: first, to: range.upperBound)
                for (token, stream) in zip(tokens, streams) {
                    let seen = min(position + token + 1, range.upperBound) - first
                    guard seen > 0 else { continue }
                    tile.score(queries, token: token, into: scores)
                    stream.add(scores, count: min(seen, IndexKeyTile.keys), first: first)
                }
            }
        }
    }

    /// One worker's memory.
    private final class SelectionMemory {
        let tile: IndexKeyTile
        let streams: [TopKStream]

        init(_ scores: IndexScores, streams: [TopKStream]) {
            tile = IndexKeyTile(scores.keys, inBFloat16: scores.queries.inBFloat16)
            self.streams = streams
        }
    }

    /// The streams of all query tokens and parts.
    private struct Streams: @unchecked Sendable {
        // Sendable: a stream is fed by the one tile it belongs to, and read after all tiles are done.
        let all: [TopKStream]
    }

    /// Where selections are written.
    private struct SelectionRows: @unchecked Sendable {
        // Sendable: each tile writes the rows of its own query tokens.
        let buffer: UnsafeMutableBufferPointer<Int32>
        let slots: Int

        subscript(row: Int) -> UnsafeMutableBufferPointer<Int32> {
            UnsafeMutableBufferPointer(rebasing: buffer[row * slots..<(row + 1) * slots])
        }
    }
}

// MARK: - Keeping

extension IndexScores {
    /// All scores, `[tokens, visible]`, −infinity where hidden.
    func all(visible: Int, position: Int) -> Tensor {
        var scores = Tensor(repeating: -.infinity, shape: [queries.tokens, visible])
        let partKeys = partKeys(visible: visible)
        let parts = tileCount(visible, partKeys)
        scores.withMutableMatrix { scores in
            workers.run(
                tiles: queryTiles * parts,
                scratch: { IndexKeyTile(keys, inBFloat16: queries.inBFloat16) },
                { index, tile in
                    let (queryTile, part) = index.quotientAndRemainder(dividingBy: parts)
                    let range = part * partKeys..<min((part + 1) * partKeys, visible)
                    compute(
                        tokens(ofTile: queryTile),
                        keys: range,
                        position: position,
                        tile: tile,
                        into: scores
                    )
                }
            )
        }
        return scores
    }

    private func compute(
        _ tokens: Range<Int>,
        keys range: Range<Int>,
        position: Int,
        tile: IndexKeyTile,
        into scores: MutableMatrixView
    ) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: IndexKeyTile.keys) { buffer in
            guard let buffer = buffer.baseAddress else { return }
            for first in stride(from: range.lowerBound, to: range.upperBound, by: IndexKeyTile.keys) {
                tile.load(from: first, to: range.upperBound)
                for token in tokens {
                    let seen = min(position + token + 1, range.upperBound) - first
                    guard seen > 0 else { continue }
                    tile.score(queries, token: token, into: buffer)
                    (scores[token] + first).update(from: buffer, count: min(seen, IndexKeyTile.keys))
                }
            }
        }
    }
}
