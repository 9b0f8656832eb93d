package import SparseAttention

/// What one layer remembers of a sequence.
package final class LayerCache {
    var latents: LatentCache
    /// The index keys of a layer that selects for itself; empty and without room in any other.
    var indexKeys: IndexKeyCache

    /// Reserves room for the tokens of one layer.
    ///
    /// - Parameters:
    ///   - configuration: the model's sizes.
    ///   - layer: its index.
    ///   - capacity: the most tokens.
    ///   - format: how latents are stored, and index keys that are scored as they are.
    ///   - indexScores: the arithmetic of index scores; FP8 keeps keys as the codes it scores, whatever the format.
    /// - Throws: `SparseAttentionError.invalidSetting` or `insufficientMemory`.
    package init(
        configuration: ModelConfiguration,
        layer: Int,
        capacity: Int,
        format: CacheFormat,
        indexScores: LightningIndexer.Precision
    ) throws {
        latents = try LatentCache(
            capacity: capacity,
            latentDim: configuration.latentDim,
            ropeDim: configuration.ropeDim,
            format: format
        )
        let indexer = configuration.indexer.flatMap { $0.sharing(layer: layer) == .full ? $0 : nil }
        guard let indexer else {
            indexKeys = try IndexKeyCache(capacity: 0, indexHeadDim: 1)
            return
        }
        indexKeys = try IndexKeyCache(
            capacity: capacity,
            indexHeadDim: indexer.headDim,
            encoding: indexScores.keyEncoding(for: format)
        )
    }

    /// The bytes one token takes.
    var bytesPerToken: Int {
        latents.bytesPerToken + (indexKeys.capacity > 0 ? indexKeys.bytesPerToken : 0)
    }

    /// Holds what another cache of the layer holds of its first tokens.
    func restore(_ tokens: Int, of other: LayerCache) throws {
        try latents.restore(tokens, of: other.latents)
        try indexKeys.restore(min(tokens, other.indexKeys.count), of: other.indexKeys)
    }

    func truncate(to length: Int) throws {
        try latents.truncate(to: length)
        try indexKeys.truncate(to: min(length, indexKeys.count))
    }
}
