/// Finds the assistant's turns in a rendered chat whose template has no marks.
///
/// Let `whole` be the chat's text and `before` the text of the messages before a turn, with the generation prompt. Where `whole` begins
/// with `before`, the turn begins behind it. The turn ends where the chat up to and including it ends, without white space at its end.
/// Some templates render a turn otherwise when it is not the last one (they strip earlier reasoning, move the system's message to the
/// last question, or end a chat with a token of its own). There the turn's content is searched in the text, from the end of the
/// message before, and the turn ends with the text that follows its content both here and where it is the last turn.
struct AssistantSpanFinder {
    /// The text of the first messages.
    typealias Render = (_ count: Int, _ addsGenerationPrompt: Bool) throws(ChatTemplateError) -> [Unicode.Scalar]

    private let messages: [ChatMessage]
    private let whole: [Unicode.Scalar]
    private let origin: String
    private let render: Render
    private(set) var source = RenderedChat.Source.prefixes
    /// The end of the last span found.
    private var previousEnd = 0

    init(messages: [ChatMessage], whole: [Unicode.Scalar], origin: String, render: @escaping Render) {
        self.messages = messages
        self.whole = whole
        self.origin = origin
        self.render = render
    }

    mutating func spans() throws(ChatTemplateError) -> [AssistantSpan] {
        var spans: [AssistantSpan] = []
        for (index, message) in messages.enumerated() where message.isAssistant {
            let range = try span(of: index)
            previousEnd = range.upperBound
            spans.append(AssistantSpan(message: index, scalars: range))
        }
        return spans
    }

    private mutating func span(of index: Int) throws(ChatTemplateError) -> Range<Int> {
        // A template can refuse the messages before a turn, most of all where there are none.
        let before = try? render(index, true)
        let plain = try? render(index, false)
        let after = try? render(index + 1, false)
        let content = content(of: index, before: plain, prompted: before)

        let start: Int
        if let before, whole.starts(with: before) {
            start = startBehind(before, hasPrompt: plain.map { $0 != before } ?? true, content: content)
        } else if let plain, let before, whole.starts(with: plain), before.starts(with: plain) {
            // The template writes something else where its generation prompt would be.
            source = .content
            let common = commonPrefix(before, whole)
            start = content.map { min($0.lowerBound, common) } ?? common
        } else {
            source = .content
            guard let content else {
                throw .unclearSpan(
                    template: origin, message: index,
                    reason: "the template renders the messages before it differently when more follow, and its content is not found")
            }
            start = content.lowerBound
        }
        guard start >= previousEnd else {
            throw .unclearSpan(template: origin, message: index, reason: "it would overlap the turn before")
        }
        return start..<(try end(of: index, from: start, after: after, content: content))
    }

    /// Where a turn begins if the text begins with what is before it.
    private func startBehind(_ before: [Unicode.Scalar], hasPrompt: Bool, content: Range<Int>?) -> Int {
        // A template without a generation prompt writes the header with the turn.
        guard !hasPrompt, let content, content.lowerBound > before.count else { return before.count }
        let header = whole[before.count..<content.lowerBound]
        return header.allSatisfy(\.isPythonSpace) ? before.count : content.lowerBound
    }

    /// Where a turn ends.
    private mutating func end(
        of index: Int, from start: Int, after: [Unicode.Scalar]?, content: Range<Int>?
    ) throws(ChatTemplateError) -> Int {
        let contentEnd = max(start, content?.upperBound ?? start)
        if let after {
            let end = trimmedEnd(of: after, from: contentEnd)
            if end > start || content != nil, end <= whole.count, whole[..<end].elementsEqual(after[..<min(end, after.count)]) {
                return end
            }
        }
        source = .content
        guard let content else {
            throw .unclearSpan(
                template: origin, message: index,
                reason: "the template renders it differently when more messages follow, and it has no content to search for")
        }
        // The text between the content and the end of the chat, where it is the same here.
        guard let after, let last = occurrence(of: Array(whole[content]), in: after) else { return contentEnd }
        let tail = after[last.upperBound..<max(last.upperBound, trimmedEnd(of: after, from: last.upperBound))]
        return whole[contentEnd...].starts(with: tail) ? contentEnd + tail.count : contentEnd
    }

    private func trimmedEnd(of text: [Unicode.Scalar], from start: Int) -> Int {
        var end = text.count
        while end > start, text[end - 1].isPythonSpace { end -= 1 }
        return max(end, min(start, text.count))
    }

    /// The last occurrence.
    private func occurrence(of needle: [Unicode.Scalar], in text: [Unicode.Scalar]) -> Range<Int>? {
        PythonText.findLast(needle, in: text).map { $0..<$0 + needle.count }
    }

    private func commonPrefix(_ first: [Unicode.Scalar], _ second: [Unicode.Scalar]) -> Int {
        zip(first, second).prefix { $0 == $1 }.reduce(0) { count, _ in count + 1 }
    }

    // MARK: Searching the content

    /// Where the content of a message is in the text.
    private func content(
        of index: Int, before: [Unicode.Scalar]?, prompted: [Unicode.Scalar]?
    ) -> Range<Int>? {
        if let before, whole.starts(with: before) { return found(index, from: max(before.count, previousEnd)) }
        if let prompted, whole.starts(with: prompted) { return found(index, from: max(prompted.count, previousEnd)) }
        // Message by message, so that a question with the same words is not taken for the answer.
        var position = 0
        for earlier in 0..<index where messages[earlier].role != "system" && messages[earlier].role != "developer" {
            position = found(earlier, from: position)?.upperBound ?? position
        }
        return found(index, from: max(position, previousEnd))
    }

    private func found(_ index: Int, from start: Int) -> Range<Int>? {
        for needle in needles(of: messages[index]) {
            if let position = PythonText.find(needle, in: whole, from: start) { return position..<position + needle.count }
        }
        return nil
    }

    /// The forms in which templates write a content: as it is, without space around it, and without earlier reasoning.
    private func needles(of message: ChatMessage) -> [[Unicode.Scalar]] {
        let content = Array((message.content ?? "").unicodeScalars)
        var needles = [content, PythonText.strip(content, characters: nil)]
        let marker = Array("</think>".unicodeScalars)
        if message.isAssistant, let end = PythonText.findLast(marker, in: content) {
            let answer = Array(content[(end + marker.count)...])
            needles.append(PythonText.strip(answer, characters: nil))
        }
        return needles.filter { !$0.isEmpty }
    }
}
