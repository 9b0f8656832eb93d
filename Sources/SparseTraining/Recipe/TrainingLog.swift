public import Foundation

/// What a run tells of each of its steps: a line of JSON, appended to `log.jsonl`.
public struct TrainingLog {
    /// The steps, in their order.
    public let lines: [Line]

    /// One step.
    public struct Line: Equatable, Sendable, Codable {
        /// The stage's name.
        public var stage: String
        /// The step's number within it, from 1.
        public var step: Int
        /// The mean loss in nats; nil in the warm-up.
        public var loss: Double?
        /// The mean loss of the answers' tokens; nil in the warm-up.
        public var answerLoss: Double?
        /// The indexers' loss in nats, added over layers; nil where they are not trained.
        public var indexerLoss: Double?
        /// The norm of the gradient, before it is limited.
        public var gradientNorm: Double
        /// The rate of the step.
        public var learningRate: Double
        /// Its tokens.
        public var tokens: Int
        /// What it took, in seconds.
        public var seconds: Double
        /// How far the busiest expert is above the mean, as a share of it; nil where there are none.
        public var expertViolation: Double?
        /// The share of questions its teachers answered right; nil where it has none.
        public var taught: Double?
        /// What its answers showed; nil where the model writes none.
        public var policy: PolicyMeasures?
    }

    /// Reads the log of a run.
    ///
    /// - Parameter url: the file.
    /// - Throws: `RecipeFault.malformed` for a line that is none, or what the file system refuses.
    public init(contentsOf url: URL) throws {
        lines = try JSONLines.read(Line.self, from: url, what: "step of a run")
    }
}

/// Files of one JSON value a line.
enum JSONLines {
    /// Reads all values.
    static func read<Value: Decodable>(_ type: Value.Type, from url: URL, what: String) throws -> [Value] {
        let text = try String(contentsOf: url, encoding: .utf8)
        return try text.split(separator: "\n").enumerated().map { number, line in
            guard let value = try? JSONDecoder().decode(type, from: Data(line.utf8)) else {
                let (file, field) = (url.lastPathComponent, "line \(number + 1)")
                throw RecipeFault.malformed(file: file, field: field, reason: "is no \(what)")
            }
            return value
        }
    }
}
