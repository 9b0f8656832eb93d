import Foundation
import SparseInference

/// Part G: conversations and the prompts that reference encoders make of them.
struct ChatCases {
    private let cases: [JSONValue]

    /// The cases of a file.
    ///
    /// - Throws: when it cannot be read.
    init(_ file: URL) throws {
        cases = try readJSON(file).at("cases").array ?? []
    }

    /// One case for each conversation; DSML answers are parsed again, too.
    var all: [ConformanceCase] {
        cases.enumerated().map { index, item in
            let name = (try? item.text("name")) ?? "\(index)"
            return ConformanceCase("chat/\(name)") { try compare(item) }
        }
    }

    private func compare(_ item: JSONValue) throws -> Outcome {
        let isRefused = (try? item.at("error").bool) == true
        let prompt: String
        do {
            prompt = try encode(item)
        } catch let fault as ChatFault {
            return .measured(
                Measurement(error: isRefused ? 0 : 1, bound: 0, place: isRefused ? "" : "refused: \(fault)")
            )
        }
        guard !isRefused else {
            return .failed("is accepted as \(prompt.debugDescription), expected to be refused")
        }
        let expected = try item.text("prompt")
        // Compared by code points: `String` equality would forgive another normal form.
        let isSame = prompt.unicodeScalars.elementsEqual(expected.unicodeScalars)
        let difference = isSame ? "" : "gives \(prompt.debugDescription)"
        return .measured(Measurement(error: isSame ? 0 : 1, bound: 0, place: difference))
    }

    private func encode(_ item: JSONValue) throws -> String {
        let options = try item.at("options")
        let messages = try ChatMessage.read(item.at("messages"))
        func flag(_ name: String) throws -> Bool { try options.at(name).bool ?? true }
        switch try item.text("format") {
        case "plain":
            return try ChatEncoder(.plain, mode: flag("thinking") ? .thinking : .chat)
                .encode(messages, invitesAnswer: flag("add_generation_prompt"))
        case "dsml":
            let mode = try ChatEncoder.Mode(named: options.text("thinking_mode"))
            return try ChatEncoder(.dsml, mode: mode).encode(
                messages,
                after: ChatMessage.read(options.at("context")),
                begins: flag("add_default_bos_token")
            )
        case let other: throw ChatFault.unknownTemplate(other)
        }
    }
}
