/// What can be wrong with a recipe.
public enum RecipeFault: Error, Equatable, Sendable {
    /// The file is not a recipe; where, and what was expected.
    case malformed(file: String, field: String, reason: String)
    /// A value outside what it may be.
    case invalid(field: String, found: String, expected: String)
}

extension RecipeFault: CustomStringConvertible {
    /// The fault in words.
    public var description: String {
        switch self {
        case .malformed(let file, let field, let reason): "\(file): \(field): \(reason)"
        case .invalid(let field, let found, let expected): "\(field) is \(found), expected \(expected)"
        }
    }
}

/// Refuses a value that a recipe cannot have.
func require(
    _ condition: Bool,
    _ field: String,
    _ found: some CustomStringConvertible,
    _ expected: String
) throws(RecipeFault) {
    guard condition else { throw .invalid(field: field, found: "\(found)", expected: expected) }
}

extension RecipeFault {
    init(_ error: DecodingError, file: String) {
        func path(_ context: DecodingError.Context) -> String {
            context.codingPath.isEmpty
                ? "recipe"
                : context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }.joined(
                    separator: "."
                )
        }
        switch error {
        case .keyNotFound(let key, let context):
            self = .malformed(file: file, field: path(context), reason: "lacks \"\(key.stringValue)\"")
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            self = .malformed(file: file, field: path(context), reason: context.debugDescription)
        @unknown default: self = .malformed(file: file, field: "recipe", reason: "\(error)")
        }
    }
}
