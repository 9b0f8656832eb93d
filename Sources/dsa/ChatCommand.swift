import ArgumentParser
import Dispatch
import Foundation
import SparseAttention
import SparseInference
import Synchronization

/// `dsa chat`: a conversation in the terminal.
struct ChatCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "chat",
        abstract: "Talk with a model in the terminal.",
        discussion: """
            Conversations are written as DeepSeek-V3.1, V3.2-Exp, V3.2, GLM-5 and GLM-5.2 were taught, tools included; the \
            checkpoint tells which, and one taught in another way is refused. A line that ends in a backslash goes on in the next one. Ctrl-C stops an answer, which is \
            kept as far as it came, or the reading of a question, which is then forgotten; with neither going on it does \
            nothing. Ctrl-D ends. /help lists the commands.

              dsa chat --model FOLDER --system "Be brief." --thinking
              dsa chat --model FOLDER --messages turns.json --json     # one answer, for programs
            """
    )

    @OptionGroup var modelOptions: ModelOptions

    @Option(help: "Instructions for the whole conversation.")
    var system: String?

    @Flag(help: "Let the model think before it answers.")
    var thinking = false

    @Option(help: "sparse: the tokens the indexer selects; dense: all of them.")
    var attention = AttentionMode.sparse

    @Option(help: "The most tokens of an answer.")
    var maxTokens = 1024

    @Option(
        help: "The most tokens of the conversation; the model's limit when not given.",
        transform: TokenCount.parse
    )
    var context: Int?

    @Option(help: "Draw tokens at random, logits divided by this number; 0 is greedy.")
    var temperature = 0.0

    @Option(help: "The seed of random draws.")
    var seed: UInt64 = 0

    @Option(help: ArgumentHelp("Answer the messages of a JSON file once, and end.", valueName: "file"))
    var messages: String?

    @Flag(help: "With --messages: print the answer as a JSON message.")
    var json = false

    func validate() throws {
        guard !json || messages != nil else { throw ValidationError("--json needs --messages.") }
    }

    func run() throws {
        let model = try modelOptions.load()
        let options = GenerationOptions(
            maxTokens: maxTokens,
            sampling: temperature == 0 ? .greedy : .random(temperature: temperature, seed: seed),
            attention: attention
        )
        let conversation = try Conversation(model, options: options, capacity: context)
        conversation.encoder.mode = thinking ? .thinking : .chat
        if let system { conversation.add(ChatMessage(.system, system)) }
        guard let messages else { return try ChatLoop(conversation).run() }
        let read = try ChatMessage.read(Data(contentsOf: URL(fileURLWithPath: messages)))
        let answer = try conversation.answer(read)
        print(json ? answer.json : answer.content)
    }
}

/// Reads questions, shows answers.
private final class ChatLoop {
    private let conversation: Conversation
    private let interrupt = Interrupt()
    private var showsStatistics = false

    private static let help = """
        /help                 this list
        /clear                forget everything but the instructions
        /undo                 forget the last question and its answer
        /system TEXT          new instructions, and a new conversation
        /think on|off         think before answering
        /attention sparse|dense
        /stats on|off         tell speed and memory behind each answer
        /history              everything said so far
        /save FILE            write it as JSON messages
        /quit                 end, as Ctrl-D does
        """

    init(_ conversation: Conversation) {
        self.conversation = conversation
    }

    func run() throws {
        if Terminal.isInteractive {
            Terminal.note("/help lists the commands, Ctrl-C stops an answer, Ctrl-D ends")
        }
        while let line = readTurn(prompt: "> ") {
            let text = line.trimmingCharacters(in: .whitespacesAndNewlines)
            guard !text.isEmpty else { continue }
            do {
                if text.hasPrefix("/") {
                    guard try command(text) else { return }
                } else {
                    try ask([ChatMessage(.user, line)])
                }
            } catch is CancellationError {
                Terminal.clearProgress()
                Terminal.note("stopped")
            } catch {
                Terminal.note("\(error)")
            }
        }
    }

    /// A turn of one or several lines; nil at the end of input.
    private func readTurn(prompt: String) -> String? {
        var lines: [String] = []
        repeat {
            if Terminal.isInteractive { Terminal.write(lines.isEmpty ? prompt : "… ") }
            guard let line = readLine() else { return lines.isEmpty ? nil : lines.joined(separator: "\n") }
            guard line.hasSuffix("\\") else { return (lines + [line]).joined(separator: "\n") }
            lines.append(String(line.dropLast()))
        } while true
    }

    private func ask(_ messages: [ChatMessage]) throws {
        interrupt.reset()
        var (isThinking, progress) = (false, WorkProgress?.none)
        let answer = try conversation.answer(messages) { done, all in
            progress = progress ?? WorkProgress("reading", of: all)
            progress?.show(done)
            if interrupt.isRaised { throw CancellationError() }
        } tell: { event in
            Terminal.clearProgress()
            switch event {
            case .reasoning(let text):
                Terminal.write((isThinking ? "" : "[") + text)
                isThinking = true
            case .content(let text):
                Terminal.write((isThinking ? "]\n" : "") + text)
                isThinking = false
            case .toolCall(let call):
                Terminal.write((isThinking ? "]" : "") + "\n\(call.name) \(call.arguments)")
                isThinking = false
            }
            return !interrupt.isRaised
        }
        Terminal.clearProgress()
        Terminal.write(isThinking ? "]\n" : "\n")
        if showsStatistics, let statistics = conversation.statistics {
            let caches = Terminal.bytes(statistics.cacheBytes)
            Terminal.note("\(Terminal.speed(statistics)) · caches: \(caches)")
        }
        guard !answer.toolCalls.isEmpty, !interrupt.isRaised else { return }
        var results: [ChatMessage] = []
        for call in answer.toolCalls {
            guard let result = readTurn(prompt: "result of \(call.name)> ") else { return }
            results.append(ChatMessage(.tool, result))
        }
        try ask(results)
    }

    /// Carries out a command; false ends the conversation.
    private func command(_ line: String) throws -> Bool {
        let parts = line.split(separator: " ", maxSplits: 1).map(String.init)
        let rest = parts.count > 1 ? parts[1] : ""
        switch parts[0] {
        case "/help": Terminal.write(Self.help + "\n")
        case "/quit", "/exit": return false
        case "/clear":
            let instructions = conversation.messages.prefix { $0.role == .system }.count
            conversation.removeMessages(from: instructions)
        case "/undo":
            let last = conversation.messages.lastIndex { $0.role == .user }
            conversation.removeMessages(from: last ?? conversation.messages.count)
        case "/system":
            conversation.removeMessages(from: 0)
            if !rest.isEmpty { conversation.add(ChatMessage(.system, rest)) }
        case "/think": conversation.encoder.mode = try isOn(rest) ? .thinking : .chat
        case "/stats": showsStatistics = try isOn(rest)
        case "/attention":
            guard let mode = AttentionMode(rawValue: rest) else {
                throw ValidationError("\"\(rest)\" is no attention; expected sparse or dense.")
            }
            conversation.options.attention = mode
        case "/history":
            for message in conversation.messages {
                Terminal.write("\(message.role.rawValue): \(message.content)\n")
            }
        case "/save":
            guard !rest.isEmpty else { throw ValidationError("/save needs a file.") }
            let all = conversation.messages.map(\.json).joined(separator: ",\n ")
            try Data("[\(all)]\n".utf8).write(to: URL(fileURLWithPath: rest), options: .atomic)
        default: throw ValidationError("\(parts[0]) is no command; /help lists them.")
        }
        return true
    }

    private func isOn(_ word: String) throws -> Bool {
        guard ["on", "off"].contains(word) else { throw ValidationError("\"\(word)\": expected on or off.") }
        return word == "on"
    }
}

/// Whether Ctrl-C has been pressed; the process goes on.
private final class Interrupt {
    private let source: any DispatchSourceSignal
    private let flag = Flag()

    private final class Flag: Sendable {
        let isRaised = Atomic(false)
    }

    init() {
        signal(SIGINT, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGINT, queue: .global())
        source.setEventHandler { [flag] in flag.isRaised.store(true, ordering: .relaxed) }
        source.resume()
    }

    var isRaised: Bool { flag.isRaised.load(ordering: .relaxed) }

    func reset() {
        flag.isRaised.store(false, ordering: .relaxed)
    }
}
