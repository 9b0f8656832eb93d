/// What replies to an answerer's turns, such as the tools it calls.
///
/// It has no memory of its own: a reply follows from all turns so far, so that an answer can be drawn, judged and drawn again in
/// any order and on any thread.
package protocol Environment: Sendable {
    /// The reply to the last turn.
    ///
    /// - Parameter turns: what the answerer has written, turn by turn, each with its end token; anything at all can be among
    ///   them.
    /// - Returns: the tokens up to where the next turn begins; nil when the answer is complete.
    func reply(to turns: [[Int]]) -> [Int]?
}
