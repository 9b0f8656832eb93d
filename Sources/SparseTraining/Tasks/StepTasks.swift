import SparseInference

/// Arithmetic in several steps, worked out one by one.
///
/// *What is 7\*6+17-9?* is asked, the thinking is *7\*6=42,42+17=59,59-9=50*, the answer *50.*, which alone is judged. All numbers on the way are 0 to 99, one
/// token each; a product comes first if at all, so that from left to right is the usual order.
struct StepTasks {
    /// The most tokens of a turn, markers included.
    static func longestTurn(level: Int) -> Int { 11 + 8 * operations(level: level) }

    /// The operations of a level.
    private static func operations(level: Int) -> Int { level + 1 }

    /// A question of a level with its worked steps and answer.
    func turn(level: Int, _ generator: inout SplitMix64) -> Turn {
        var value = Int.random(in: 0...99, using: &generator)
        var term = ["\(value)"]
        var steps: [[String]] = []
        func step(_ sign: String, _ number: Int, _ result: Int) {
            steps.append(["\(value)", sign, "\(number)", "=", "\(result)"])
            term += [sign, "\(number)"]
            value = result
        }
        if level > 1, Bool.random(using: &generator) {
            value = Int.random(in: 2...9, using: &generator)
            term = ["\(value)"]
            let factor = Int.random(in: 2...9, using: &generator)
            step("*", factor, value * factor)
        }
        while steps.count < Self.operations(level: level) {
            if value == 0 || (value < 99 && Bool.random(using: &generator)) {
                let addend = Int.random(in: 1...99 - value, using: &generator)
                step("+", addend, value + addend)
            } else {
                let part = Int.random(in: 1...value, using: &generator)
                step("-", part, value - part)
            }
        }
        return Turn(
            question: ["What", " is", " "] + term + ["?"],
            thinking: Array(steps.joined(separator: [","])),
            answer: ["\(value)", "."],
            judge: FinalAnswer()
        )
    }
}
