/// Why a stored session cannot be gone on with.
public enum SessionFault: Error, Equatable, Sendable {
    /// The file is no session, or does not say what one has to.
    case notASession(reason: String)
    /// It was written by another version of this package.
    case version(found: String, expected: String)
    /// Some of its bytes are not those that were written.
    case damaged
    /// It belongs to another model, or the model's files have changed.
    case otherModel
    /// It was computed with other numerics, or stores them otherwise.
    case otherNumerics(found: String, expected: String)
    /// Its tokens were not all read in the mode it shall go on in; found such as `sparse from 0, dense from 512`, by position.
    case otherAttention(found: String, expected: AttentionMode)
}

extension SessionFault: CustomStringConvertible {
    /// The fault in words.
    public var description: String {
        switch self {
        case .notASession(let reason): "is no session: \(reason)"
        case .version(let found, let expected): "is of version \(found), expected \(expected)"
        case .damaged: "is damaged: its bytes are not those that were written"
        case .otherModel: "belongs to another model, or the model has changed"
        case .otherNumerics(let found, let expected): "was computed in \(found), expected \(expected)"
        case .otherAttention(let found, let expected):
            "was read with attention \(found), expected \(expected.rawValue) from 0"
        }
    }
}
