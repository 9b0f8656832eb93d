import SparseAttention
import SparseInference
import XCTest

/// Options out of range are refused before anything runs.
final class GenerationOptionsTests: XCTestCase {
    func testDefaults() {
        let options = GenerationOptions()
        XCTAssertEqual(options.maxTokens, 128)
        XCTAssertEqual(options.sampling, .greedy)
        XCTAssertEqual(options.attention, .sparse)
        XCTAssertEqual(options.chunk, Session.defaultChunk)
        XCTAssertNil(options.cacheFormat)
        XCTAssertTrue(options.stopsAtEnd)
    }

    func testEveryInvalidOptionIsNamed() throws {
        let model = try TinyCheckpoint.speaking().model()
        let atLeastOne = "at least 1"
        let temperature = { (value: Double) in Sampling.random(temperature: value, seed: 1) }
        let topP = { (value: Double) in Sampling.random(temperature: 1, topP: value, seed: 1) }
        let minP = { (value: Double) in Sampling.random(temperature: 1, minP: value, seed: 1) }
        let topK = { (value: Int) in Sampling.random(temperature: 1, topK: value, seed: 1) }
        let cases: [(options: GenerationOptions, name: String, found: String, expected: String)] = [
            (GenerationOptions(maxTokens: 0), "maxTokens", "0", atLeastOne),
            (GenerationOptions(maxTokens: -5), "maxTokens", "-5", atLeastOne),
            (GenerationOptions(chunk: 0), "chunk", "0", atLeastOne),
            (GenerationOptions(chunk: .min), "chunk", "\(Int.min)", atLeastOne),
            (GenerationOptions(sampling: temperature(0)), "temperature", "0.0", "a positive number"),
            (GenerationOptions(sampling: temperature(-1)), "temperature", "-1.0", "a positive number"),
            (GenerationOptions(sampling: temperature(.nan)), "temperature", "nan", "a positive number"),
            (GenerationOptions(sampling: temperature(.infinity)), "temperature", "inf", "a positive number"),
            (GenerationOptions(sampling: topK(0)), "topK", "0", atLeastOne),
            (GenerationOptions(sampling: topK(-1)), "topK", "-1", atLeastOne),
            (GenerationOptions(sampling: topP(0)), "topP", "0.0", "above 0, at most 1"),
            (GenerationOptions(sampling: topP(-0.5)), "topP", "-0.5", "above 0, at most 1"),
            (GenerationOptions(sampling: topP(1.5)), "topP", "1.5", "above 0, at most 1"),
            (GenerationOptions(sampling: topP(.nan)), "topP", "nan", "above 0, at most 1"),
            (GenerationOptions(sampling: minP(-0.1)), "minP", "-0.1", "0 to 1"),
            (GenerationOptions(sampling: minP(1.1)), "minP", "1.1", "0 to 1"),
            (GenerationOptions(sampling: minP(.nan)), "minP", "nan", "0 to 1"),
        ]
        for (options, name, found, expected) in cases {
            let error = SparseInferenceError.request(.invalidOption(name, found: found, expected: expected))
            assertError(error, "\(name) \(found)") { try model.generate(tokens: [1], options: options) }
            assertError(error, "\(name) \(found)") { try model.generate("a", options: options) }
        }
    }

    func testBoundsAreValid() throws {
        let model = try TinyCheckpoint.speaking().model()
        let samplings: [Sampling] = [
            .greedy, .random(temperature: .leastNonzeroMagnitude, seed: 0),
            .random(temperature: .greatestFiniteMagnitude, seed: .max),
            .random(temperature: 1, topK: 1, topP: .leastNonzeroMagnitude, minP: 1, seed: 0),
            .random(temperature: 1, topK: .max, topP: 1, minP: 0, seed: 0),
        ]
        for sampling in samplings {
            let options = GenerationOptions(maxTokens: 1, sampling: sampling, chunk: 1)
            XCTAssertNoThrow(try model.generate(tokens: [1], options: options), "\(sampling)")
        }
        XCTAssertNoThrow(try model.generate("", options: GenerationOptions(maxTokens: .max, chunk: .max)))
    }

    func testFaultsExplainThemselves() {
        let cases: [(fault: RequestFault, words: [String])] = [
            (.emptyPrompt, ["prompt", "at least one"]), (.noTokenizer, ["tokenizer.json"]),
            (.unknownToken(70, vocabularySize: 64), ["70", "64"]),
            (.contextTooLong(tokens: 41, limit: 40), ["41", "40"]),
            (
                .invalidOption("topP", found: "2.0", expected: "above 0, at most 1"),
                ["topP", "2.0", "above 0"]
            ),
            (.nonFiniteLogits(position: 3), ["3", "NaN"]),
        ]
        for (fault, words) in cases {
            for word in words {
                XCTAssertTrue(
                    SparseInferenceError.request(fault).description.contains(word),
                    "\(fault): \(word)"
                )
            }
        }
    }
}
