/// Finds the assistant's turns in a rendered chat whose template has no marks.
///
/// Let `before` be the text of the messages before a turn with the generation prompt. Where the chat's text begins with it, the turn
/// begins behind it. Let `after` be the text of the messages up to and including the turn. Where the chat's text begins with it, too, the
/// turn ends where `after` ends without white space.
///
/// Some templates render a turn otherwise when more messages follow: they strip earlier reasoning, move the system's message to the last
/// question, or end a chat with a token of its own. There the turn's content is searched behind what precedes it, and the turn ends with
/// the text that follows its content where the generation prompt comes next. A turn without content is told by rendering the chat again
/// with another content in its place.
struct AssistantSpanFinder {
    /// The text of messages.
    typealias Render = (_ messages: [ChatMessage], _ addsGenerationPrompt: Bool) throws(ChatTemplateError) -> [Unicode
        .Scalar]

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

    /// - Throws: ``ChatTemplateError/unclearSpan(template:message:reason:)``.
    mutating func spans() throws(ChatTemplateError) -> [AssistantSpan] {
        var spans: [AssistantSpan] = []
        for (index, message) in messages.enumerated() where message.isAssistant {
            let range = try span(of: index)
            previousEnd = range.upperBound
            spans.append(AssistantSpan(message: index, scalars: range))
        }
        return spans
    }

    /// The renderings around one turn. A template can refuse some of them, most of all a chat without messages.
    private struct Turn {
        /// The messages before the turn.
        let plain: [Unicode.Scalar]?
        /// The same with the generation prompt.
        let prompted: [Unicode.Scalar]?
        /// The messages up to and including the turn, and the same with the generation prompt but without its text.
        let endings: [[Unicode.Scalar]]
    }

    private func turn(_ index: Int, replacedBy replacement: ChatMessage? = nil) -> Turn {
        let earlier = Array(messages[..<index])
        let plain = try? render(earlier, false)
        let prompted = try? render(earlier, true)
        let including = earlier + [replacement ?? messages[index]]
        var endings: [[Unicode.Scalar]] = []
        if let after = try? render(including, false) { endings.append(trimmed(after)) }
        if let plain, let prompted, prompted.starts(with: plain), let continued = try? render(including, true) {
            let prompt = prompted[plain.count...]
            if continued.suffix(prompt.count).elementsEqual(prompt) {
                endings.append(trimmed(continued.dropLast(prompt.count)))
            }
        }
        return Turn(plain: plain, prompted: prompted, endings: endings.sorted { $0.count > $1.count })
    }

    private mutating func span(of index: Int) throws(ChatTemplateError) -> Range<Int> {
        let turn = turn(index)
        let content = content(of: index, in: turn)
        let start: Int
        if let prompted = turn.prompted, whole.starts(with: prompted) {
            start = startBehind(prompted, hasPrompt: turn.plain != prompted, content: content)
        } else if let plain = turn.plain, let prompted = turn.prompted, whole.starts(with: plain),
            prompted.starts(with: plain)
        {
            // The template writes something else where its generation prompt would be.
            source = .content
            let common = max(plain.count, startOfTag(around: commonPrefix(prompted, whole)))
            start = content.map { min($0.lowerBound, common) } ?? common
        } else {
            source = .content
            guard let content else {
                throw unclear(
                    index,
                    "the template renders the messages before it differently when more follow, and its content is not found"
                )
            }
            start = content.lowerBound
        }
        guard start >= previousEnd else { throw unclear(index, "it would overlap the turn before") }
        let end = try end(of: index, from: start, turn: turn, content: content)
        guard end >= start, end <= whole.count else { throw unclear(index, "its end is not found") }
        return start..<end
    }

    private func unclear(_ index: Int, _ reason: String) -> ChatTemplateError {
        .unclearSpan(template: origin, message: index, reason: reason)
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
        of index: Int, from start: Int, turn: Turn, content: Range<Int>?
    ) throws(ChatTemplateError) -> Int {
        let contentEnd = max(start, content?.upperBound ?? start)
        for ending in turn.endings where whole.starts(with: ending) && ending.count >= start {
            return max(ending.count, contentEnd)
        }
        source = .content
        guard let content else { return try endWithoutContent(of: index, from: start) }
        // What follows the content where it is at the end of the chat, as far as it is the same here.
        let needle = Array(whole[content])
        var length = 0
        for ending in turn.endings {
            guard let place = PythonText.findLast(needle, in: ending) else { continue }
            let tail = Array(ending[(place + needle.count)...])
            if whole[contentEnd...].starts(with: tail) { return contentEnd + tail.count }
            length = max(length, commonPrefix(tail, Array(whole[contentEnd...])))
        }
        return max(contentEnd, trimmed(whole[..<startOfTag(around: contentEnd + length)]).count)
    }

    /// The end of a turn that has nothing to search for: the text that would follow another content in its place.
    private func endWithoutContent(of index: Int, from start: Int) throws(ChatTemplateError) -> Int {
        let mark = Array("tributary's mark".unicodeScalars)
        let marked = ChatMessage(role: messages[index].role, content: String(scalars: mark))
        var others = messages
        others[index] = marked
        guard let other = try? render(others, false), let place = PythonText.find(mark, in: other) else {
            throw unclear(index, "it has no content to search for")
        }
        let following = other[(place + mark.count)...]
        for ending in turn(index, replacedBy: marked).endings {
            guard let last = PythonText.findLast(mark, in: ending) else { continue }
            let tail = ending[(last + mark.count)...]
            let end = whole.count - following.count + tail.count
            if following.starts(with: tail), whole.suffix(following.count).elementsEqual(following), end >= start {
                return end
            }
        }
        throw unclear(
            index, "the template renders it differently when more messages follow, and it has no content to search for")
    }

    private func trimmed(_ text: some BidirectionalCollection<Unicode.Scalar>) -> [Unicode.Scalar] {
        PythonText.strip(Array(text), characters: nil, left: false)
    }

    private func commonPrefix(_ first: [Unicode.Scalar], _ second: [Unicode.Scalar]) -> Int {
        zip(first, second).prefix { $0 == $1 }.reduce(0) { count, _ in count + 1 }
    }

    /// The start of the tag such as `<|end|>` that an index lies within, if it does; the index otherwise.
    private func startOfTag(around index: Int) -> Int {
        var start = index
        while start > 0, index - start < 64 {
            start -= 1
            if whole[start] == ">" { return index }
            if whole[start] == "<" { return start }
        }
        return index
    }

    // MARK: Searching the content

    /// Where the content of a message is in the text.
    private func content(of index: Int, in turn: Turn) -> Range<Int>? {
        if let prompted = turn.prompted, whole.starts(with: prompted) {
            return found(index, from: max(prompted.count, previousEnd))
        }
        if let plain = turn.plain, whole.starts(with: plain) {
            return found(index, from: max(plain.count, previousEnd))
        }
        // Message by message, so that a question with the same words is not taken for the answer.
        var position = 0
        for earlier in 0..<index where messages[earlier].role != "system" && messages[earlier].role != "developer" {
            position = found(earlier, from: position)?.upperBound ?? position
        }
        return found(index, from: max(position, previousEnd))
    }

    private func found(_ index: Int, from start: Int) -> Range<Int>? {
        for needle in needles(of: messages[index]) {
            if let position = PythonText.find(needle, in: whole, from: start) {
                return position..<position + needle.count
            }
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
        return needles.filter { !$0.allSatisfy(\.isPythonSpace) }
    }
}
