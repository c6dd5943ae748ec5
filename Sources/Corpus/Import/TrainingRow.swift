import Files
import JSON
import Sequences

/// What a record trains on, and where its loss is.
public enum TrainingRow: Sendable, Equatable {
    /// The record's text, with loss on every token.
    case text
    /// The record's text, with loss on the tokens that hold some of these bytes of its UTF-8 form.
    case spans([Range<Int>])
    /// A chat, of which the model's chat template makes the text. Each message is an object.
    case chat([JSONTree], ChatReading)
    /// Tokens that were made elsewhere, special tokens included. The text is what they spell.
    case tokens([Int32], LossMask)
}

extension TrainingRow {
    /// Whether the record has the text.
    var hasText: Bool {
        switch self {
        case .text, .spans: true
        case .chat, .tokens: false
        }
    }

    /// Reads a record's row.
    ///
    /// - Returns: The row, and its text unless the corpus must make it.
    /// - Throws: ``CorpusImportError`` with the record's location.
    static func read(
        _ row: JSONTree, _ fields: RowFields, at location: CorpusInputLocation, isOfTable: Bool = false
    ) throws(CorpusImportError) -> (row: TrainingRow, text: String) {
        switch try fields.kind(of: row, at: location, isOfTable: isOfTable) {
        case .text:
            let text = try fields.text.text(of: row, at: location)
            guard let loss = row["loss"], loss != .null, fields.loss == .responses else { return (.text, text) }
            return (try spans(loss, in: text, at: location), text)
        case .completion:
            let prompt = try fields.prompt.text(of: row, at: location)
            let completion = try fields.completion.text(of: row, at: location)
            guard !completion.isEmpty else {
                throw .emptyField(location: location, field: fields.completion.fields[0])
            }
            let text = prompt + completion
            return (fields.loss == .all ? .text : .spans([prompt.utf8.count..<text.utf8.count]), text)
        case .chat:
            let reading = ChatReading(loss: fields.loss, dropsTurns: fields.dropsTurns)
            return (try chat(row, reading, at: location), "")
        case .tokens: return (try tokens(row, at: location), "")
        }
    }

    // MARK: Spans

    private static func spans(
        _ loss: JSONTree, in text: String, at location: CorpusInputLocation
    ) throws(CorpusImportError) -> TrainingRow {
        guard case .array(let items) = loss else {
            throw .wrongType(location: location, field: "loss", expected: "an array of spans", found: loss.kind)
        }
        /// The offset in UTF-8 of each code point, and of the end.
        var offsets: [Int] = []
        var offset = 0
        for scalar in text.unicodeScalars {
            offsets.append(offset)
            offset += UTF8.width(scalar)
        }
        offsets.append(offset)
        var spans: [Range<Int>] = []
        var previous = 0
        for (index, item) in items.enumerated() {
            let field = "loss[\(index)]"
            guard let start = item["start"]?.index, let end = item["end"]?.index else {
                throw .unusable(
                    location: location, field: field,
                    reason:
                        "expected an object {\"start\", \"end\"} of whole numbers from 0, found \(item.text.prefix(60))"
                )
            }
            guard start < end, end < offsets.count else {
                throw .unusable(
                    location: location, field: field,
                    reason:
                        "expected a span within the text's \(offsets.count - 1) code points, found \(start) to \(end)")
            }
            guard start >= previous else {
                throw .unusable(
                    location: location, field: field,
                    reason:
                        "it starts at \(start), before the span before it ends at \(previous): spans must be in order and "
                        + "must not overlap")
            }
            previous = end
            spans.append(offsets[start]..<offsets[end])
        }
        return .spans(spans)
    }

    // MARK: Chats

    /// The names of roles in older data sets.
    private static let olderRoles = [
        "human": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant", "model": "assistant",
    ]

    private static func chat(
        _ row: JSONTree, _ reading: ChatReading, at location: CorpusInputLocation
    ) throws(CorpusImportError) -> TrainingRow {
        let field = (row["messages"] ?? .null) != .null ? "messages" : "conversations"
        guard let value = row[field], case .array(let items) = value else {
            throw .wrongType(
                location: location, field: field, expected: "an array of messages", found: row[field]?.kind ?? "absent")
        }
        guard !items.isEmpty else { throw .emptyField(location: location, field: field) }
        var messages: [JSONTree] = []
        for (index, item) in items.enumerated() {
            messages.append(try message(item, "\(field)[\(index)]", at: location))
        }
        return .chat(messages, reading)
    }

    /// A message with the names `role` and `content`.
    private static func message(
        _ item: JSONTree, _ field: String, at location: CorpusInputLocation
    ) throws(CorpusImportError) -> JSONTree {
        guard case .object(let members) = item else {
            throw .wrongType(location: location, field: field, expected: "an object", found: item.kind)
        }
        guard let from = item["from"], item["role"] == nil else { return item }
        guard case .string(let role) = from else {
            throw .wrongType(location: location, field: "\(field).from", expected: "a string", found: from.kind)
        }
        return .object(
            members.map { member in
                switch member.name {
                case "from": .init(name: "role", value: .string(olderRoles[role] ?? role))
                case "value": .init(name: "content", value: member.value)
                default: member
                }
            })
    }

    // MARK: Tokens

    /// The label of a token without loss, as PyTorch has it.
    private static let ignored = -100

    private static func tokens(
        _ row: JSONTree, at location: CorpusInputLocation
    ) throws(CorpusImportError) -> TrainingRow {
        guard let tokens = try numbers(row, "input_ids", at: location) else {
            throw .emptyField(location: location, field: "input_ids")
        }
        let labels = try numbers(row, "labels", at: location)
        let attention = try numbers(row, "attention_mask", at: location)
        for (field, values) in [("labels", labels), ("attention_mask", attention)] {
            guard let values, values.count != tokens.count else { continue }
            throw .unusable(
                location: location, field: field,
                reason: "it has \(values.count) entries, but \"input_ids\" has \(tokens.count)")
        }
        var kept: [Int32] = []
        var carriesLoss: [Bool] = []
        for (index, token) in tokens.enumerated() where attention?[index] != 0 {
            guard let value = Int32(exactly: token), value >= 0 else {
                throw .unusable(
                    location: location, field: "input_ids[\(index)]", reason: "\(token) is not the id of a token")
            }
            if let label = labels?[index], label != ignored, label != token {
                throw .unusable(
                    location: location, field: "labels[\(index)]",
                    reason: "expected the token at the same index, \(token), or \(ignored) for no loss, found \(label)")
            }
            kept.append(value)
            carriesLoss.append(labels.map { $0[index] != ignored } ?? true)
        }
        guard !kept.isEmpty else { throw .emptyField(location: location, field: "input_ids") }
        return .tokens(kept, LossMask(carriesLoss))
    }

    private static func numbers(
        _ row: JSONTree, _ field: String, at location: CorpusInputLocation
    ) throws(CorpusImportError) -> [Int]? {
        guard let value = row[field], value != .null else { return nil }
        guard case .array(let items) = value else {
            throw .wrongType(location: location, field: field, expected: "an array of integers", found: value.kind)
        }
        var numbers: [Int] = []
        numbers.reserveCapacity(items.count)
        for (index, item) in items.enumerated() {
            guard case .number(let digits) = item, let number = Int(digits) else {
                throw .wrongType(
                    location: location, field: "\(field)[\(index)]", expected: "an integer", found: item.shown)
            }
            numbers.append(number)
        }
        return numbers
    }
}

extension JSONTree {
    /// A whole number from 0.
    fileprivate var index: Int? {
        guard case .number(let digits) = self, let number = Int(digits), number >= 0 else { return nil }
        return number
    }
}

extension ContentHash {
    /// The hash of what a row trains on. For plain text it is the hash of the text, whatever its loss would be named.
    init(of row: TrainingRow, text: String) {
        guard row != .text else {
            self.init(of: text)
            return
        }
        var digest = ContentDigest()
        digest.update("tributary training row 1\n")
        digest.update(UInt64(text.utf8.count))
        digest.update(text)
        switch row {
        case .text, .chat: break
        case .spans(let spans):
            for span in spans {
                digest.update(UInt64(span.lowerBound))
                digest.update(UInt64(span.upperBound))
            }
        case .tokens(let tokens, let loss):
            digest.update("tokens")
            digest.update(UInt64(tokens.count))
            digest.update(tokens.littleEndianBytes)
            for span in loss.spans ?? [] {
                digest.update(UInt64(span.lowerBound))
                digest.update(UInt64(span.upperBound))
            }
        }
        self.init(bytes: digest.bytes)
    }
}

extension CorpusTokenization {
    /// Makes the text of a record that comes without one.
    ///
    /// - Returns: The record's tokens; nil if its text must be tokenised.
    func sequence(for record: inout CorpusRecord) throws(CorpusImportError) -> TrainingSequence? {
        guard record.row != .text else { return nil }
        guard let rows else {
            throw .unusable(location: record.location, field: "text", reason: "this corpus takes only plain text")
        }
        switch record.row {
        case .text, .spans: return nil
        case .chat(let messages, let reading):
            do {
                let chat = try rows.chat(messages, reading)
                record.text = chat.text
                record.droppedMessages = chat.droppedMessages
                // The same text with other loss is another training sequence.
                record.row = .tokens(chat.sequence.tokens, chat.sequence.loss)
                return chat.sequence
            } catch {
                throw .unusable(location: record.location, field: "messages", reason: "\(error)")
            }
        case .tokens(let tokens, let loss):
            do {
                record.text = try rows.decode(tokens)
            } catch {
                throw .unusable(location: record.location, field: "input_ids", reason: "\(error)")
            }
            return TrainingSequence(tokens: tokens, loss: loss)
        }
    }
}
