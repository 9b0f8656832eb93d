package import SparseAttention

/// How a chunk of tokens is run through a model.
package struct ForwardOptions {
    /// Which tokens the attention sees.
    package var attention: AttentionMode
    /// Which of the two equal computations of latent attention to run; nil for the cheaper one.
    package var form: LatentAttention.Form?
    /// Watches the stages.
    package var probe: StageProbe?
    /// Watches what some query tokens attend to.
    package var observer: AttentionObserver?

    /// Options for a forward pass.
    package init(
        attention: AttentionMode = .sparse,
        form: LatentAttention.Form? = nil,
        probe: StageProbe? = nil,
        observer: AttentionObserver? = nil
    ) {
        self.attention = attention
        self.form = form
        self.probe = probe
        self.observer = observer
    }
}

/// Watches what query tokens would attend to if they saw everything, beside what was selected for them.
package struct AttentionObserver {
    /// What one layer and query token showed.
    package struct Observation {
        /// The layer.
        package let layer: Int
        /// The query token's position.
        package let position: Int
        /// The attention of each head to each token so far, `[heads, position + 1]`; each row sums to 1.
        package let weights: Tensor
        /// The positions selected, some of them unused; nil where nothing was selected.
        package let selected: [Int32]?
    }

    /// Whether to watch the query token at a position.
    package let watches: (_ position: Int) -> Bool
    /// Called for each layer and query token watched.
    package let observe: (Observation) -> Void

    /// An observer.
    package init(watches: @escaping (Int) -> Bool, observe: @escaping (Observation) -> Void) {
        self.watches = watches
        self.observe = observe
    }
}
