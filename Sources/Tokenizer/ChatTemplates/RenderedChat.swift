/// An assistant's turn in a rendered chat, from after the header that the generation prompt writes to the end of the token that ends
/// the turn. White space behind that token is not part of it.
public struct AssistantSpan: Sendable, Equatable {
    /// The message's position in the chat; nil where a template's marks do not say.
    public var message: Int?
    /// In code points of the text.
    public var scalars: Range<Int>
}

/// The text of a chat, and where the assistant's turns are in it.
public struct RenderedChat: Sendable, Equatable {
    /// How the assistant's turns were found.
    public enum Source: String, Sendable, Equatable {
        /// By the template's own `{% generation %}` marks.
        case marks
        /// By the difference between the chat up to a turn and the chat with the turn.
        case prefixes
        /// By searching the messages' content in the text, where those renderings do not extend each other.
        case content
    }

    public let text: String
    /// In the order of the text, without overlap.
    public let spans: [AssistantSpan]
    public let source: Source
    /// The positions of assistant's messages that say nothing and call no tool.
    public let emptyTurns: [Int]
    /// The spans in bytes of UTF-8.
    public let byteSpans: [Range<Int>]

    init(scalars: [Unicode.Scalar], spans: [AssistantSpan], source: Source, emptyTurns: [Int]) {
        text = String(scalars: scalars)
        self.spans = spans
        self.source = source
        self.emptyTurns = emptyTurns
        var offsets: [Int: Int] = [:]
        let borders = Set(spans.flatMap { [$0.scalars.lowerBound, $0.scalars.upperBound] })
        var bytes = 0
        for (index, scalar) in scalars.enumerated() {
            if borders.contains(index) { offsets[index] = bytes }
            bytes += UTF8.width(scalar)
        }
        byteSpans = spans.map { span in
            let start = offsets[span.scalars.lowerBound] ?? bytes
            return start..<max(start, offsets[span.scalars.upperBound] ?? bytes)
        }
    }
}

/// The tokens of a chat.
public struct ChatTokens: Sendable, Equatable {
    public var tokens: [Int32]
    /// For each token, whether it holds any of an assistant's turn.
    public var isAssistant: [Bool]
}
