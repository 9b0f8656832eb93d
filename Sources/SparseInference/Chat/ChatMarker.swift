/// The markers between turns, by family.
package enum ChatMarker {
    /// Begins what the model thinks.
    package static let beginOfThinking = "<think>"
    /// Ends it.
    package static let endOfThinking = "</think>"

    /// Those of DeepSeek's models.
    package enum DeepSeek {
        /// Begins a text.
        package static let begin = "<｜begin▁of▁sentence｜>"
        /// Ends an answer.
        package static let end = "<｜end▁of▁sentence｜>"
        /// Begins a user's turn.
        package static let user = "<｜User｜>"
        /// Begins the model's turn.
        package static let assistant = "<｜Assistant｜>"
    }

    /// Those of GLM's models, in which a turn ends where the next one begins.
    package enum GLM {
        /// The two tokens that begin a text.
        package static let begin = ["[gMASK]", "<sop>"]
        /// Ends a text.
        package static let end = "<|endoftext|>"
        /// Begins instructions.
        package static let system = "<|system|>"
        /// Begins a user's turn.
        package static let user = "<|user|>"
        /// Begins the model's turn.
        package static let assistant = "<|assistant|>"
        /// Begins what tools gave.
        package static let observation = "<|observation|>"
    }
}
