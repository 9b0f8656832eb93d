import ArgumentParser
import Foundation
import SparseInference

/// Prompts in a file, a JSON object a line: `{"prompt": "…"}` or `{"tokens": [1, 2]}`, with `maxTokens` if wanted.
struct PromptList {
    /// A line.
    private struct Line {
        let prompt: String?
        let tokens: [Int]?
        let maxTokens: Int?
    }

    private let lines: [Line]

    /// Reads a file; empty lines are skipped.
    ///
    /// - Parameter path: the file; - for standard input.
    /// - Throws: `ValidationError` naming the line that is no prompt.
    init(_ path: String) throws {
        lines = try Terminal.text(of: path).split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
            .filter { !$1.allSatisfy(\.isWhitespace) }
            .map { number, text in
                do {
                    return try Self.line(text)
                } catch {
                    throw ValidationError("\(path), line \(number + 1): \(error)")
                }
            }
    }

    /// What a line lacks, in words.
    private struct Fault: Error, CustomStringConvertible {
        let description: String
    }

    private static func line(_ text: Substring) throws -> Line {
        guard let object = try JSONValue(parsing: Array(text.utf8)).object else {
            throw Fault(description: "no JSON object")
        }
        func value<Value>(_ key: String, _ kind: String, _ read: (JSONValue) -> Value?) throws -> Value? {
            guard let value = object[key] else { return nil }
            guard let read = read(value) else {
                throw Fault(description: "\(key) is \(value.summary), expected \(kind)")
            }
            return read
        }
        if let unknown = object.members.first(where: { !["prompt", "tokens", "maxTokens"].contains($0.key) })
        {
            throw Fault(description: "\(unknown.key) is unknown, expected prompt, tokens or maxTokens")
        }
        let line = Line(
            prompt: try value("prompt", "a string") { $0.string },
            tokens: try value("tokens", "a list of token ids") { value in
                let ids = value.array?.map(\.int)
                return ids?.contains(nil) == false ? ids?.compactMap { $0 } : nil
            },
            maxTokens: try value("maxTokens", "a number of tokens") { $0.int }
        )
        guard (line.prompt == nil) != (line.tokens == nil) else {
            throw Fault(description: "expected either prompt or tokens")
        }
        return line
    }

    /// The tokens of each prompt, and how each is continued.
    ///
    /// - Parameters:
    ///   - model: its tokenizer reads text.
    ///   - options: for every prompt, `maxTokens` unless its line says another.
    /// - Returns: both in the file's order.
    /// - Throws: `SparseInferenceError.request` for text and a model without tokenizer.
    func requests(for model: LanguageModel, _ options: GenerationOptions) throws -> (
        prompts: [[Int]], options: [GenerationOptions]
    ) {
        let requests = try lines.map { line in
            var own = options
            own.maxTokens = line.maxTokens ?? options.maxTokens
            let tokens =
                line.tokens
                ?? line.prompt.flatMap {
                    model.tokenizer?.encode($0, addingSpecialTokens: true)
                }
            guard let tokens else { throw SparseInferenceError.request(.noTokenizer) }
            return (tokens, own)
        }
        return (requests.map(\.0), requests.map(\.1))
    }
}

/// What became of a prompt, on a line of JSON.
struct PromptAnswer: Encodable {
    /// Which prompt, from 0.
    let prompt: Int
    private(set) var text = ""
    private(set) var tokens: [Int] = []
    private(set) var promptTokens = 0

    init(_ prompt: Int) {
        self.prompt = prompt
    }

    mutating func append(_ piece: GeneratedPiece) {
        text.unicodeScalars += piece.text.unicodeScalars
        tokens.append(piece.token)
        promptTokens = piece.statistics.promptTokens
    }

    /// The line, its end included.
    var line: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
        }
    }
}
