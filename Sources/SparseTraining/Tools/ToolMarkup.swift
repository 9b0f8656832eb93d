import SparseInference

/// The mark-up of calls and results as tokens: DeepSeek-V3.2's own text, in pieces of one token each.
///
/// A call of `search` is four tokens: its beginning, a name, its end, the end of the turn. A model that spells out brackets learns
/// little else in an hour.
enum ToolMarkup {
    private static let call = "\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke name=\""
    private static let argument = "<｜DSML｜parameter name=\""
    private static let value = "\" string=\"true\">"
    private static let endOfValue = "</｜DSML｜parameter>\n"
    private static let endOfCall = "</｜DSML｜invoke>\n</｜DSML｜function_calls>"

    /// The beginning of a call of `search`, up to its words.
    static let search = call + "search\">\n" + argument + "words" + value
    /// The beginning of a call of `open`, up to its section.
    static let open = call + "open\">\n" + argument + "section" + value
    /// The beginning of a call of `edit`, up to the old text.
    static let edit = call + "edit\">\n" + argument + "old" + value
    /// What stands between the old text and the new.
    static let new = endOfValue + argument + "new" + value
    /// The end of a call.
    static let end = endOfValue + endOfCall
    /// A whole call of `test`.
    static let test = call + "test\">\n\n" + endOfCall

    /// What stands before the result of a call.
    static let result = "\n\n<function_results>\n<result>"
    /// What stands behind it.
    static let endOfResult = "</result>\n</function_results>\n\n"

    /// All of them, one token each.
    static let pieces = [search, open, edit, new, end, test, result, endOfResult]
    /// The words of results, one token each.
    static let words = ["ok", "pass", "none", "bad", " call", " once", "too", " long"]
}
