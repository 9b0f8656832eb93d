/// What the rows of an index key cache are.
public enum IndexKeyEncoding: Equatable, Sendable {
    /// Keys as they are given, stored in a format.
    case plain(CacheFormat)
    /// As the deployed indexer scores them: Hadamard-rotated, rounded as `rotated` says and quantized to E4M3, one
    /// scale a key. Done once, when a key is appended.
    ///
    /// Source: V3.2-Exp `inference/model.py`, `Indexer`, `k_cache` and `k_scale_cache`.
    case rotatedCodes(ScaleFormat, rotated: StorageFormat = .bfloat16)

    /// How keys are stored.
    public var format: CacheFormat {
        switch self {
        case .plain(let format): format
        case .rotatedCodes: .float8
        }
    }

    /// How rows of keys lie in a block of memory.
    ///
    /// - Throws: `invalidSetting` for a width that no key of this encoding has.
    func layout(indexHeadDim: Int, blockRows: Int) throws(SparseAttentionError) -> RowLayout {
        guard indexHeadDim >= 1 else {
            throw .invalidSetting(name: "indexHeadDim", found: "\(indexHeadDim)", expected: "at least 1")
        }
        switch self {
        case .plain(let format): return .keys(columns: indexHeadDim, format: format, blockRows: blockRows)
        case .rotatedCodes(let scales, _):
            guard indexHeadDim <= QuantizedRows.blockColumns, indexHeadDim & (indexHeadDim - 1) == 0 else {
                throw .invalidSetting(
                    name: "indexHeadDim",
                    found: "\(indexHeadDim)",
                    expected: "a power of two of at most \(QuantizedRows.blockColumns) for rotated codes"
                )
            }
            return RowLayout(encoding: .packedKeys(scales), columns: indexHeadDim, blockRows: blockRows)
        }
    }

    /// Keys as they are quantized or stored.
    func prepared(_ keys: Tensor) throws(SparseAttentionError) -> Tensor {
        switch self {
        case .plain: keys
        case .rotatedCodes(_, let rotated): try keys.hadamardRotated().rounded(to: rotated)
        }
    }
}

extension IndexKeyEncoding: CustomStringConvertible {
    /// What the keys are, for a message.
    public var description: String {
        switch self {
        case .plain(let format): "plain keys in \(format.rawValue)"
        case .rotatedCodes(let scales, let rotated):
            "rotated codes (\(scales) scales, rounded to \(rotated.rawValue))"
        }
    }
}
