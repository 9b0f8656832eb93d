import ArgumentParser

/// Numbers of tokens as they are written on the command line.
enum TokenCount {
    /// Reads a number such as 256 or 8K.
    static func parse(_ text: String) throws -> Int {
        let isThousands = text.hasSuffix("K")
        guard let number = Int(isThousands ? text.dropLast() : text[...]), (1...1 << 20).contains(number)
        else {
            throw ValidationError("\(text) is no number of tokens; expected one such as 256 or 8K.")
        }
        return isThousands ? number * 1024 : number
    }

    /// Reads numbers separated by commas.
    static func parseList(_ text: String) throws -> [Int] {
        try text.split(separator: ",").map { try parse(String($0)) }
    }
}
