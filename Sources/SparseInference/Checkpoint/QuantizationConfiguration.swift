public import SparseAttention

/// How the weights of a model are quantised: E4M3 codes in blocks, each block with a scale.
public struct QuantizationConfiguration: Equatable, Sendable {
    /// Rows of a block.
    public let blockRows: Int
    /// Columns of a block.
    public let blockColumns: Int
    /// How scales are stored, and how those of activations are rounded.
    public let scaleFormat: ScaleFormat
}

// MARK: - Reading

extension QuantizationConfiguration {
    /// Rows and columns of a block in every released model, and all this engine reads.
    private static let blockWidth = 128

    /// Reads the object `quantization_config`.
    init(_ fields: ConfigurationFields) throws(ConfigurationFault) {
        guard fields.value("quant_method") != nil else { throw .missingField(fields.path("quant_method")) }
        try fields.expect("quant_method", "fp8")
        try fields.expect("fmt", "e4m3")
        try fields.expect("activation_scheme", "dynamic")

        let sizeName = "weight_block_size"
        guard let size = try fields.optionalArray(sizeName) else {
            throw .missingField(fields.path(sizeName))
        }
        guard size.count == 2 else {
            throw .wrongCount(field: fields.path(sizeName), found: size.count, expected: 2)
        }
        let allowed = 1...ModelConfiguration.Limit.dim
        blockRows = try fields.int(size[0], named: sizeName, in: allowed)
        blockColumns = try fields.int(size[1], named: sizeName, in: allowed)
        guard blockRows == Self.blockWidth && blockColumns == Self.blockWidth else {
            throw .unsupported(
                field: fields.path(sizeName),
                found: "[\(blockRows), \(blockColumns)]",
                supported: ["[\(Self.blockWidth), \(Self.blockWidth)]"]
            )
        }

        if fields.value("scale_fmt") == nil {
            scaleFormat = .float32
        } else {
            try fields.expect("scale_fmt", "ue8m0")
            scaleFormat = .powerOfTwo
        }
    }
}
