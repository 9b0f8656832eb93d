import SparseInference
import XCTest

/// Fails unless an answer is read as a message however it is cut, and told in events that add up to it.
func assertIsRead(
    _ text: String,
    as answer: ChatMessage,
    _ encoder: ChatEncoder,
    tools: [ChatSchema] = [],
    file: StaticString = #filePath,
    line: UInt = #line
) throws {
    let scalars = Array(text.unicodeScalars)
    for size in [1, 2, 3, 7, 50, 10_000] {
        var parser = ChatParser(encoder, tools: tools)
        var events: [ChatParser.Event] = []
        for start in stride(from: 0, to: scalars.count, by: size) {
            var piece = String.UnicodeScalarView()
            piece.append(contentsOf: scalars[start..<min(start + size, scalars.count)])
            events += try parser.append(String(piece))
        }
        events += try parser.finish()
        XCTAssertEqual(parser.message, answer, "\(text) in pieces of \(size)", file: file, line: line)
        let told = events.reduce(into: ChatMessage(.assistant, "")) { message, event in
            switch event {
            case .reasoning(let text): message.reasoning = (message.reasoning ?? "") + text
            case .content(let text): message.content += text
            case .toolCall(let call): message.toolCalls.append(call)
            }
        }
        XCTAssertEqual(told.content, answer.content, file: file, line: line)
        XCTAssertEqual(told.reasoning ?? "", answer.reasoning ?? "", file: file, line: line)
        XCTAssertEqual(told.toolCalls, answer.toolCalls, file: file, line: line)
    }
}
