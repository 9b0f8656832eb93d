/// Why a `config.json` describes no model this engine can run.
///
/// Fields are named as in the file; a field inside another is written `rope_scaling.factor`.
public enum ConfigurationFault: Error, Equatable, Sendable {
    /// The file holds something other than an object.
    case notAnObject(found: String)
    /// A required field is not there, or is `null`.
    case missingField(String)
    /// A field holds another kind of value.
    case wrongType(field: String, found: String, expected: FieldType)
    /// A whole number is too small or too large.
    case outOfRange(field: String, found: Int, allowed: ClosedRange<Int>)
    /// A number is too small or too large.
    case numberOutOfRange(field: String, found: Double, allowed: ClosedRange<Double>)
    /// A number has to be a multiple of another, which may be a field too.
    case notMultiple(field: String, found: Int, of: Int)
    /// A list has another number of elements than it needs.
    case wrongCount(field: String, found: Int, expected: Int)
    /// The field asks for something this engine does not do.
    case unsupported(field: String, found: String, supported: [String])
    /// Two fields that say the same thing do not agree.
    case conflict(field: String, found: String, other: String, otherFound: String)
    /// The first layer is told to reuse the selection of an earlier one.
    case noSelectionToShare(field: String)

    /// What kind of value a field holds.
    public enum FieldType: String, Equatable, Sendable {
        /// A number without fraction or exponent that fits 64 bits.
        case wholeNumber = "a whole number of at most 64 bits"
        /// A finite number.
        case number = "a number"
        /// `true` or `false`.
        case bool = "true or false"
        /// A string.
        case string = "a string"
        /// A list.
        case array = "a list"
        /// An object.
        case object = "an object"
        /// A string of `F` and `S`.
        case pattern = "a string of F and S"
        /// One token id, or a list of them.
        case tokens = "a token id or a list of them"
    }
}

extension ConfigurationFault: CustomStringConvertible {
    /// The fault in words, without the file's name.
    public var description: String {
        switch self {
        case .notAnObject(let found):
            "holds \(found), expected an object"
        case .missingField(let field):
            "\(field) is missing"
        case .wrongType(let field, let found, let expected):
            "\(field) is \(found), expected \(expected.rawValue)"
        case .outOfRange(let field, let found, let allowed):
            "\(field) is \(found), expected \(allowed.lowerBound) to \(allowed.upperBound)"
        case .numberOutOfRange(let field, let found, let allowed):
            "\(field) is \(found), expected \(allowed.lowerBound) to \(allowed.upperBound)"
        case .notMultiple(let field, let found, let divisor):
            "\(field) is \(found), expected a multiple of \(divisor)"
        case .wrongCount(let field, let found, let expected):
            "\(field) has \(found) elements, expected \(expected)"
        case .unsupported(let field, let found, let supported):
            "\(field) is \(found), which is not supported; expected \(supported.joined(separator: " or "))"
        case .conflict(let field, let found, let other, let otherFound):
            "\(field) is \(found), but \(other) is \(otherFound); expected the same"
        case .noSelectionToShare(let field):
            "\(field) lets the first layer share a selection, but no layer before it makes one"
        }
    }
}
