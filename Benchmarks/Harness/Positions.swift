import ArgumentParser

/// Lengths of a sequence to measure at.
struct Positions: Equatable {
    /// Ascending, each once, at least one.
    let values: [Int]

    /// 1 K to 128 K.
    static let standard = Positions(values: (0...7).map { 1024 << $0 })
    /// 1 K to 8 K.
    static let quick = Positions(values: (0...3).map { 1024 << $0 })

    /// Where a whole model is measured unless the caller says otherwise: a minute for a small one.
    static let model = Positions(values: [2048, 8192, 32768])

    /// Where working memory is measured.
    static let memory = Positions(values: [32768, 65536, 131_072])
    /// Those of `session`.
    static let session = Positions(values: [4096, 16384])
    /// Those of `train`.
    static let train = Positions(values: [2048, 4096, 8192, 16384])

    /// The longest sequence.
    static let limit = 1 << 20

    private init(values: [Int]) {
        self.values = values
    }

    /// Reads a list such as `1K,32K,131072`.
    init(argument: String) throws {
        let values = try argument.split(separator: ",").map { part in
            let isThousands = part.hasSuffix("K") || part.hasSuffix("k")
            let factor = isThousands ? 1024 : 1
            guard let number = Int(isThousands ? part.dropLast() : part),
                (1...Self.limit / factor).contains(number)
            else {
                throw ValidationError("'\(part)' is not a position from 1 to \(Self.limit / 1024)K.")
            }
            return number * factor
        }
        guard !values.isEmpty else { throw ValidationError("At least one position is needed.") }
        self.values = Set(values).sorted()
    }
}
