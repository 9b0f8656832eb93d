package import SparseInference

/// Tools that an answerer can call, with what they work on.
///
/// A value: whoever holds a copy can try something without another noticing.
package protocol Toolbox: Sendable {
    /// Carries out a call.
    ///
    /// - Parameter call: anything at all.
    /// - Returns: the result as text, short and without markers; a wrong call gives a text that says so.
    mutating func call(_ call: ToolCall) -> String
}

extension ToolCall {
    /// The arguments, where they are the ones a tool takes, all of them strings and none too long.
    ///
    /// - Parameter names: of the arguments.
    /// - Returns: their values in the order of the names; nil for any other call.
    func strings(_ names: String...) -> [String]? {
        guard let object = try? JSONValue(parsing: Array(arguments.utf8)).object,
            object.members.count == names.count
        else { return nil }
        let values = names.compactMap { object[$0]?.string }
        guard values.count == names.count, values.allSatisfy({ $0.utf8.count <= Self.longestArgument })
        else { return nil }
        return values
    }

    /// The most bytes of an argument.
    private static let longestArgument = 1024
}

/// What tools say of calls that cannot be carried out.
enum ToolFault {
    /// There is no tool of this name, or it takes other arguments.
    static let badCall = "bad call"
    /// The file would be longer than it may, or the result would.
    static let tooLong = "too long"
}
