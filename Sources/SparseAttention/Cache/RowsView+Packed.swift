extension RowsView {
    /// Lends packed rows of a latent cache that follow each other, ``PackedLatentRow/byteCount`` bytes each.
    package init(packedLatents base: UnsafeRawPointer, rows: Int) {
        self.init(
            base: base,
            layout: .latents(
                latentDim: PackedLatentRow.latentDim,
                ropeDim: PackedLatentRow.ropeDim,
                format: .float8,
                blockRows: rows
            ),
            rows: rows
        )
    }
}
