import Foundation
import SparseAttention
import SparseInference
import SparseTraining

/// What a stored session saves: reading a document against loading what was read of it.
struct SessionSuite {
    /// The model to run.
    let model: LanguageModel
    /// Which tokens the attention sees.
    let attention: AttentionMode
    /// How caches store numbers; nil for what the model's precision says.
    let cacheFormat: CacheFormat?
    /// How often a session is written and loaded.
    let repetitions: Int

    /// Tokens of an answer.
    private static let answerTokens = 16

    /// What one length showed.
    struct Row: Encodable {
        /// Tokens of the document.
        let position: Int
        /// Seconds to read it.
        let prefillSeconds: Double
        /// Milliseconds to write the session, median.
        let writeMilliseconds: Double
        /// Milliseconds to load it, median; checks included, the file in the system's memory.
        let loadMilliseconds: Double
        /// Bytes of the file.
        let fileBytes: Int
        /// Whether a question behind the loaded session is answered with the same logits, bit by bit.
        let answersAlike: Bool

        /// Loading as a share of reading.
        var share: Double { loadMilliseconds / (1000 * prefillSeconds) }
    }

    /// Reads a document, stores the session, loads it again and asks both.
    ///
    /// - Parameters:
    ///   - length: tokens of the document.
    ///   - seed: of the document.
    ///   - folder: where the session is written.
    ///   - progress: told the tokens read.
    /// - Returns: what it took.
    /// - Throws: what `Session` refuses.
    func row(length: Int, seed: UInt64, in folder: URL, progress: (Int) -> Void) throws -> Row {
        let document = document(length: length, seed: seed)
        let capacity = length + 2 * Self.answerTokens
        let session = try Session(model, capacity: capacity, cacheFormat: cacheFormat)
        let prefill = try ContinuousClock().measure {
            _ = try session.extend(by: document, attention: attention, progress: progress)
        }
        let file = folder.appendingPathComponent("\(length).session")
        defer { try? FileManager.default.removeItem(at: file) }
        var (writes, loads) = ([Double](), [Double]())
        var loaded: Session?
        for _ in 0..<repetitions {
            writes.append(try ContinuousClock().measure { try session.write(to: file) }.milliseconds)
            let load = try ContinuousClock().measure {
                loaded = try Session(
                    contentsOf: file,
                    model,
                    capacity: capacity,
                    cacheFormat: cacheFormat,
                    attention: attention
                )
            }
            loads.append(load.milliseconds)
        }
        let question = Array(document.suffix(Self.answerTokens))
        let expected = try answer(question, behind: session)
        let found = try loaded.map { try answer(question, behind: $0) }
        return Row(
            position: length,
            prefillSeconds: prefill.milliseconds / 1000,
            writeMilliseconds: Samples(writes).median,
            loadMilliseconds: Samples(loads).median,
            fileBytes: try file.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0,
            answersAlike: found == expected
        )
    }

    /// The bits of the logits of a question and of a greedy answer.
    private func answer(_ question: [Int], behind session: Session) throws -> [[UInt32]] {
        var (next, bits) = (question, [[UInt32]]())
        for _ in 0..<Self.answerTokens {
            let logits = try session.extend(by: next, attention: attention).elements
            bits.append(logits.map(\.bitPattern))
            next = [logits.indices.max { logits[$0] < logits[$1] } ?? 0]
        }
        return bits
    }

    /// A document of the tasks for a model that knows their words, else random tokens.
    private func document(length: Int, seed: UInt64) -> [Int] {
        guard length >= 64, (try? TaskEvaluation.requireVocabulary(of: model)) != nil else {
            var tokens = TokenStream(seed: seed, vocabulary: model.configuration.vocabularySize)
            return tokens.next(length)
        }
        return TaskStream(seed: seed, split: .evaluation).document(0, length: length).tokens
    }
}
