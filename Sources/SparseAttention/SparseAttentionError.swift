/// What a caller of this module can get wrong.
///
/// Every case says which argument or field, what was found and what was expected.
public enum SparseAttentionError: Error, Equatable, Sendable {
    /// An argument's shape disagrees with the operation or with another argument.
    case shapeMismatch(argument: String, expected: Shape, found: Shape)
    /// One dimension of an argument disagrees with the operation or with another argument.
    case dimensionMismatch(Dimension, argument: String, expected: Int, found: Int)
    /// An argument holds a NaN or an infinity where the result would be meaningless.
    case nonFinite(argument: String, index: Int)
    /// A setting is outside the range in which the operation is defined.
    case invalidSetting(name: String, found: String, expected: String)
    /// A token position or a token count is outside what a cache or a sequence holds.
    case positionOutOfRange(position: Int, allowed: Range<Int>)
    /// Appending would exceed the number of tokens a cache was made for.
    case cacheFull(capacity: Int, requested: Int)
    /// An allocation larger than the memory this machine has; both in bytes.
    case insufficientMemory(requested: Int, available: Int)
    /// A LAPACK routine did not converge or refused its input; `code` is its `info` value.
    case decompositionFailed(routine: String, code: Int)

    /// The dimension an argument got wrong.
    public enum Dimension: String, Equatable, Sendable {
        /// The number of dimensions.
        case rank
        /// The rows of a matrix.
        case rows
        /// The columns of a matrix.
        case columns
        /// The tokens that attend.
        case queryTokens
        /// The tokens attended to.
        case keyTokens
        /// The heads of the queries.
        case heads
        /// The heads of keys and values.
        case keyHeads
        /// The numbers a head's query and key have.
        case headDim
        /// The numbers a head's value has.
        case valueDim
        /// The numbers of a latent.
        case latentDim
        /// The numbers of a query or key that RoPE rotates.
        case ropeDim
        /// The numbers of a query or key that RoPE leaves alone.
        case nopeDim
        /// The heads of the indexer.
        case indexHeads
        /// The numbers an index query or index key has.
        case indexHeadDim
        /// The tokens selected for each query token.
        case topK
    }
}

// MARK: - Description

extension SparseAttentionError: CustomStringConvertible {
    /// One sentence a person can act on.
    public var description: String {
        switch self {
        case .shapeMismatch(let argument, let expected, let found):
            "'\(argument)' has shape \(found), expected \(expected)"
        case .dimensionMismatch(let dimension, let argument, let expected, let found):
            "'\(argument)' has \(dimension.rawValue) \(found), expected \(expected)"
        case .nonFinite(let argument, let index):
            "'\(argument)' holds a NaN or an infinity at element \(index), expected finite numbers"
        case .invalidSetting(let name, let found, let expected):
            "\(name) is \(found), expected \(expected)"
        case .positionOutOfRange(let position, let allowed):
            "position \(position) is outside \(allowed.lowerBound) ..< \(allowed.upperBound)"
        case .cacheFull(let capacity, let requested):
            "the cache holds at most \(capacity) tokens, \(requested) were asked for"
        case .insufficientMemory(let requested, let available):
            "\(requested) bytes are needed, this machine has \(available)"
        case .decompositionFailed(let routine, let code):
            "LAPACK's \(routine) failed with code \(code)"
        }
    }
}
