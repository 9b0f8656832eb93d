package import SparseAttention

/// How a chunk of tokens is run through a model.
package struct ForwardOptions {
    /// Which tokens the attention sees.
    package var attention: AttentionMode
    /// Which of the two equal computations of latent attention to run; nil for the cheaper one.
    package var form: LatentAttention.Form?
    /// Watches the stages.
    package var probe: StageProbe?

    /// Options for a forward pass.
    package init(
        attention: AttentionMode = .sparse,
        form: LatentAttention.Form? = nil,
        probe: StageProbe? = nil
    ) {
        self.attention = attention
        self.form = form
        self.probe = probe
    }
}
