package import SparseAttention

/// What one layer remembers of a sequence.
package final class LayerCache {
    var latents: LatentCache
    /// The index keys of a layer that selects for itself; empty and without room in any other.
    var indexKeys: IndexKeyCache

    /// Reserves room for the tokens of one layer.
    package init(configuration: ModelConfiguration, layer: Int, capacity: Int, format: CacheFormat) throws {
        latents = try LatentCache(
            capacity: capacity,
            latentDim: configuration.latentDim,
            ropeDim: configuration.ropeDim,
            format: format
        )
        let indexer = configuration.indexer.flatMap { $0.sharing(layer: layer) == .full ? $0 : nil }
        indexKeys = try IndexKeyCache(
            capacity: indexer == nil ? 0 : capacity,
            indexHeadDim: indexer?.headDim ?? 1,
            format: format
        )
    }

    /// The bytes one token takes.
    var bytesPerToken: Int {
        latents.bytesPerToken + (indexKeys.capacity > 0 ? indexKeys.bytesPerToken : 0)
    }

    func truncate(to length: Int) throws {
        try latents.truncate(to: length)
        try indexKeys.truncate(to: min(length, indexKeys.count))
    }
}
