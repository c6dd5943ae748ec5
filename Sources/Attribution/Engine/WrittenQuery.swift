import JSON
import Tokenizer
import Transformer

// Questions about chats, as the model's chat template writes them.
extension InfluenceEngine {
    /// The query with the texts that the model's chat template makes of its chats.
    ///
    /// - Throws: ``QueryError/unusable(field:reason:)``.
    func written(_ query: InfluenceQuery) throws -> InfluenceQuery {
        var written = query
        if query.messages != nil {
            let part = try self.written(query.parts[0], path: "", dropsTurns: query.dropTurns)
            (written.prompt, written.completion, written.contrast) = (part.prompt, part.completion, part.contrast)
            written.droppedMessages = part.droppedMessages
        }
        written.behaviour = try query.behaviour?.enumerated().map { index, part in
            try self.written(part, path: query.path(ofPart: index), dropsTurns: query.dropTurns)
        }
        return written
    }

    private func written(_ part: BehaviourPart, path: String, dropsTurns: Bool) throws -> BehaviourPart {
        guard let messages = part.messages else { return part }
        guard dropsTurns else { return try written(part, with: messages, path: path) }
        let fitting = try ChatTurns.fitting(messages) { messages in
            let written = try self.written(part, with: messages, path: path)
            return fits(written) ? written : nil
        }
        guard var shortened = fitting?.value else { return try written(part, with: messages, path: path) }
        shortened.droppedMessages = fitting?.dropped ?? 0
        return shortened
    }

    /// Whether the part's prompt with each of its completions is within the model's context.
    private func fits(_ part: BehaviourPart) -> Bool {
        [part.completion, part.contrast].compactMap(\.self).allSatisfy { completion in
            tokenizer.encodeJoined(prompt: part.prompt, completion: completion, addSpecialTokens: false).tokens.count
                <= decoder.description.contextLength
        }
    }

    private func written(_ part: BehaviourPart, with messages: [JSONTree], path: String) throws -> BehaviourPart {
        var written = part
        (written.prompt, written.completion) = try texts(of: messages, path: path)
        guard let contrast = part.contrast else { return written }
        let other = try texts(of: messages.withLastContent(contrast), path: path)
        guard other.prompt.hasSameBytes(as: written.prompt) else {
            throw QueryError.unusable(
                field: path + "contrast",
                reason:
                    "the chat template writes the turns before the last one differently for this answer, so that the two "
                    + "do not continue the same prompt")
        }
        written.contrast = other.completion
        return written
    }

    /// A chat's text before its last turn, and its last turn with the token that ends it.
    private func texts(of messages: [JSONTree], path: String) throws -> (prompt: String, completion: String) {
        let chat: RenderedChat
        do {
            chat = try tokenizer.render(messages)
        } catch {
            throw QueryError.unusable(field: path + "messages", reason: "\(error)")
        }
        guard messages.last?["role"] == .string("assistant"), let span = chat.byteSpans.last, !span.isEmpty else {
            throw QueryError.unusable(
                field: path + "messages",
                reason: "expected an assistant's message at the end, with the completion as its content")
        }
        let bytes = Array(chat.text.utf8)
        return (
            String(decoding: bytes[..<span.lowerBound], as: UTF8.self), String(decoding: bytes[span], as: UTF8.self)
        )
    }
}

extension InfluenceQuery {
    /// The path of a part's members in the request.
    func path(ofPart index: Int) -> String { behaviour == nil ? "" : "measurement[\(index)]." }
}

extension [JSONTree] {
    /// The messages with another content of the last one.
    fileprivate func withLastContent(_ content: String) -> [JSONTree] {
        guard case .object(let members)? = last else { return self }
        let others = members.filter { !$0.name.hasSameBytes(as: "content") }
        return Array(dropLast()) + [.object(others + [.init(name: "content", value: .string(content))])]
    }
}
