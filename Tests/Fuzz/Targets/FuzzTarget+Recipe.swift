import Foundation
import SparseInference
import SparseTraining

extension FuzzTarget {
    /// Reads a recipe; what is accepted reads the same again, and short texts can be made for it.
    func readRecipe(_ input: consuming Input) throws {
        let recipe = try Recipe(Data(input.remainder()), file: "recipe.json")
        let again = try Recipe(JSONEncoder().encode(recipe), file: "recipe.json")
        precondition(again == recipe)
        for stage in recipe.stages.prefix(2) where stage.length <= 256 {
            let stream = TaskStream(
                seed: recipe.seed,
                split: .training,
                questions: stage.questions,
                tokensPerFact: stage.tokensPerFact ?? TaskStream.tokensPerFact,
                restatements: stage.restatements ?? 0,
                mostFacts: stage.mostFacts
            )
            for (kind, _) in stage.shares {
                let item = stream.item(kind, 0, length: stage.length)
                precondition(item.tokens.count == item.weights.count && item.tokens.count <= stage.length)
            }
        }
    }

    /// Writes messages in every way, and reads an answer at once and in two parts, which must agree.
    func converse(_ input: consuming Input) throws {
        let json = input.text()
        let answer = String(decoding: input.remainder(), as: UTF8.self)
        for format in ChatEncoder.Format.allCases {
            for mode in ChatEncoder.Mode.allCases {
                let encoder = ChatEncoder(format, mode: mode)
                let whole = read([answer], encoder)
                let middle = answer.unicodeScalars.index(
                    answer.startIndex,
                    offsetBy: answer.unicodeScalars.count / 2
                )
                precondition(read([String(answer[..<middle]), String(answer[middle...])], encoder) == whole)
            }
        }
        let messages = try ChatMessage.read(Data(json))
        for mode in ChatEncoder.Mode.allCases {
            for format in ChatEncoder.Format.allCases {
                let written = format == .plain ? messages.filter { $0.role != .tool } : messages
                do {
                    let prompt = try ChatEncoder(format, mode: mode).encode(written)
                    precondition(written.isEmpty || !prompt.isEmpty)
                } catch {
                    check(error)
                }
            }
        }
    }

    /// What an answer becomes; nil when it is refused.
    private func read(_ parts: [String], _ encoder: ChatEncoder) -> ChatMessage? {
        var parser = ChatParser(encoder)
        do {
            for part in parts { _ = try parser.append(part) }
            _ = try parser.finish()
            return parser.message
        } catch {
            check(error)
            return nil
        }
    }
}
