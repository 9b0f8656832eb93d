import Foundation
import SparseAttention
import XCTest

@testable import SparseInference

/// GLM's conversations: prompts against those of the templates themselves, and answers read.
final class GLMChatTests: XCTestCase {
    private let formats = [ChatEncoder.Format.glm5, .glm52]
    private let question = [ChatMessage(.user, "?")]

    private func tool(_ name: String, _ properties: String) throws -> ChatSchema {
        try ChatSchema(json: #"{"name": "\#(name)", "parameters": {"properties": {\#(properties)}}}"#)
    }

    // MARK: Encoding

    func testPromptsAreThoseOfTheTemplates() throws {
        let url = try XCTUnwrap(
            Bundle.module.url(forResource: "Fixtures/glm-prompts", withExtension: "json")
        )
        let fixture = try XCTUnwrap(JSONValue(parsing: Array(Data(contentsOf: url))).object)
        let prompts = try XCTUnwrap(fixture["prompts"]?.array)
        XCTAssertEqual(prompts.count, 90)
        for item in prompts {
            let item = try XCTUnwrap(item.object)
            let name = try XCTUnwrap(item["conversation"]?.string)
            let messages = try ChatMessage.read(XCTUnwrap(fixture["conversations"]?.object?[name]))
            let isThinking = try XCTUnwrap(item["thinking"]?.bool)
            let encoder = ChatEncoder(
                try XCTUnwrap(ChatEncoder.Format(rawValue: XCTUnwrap(item["format"]?.string))),
                mode: isThinking ? .thinking : .chat
            )
            let prompt = try encoder.encode(messages, invitesAnswer: XCTUnwrap(item["invites"]?.bool))
            // By code points: strings that Unicode calls equivalent are different prompts.
            let expected = try XCTUnwrap(item["prompt"]?.string)
            XCTAssertEqual(Array(prompt.unicodeScalars), Array(expected.unicodeScalars), "\(name) \(encoder)")
        }
    }

    func testInTwoPartsItIsTheSame() throws {
        let messages = [
            ChatMessage(.system, "S", tools: [try tool("f", "")]), ChatMessage(.user, "1?"),
            ChatMessage(.assistant, "A"), ChatMessage(.user, "2?"),
        ]
        for format in formats {
            let encoder = ChatEncoder(format, mode: .thinking)
            let whole = try encoder.encode(messages)
            for cut in 1..<messages.count {
                let first = try encoder.encode(Array(messages[..<cut]), invitesAnswer: false)
                let rest = try encoder.encode(Array(messages[cut...]), after: Array(messages[..<cut]))
                XCTAssertEqual(first + rest, whole, "cut at \(cut)")
            }
        }
    }

    func testWhatTheTemplatesCannotSayIsRefused() throws {
        let call = try ToolCall(name: "f", arguments: "{}")
        let cases: [(ChatFault, [ChatMessage])] = [
            (.notInFormat("the role developer", message: 0), [ChatMessage(.developer, "?")]),
            (.resultWithoutCall(message: 1), question + [ChatMessage(.tool, "4")]),
            (.resultWithoutCall(message: 0), [ChatMessage(.tool, "4")]),
            (
                .resultWithoutCall(message: 3),
                question + [ChatMessage(.assistant, "", toolCalls: [call])]
                    + [ChatMessage(.tool, "4"), ChatMessage(.tool, "5")]
            ),
            (
                .notInFormat("tools behind the first turn", message: 1),
                question + [ChatMessage(.system, "", tools: [try tool("f", "")])]
            ),
            (
                .notInFormat("a response format", message: 0),
                [ChatMessage(.system, "", responseFormat: try ChatSchema(json: "{}"))]
            ),
        ]
        for (fault, messages) in cases {
            for format in formats {
                XCTAssertThrowsError(try ChatEncoder(format).encode(messages)) {
                    XCTAssertEqual($0 as? ChatFault, fault)
                }
            }
        }
    }

    // MARK: Parsing

    func testWhatIsWrittenIsReadHoweverItIsCut() throws {
        let tools = [try tool("say", #""text": {"type": "string"}, "more": {}"#)]
        let answers = [
            ChatMessage(.assistant, "Plain < text > with </ and \n\n and e\u{301} 🙂"),
            ChatMessage(.assistant, "A", reasoning: "Thinking <| hard </tool_call>"),
            ChatMessage(
                .assistant,
                "",
                reasoning: "Now.",
                toolCalls: [try ToolCall(name: "noop", arguments: "{}")]
            ),
            ChatMessage(
                .assistant,
                "I look.",
                reasoning: "Two calls.",
                toolCalls: [
                    try ToolCall(
                        name: "get_weather",
                        arguments:
                            #"{"city": "Zürich", "days": 3, "more": {"a": [1, 2.50, null]}, "empty": ""}"#
                    ),
                    try ToolCall(
                        name: "say",
                        arguments: #"{"text": "3", "more": "a\n<b> & \"c\" </tool_call> </arg_key>"}"#
                    ),
                ]
            ),
        ]
        for answer in answers {
            for format in formats {
                let encoder = ChatEncoder(format, mode: answer.reasoning == nil ? .chat : .thinking)
                let invited = try encoder.encode([], after: question)
                let text = try encoder.encode([answer], after: question)
                XCTAssertTrue(text.hasPrefix(invited), text)
                let written = String(text.unicodeScalars.dropFirst(invited.unicodeScalars.count))
                try assertIsRead(written, as: answer, encoder, tools: tools)
            }
        }
    }

    func testLinesBetweenThePartsAndEndsAreReadOver() throws {
        let answer = ChatMessage(
            .assistant,
            "I look.",
            toolCalls: [
                try ToolCall(name: "f", arguments: #"{"k": 3, "l": "three"}"#),
                try ToolCall(name: "g", arguments: "{}"),
            ]
        )
        let text = """
            I look.
            <tool_call>f
            <arg_key>k</arg_key>
            <arg_value>3</arg_value>
            <arg_key>l</arg_key>
            <arg_value>three</arg_value>
            </tool_call>
            <tool_call>g
            </tool_call>
            """
        for end in ["", "<|observation|>", "<|user|>never read", "<|endoftext|>"] {
            try assertIsRead(text + end, as: answer, ChatEncoder(.glm5))
        }
    }

    func testTextIsToldAsSoonAsItCanBeNothingElse() throws {
        var parser = ChatParser(ChatEncoder(.glm5))
        XCTAssertEqual(try parser.append("Hello <"), [.content("Hello ")])
        XCTAssertEqual(try parser.append("b> \n"), [.content("<b> ")])
        XCTAssertEqual(try parser.append("<tool_ca"), [])
        XCTAssertEqual(
            try parser.append("ll>f</tool_call>"),
            [.toolCall(try ToolCall(name: "f", arguments: "{}"))]
        )
        XCTAssertEqual(try parser.append("Done <too"), [.content("Done ")])
        XCTAssertEqual(try parser.finish(), [.content("<too")])
    }

    func testCallsThatAreNotWellFormedAreRefused() {
        let argument = "<arg_key>k</arg_key><arg_value>1</arg_value>"
        for (call, message) in [
            ("</tool_call>", "expected a name"),
            ("\(argument)</tool_call>", "expected a name"),
            ("f<x></tool_call>", "f: found \"<x>\", expected <arg_key>"),
            ("f\(argument) and</tool_call>", "f: found \"and\", expected <arg_key>"),
            ("f<arg_key>k</tool_call>", "an argument's name does not end, expected </arg_key>"),
            ("f<arg_key>k</arg_key></tool_call>", "argument k: found \"\", expected <arg_value>"),
            ("f\(argument)\(argument)</tool_call>", "f: "),
            ("f<arg_key>k</arg_key><arg_value>1</tool_call>", "the answer ends before </tool_call>"),
            ("f\(argument)", "the answer ends before </tool_call>"),
        ] {
            var parser = ChatParser(ChatEncoder(.glm52))
            XCTAssertThrowsError(
                try {
                    _ = try parser.append("<tool_call>" + call)
                    _ = try parser.finish()
                }(),
                call
            ) {
                guard case .malformedCall(let reason) = $0 as? ChatFault else { return XCTFail("\($0)") }
                XCTAssertTrue(reason.contains(message), reason)
            }
        }
    }

    // MARK: Recognition

    /// A tokenizer of all bytes that knows some markers, and comes with a template.
    private func tokenizer(_ markers: [String], template: String? = nil) throws -> Tokenizer {
        var fixture = TinyCheckpoint.byteTokenizer
        fixture.added += markers.enumerated().map { TokenizerFixture.added($1, id: 258 + $0) }
        let configuration = template.map { #"{"chat_template": \#(TokenizerFixture.quoted($0))}"# }
        return try fixture.tokenizer(configuration: configuration)
    }

    private let markers = ["[gMASK]", "<sop>", "<|user|>", "<|assistant|>", "<think>", "</think>"]
    private let glm5Template = "{{- '</think>' if (enable_thinking is defined) else '<think>' -}}"

    func testTheTemplateTellsWhichGLMItIs() throws {
        let glm52 =
            "Reasoning Effort: {{ e }}{{- '<think></think>' if (enable_thinking is defined) else '<think>' -}}"
        XCTAssertEqual(try .of(tokenizer(markers, template: glm5Template)), ChatEncoder.Format.glm5)
        XCTAssertEqual(try .of(tokenizer(markers, template: glm52)), ChatEncoder.Format.glm52)
        for (template, name) in [
            (nil, "a GLM without chat template"), ("{{ '/nothink' }}", "GLM-4.5 and GLM-4.6"),
            ("Reasoning Effort: Max {{- '<think>' -}}", "a GLM that always thinks, such as GLM-5.3,"),
            (
                "{% macro tool_to_json(tool) %}" + glm5Template,
                "a GLM with another template, such as GLM-5.1,"
            ),
        ] {
            XCTAssertThrowsError(
                try ChatEncoder.Format.of(tokenizer(markers, template: template)),
                name
            ) { XCTAssertEqual($0 as? ChatFault, .unknownTemplate(name)) }
        }
        let deepSeek = ["<｜User｜>", "<｜Assistant｜>"]
        XCTAssertEqual(try .of(tokenizer(deepSeek)), ChatEncoder.Format.plain)
        XCTAssertEqual(try .of(tokenizer(deepSeek + ["｜DSML｜"])), ChatEncoder.Format.dsml)
        XCTAssertThrowsError(try ChatEncoder.Format.of(tokenizer(["<|im_start|>"]))) {
            XCTAssertEqual($0 as? ChatFault, .unknownTemplate("this checkpoint"))
        }
    }

    func testAConversationIsWrittenAsTheCheckpointSays() throws {
        var checkpoint = try TinyCheckpoint(.glmMoeDSA, ["vocab_size": "300"])
        checkpoint.hasTokenizer = true
        let folder = try checkpoint.write()
        var fixture = TinyCheckpoint.byteTokenizer
        fixture.added += markers.enumerated().map { TokenizerFixture.added($1, id: 258 + $0) }
        try folder.write(fixture.text, as: "tokenizer.json")
        try folder.write(glm5Template, as: "chat_template.jinja")
        let model = try LanguageModel(contentsOf: folder.url, workers: .one)
        let conversation = try Conversation(model, options: GenerationOptions(maxTokens: 3), capacity: 64)
        XCTAssertEqual(conversation.encoder, ChatEncoder(.glm5))
        try conversation.answer([ChatMessage(.user, "Hi")])
        // [gMASK] <sop> <|user|> H i <|assistant|> </think>
        XCTAssertEqual(conversation.statistics?.promptTokens, 7)
        XCTAssertEqual(conversation.messages.map(\.role), [.user, .assistant])
    }
}
