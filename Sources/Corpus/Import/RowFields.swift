import JSON

/// Which fields of a record are trained on, and where their loss is.
///
/// A record is one of four kinds of rows, told apart by its fields:
///
///     {"text"}, perhaps with {"loss": [{"start", "end"}, ...]} in code points   loss on every token, or on the given parts
///     {"prompt", "completion"}                                                 loss on the completion
///     {"messages": [{"role", "content"}, ...]} or {"conversations"}             loss on the assistant's turns
///     {"input_ids"}, perhaps with {"labels"} and {"attention_mask"}              loss where a label is not -100
public struct RowFields: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable {
        case text, completion, chat, tokens
    }

    /// The kind of all rows; nil if each row's own fields decide.
    public var kind: Kind?
    public var text = FieldFormat(field: "text")
    public var prompt = FieldFormat(field: "prompt")
    public var completion = FieldFormat(field: "completion")
    /// Where rows with a prompt or with several turns carry loss.
    public var loss = LossScope.responses
    /// Whether the first turns of chats that are longer than a sequence are left out.
    public var dropsTurns = false

    static let id = "id"
    static let source = "source"
    static let metadata = "metadata"

    public init() {}

    /// The columns to read of a table.
    ///
    /// - Returns: If the table has no columns to train on, those of a text are among them, so that the table's reader refuses it with the
    ///   names of the columns that there are.
    func selection(from columns: [String]) -> [String] {
        let chat = ["messages", "conversations"]
        let tokens = ["input_ids", "labels", "attention_mask"]
        let needed: [String]
        switch kind {
        case .text: needed = text.fields
        case .completion: needed = prompt.fields + completion.fields
        case .chat: needed = columns.contains(chat[1]) ? [chat[1]] : [chat[0]]
        case .tokens: needed = [tokens[0]]
        case nil:
            let known = text.fields + prompt.fields + completion.fields + chat + [tokens[0]]
            let found = known.filter(columns.contains)
            needed = found.isEmpty ? text.fields : found
        }
        let optional = (chat + tokens + ["loss", Self.id, Self.source, Self.metadata]).filter(columns.contains)
        var selected: [String] = []
        for name in needed + optional where !selected.contains(name) { selected.append(name) }
        return selected
    }

    /// A field that says where a row carries loss, but not a row of this kind, and why it is refused.
    private func idleField(of row: JSONTree, _ kind: Kind) -> (field: String, reason: String)? {
        let used = text.fields + prompt.fields + completion.fields
        func isIdle(_ field: String) -> Bool { (row[field] ?? .null) != .null && !used.contains(field) }
        let advice = "Leave it out; where it says something else, import --rows \(kind.rawValue) ignores it"
        if kind != .tokens, isIdle("labels") {
            return (
                "labels",
                "labels say which tokens of \"input_ids\" carry loss, and this record has none; of a \"text\", \"loss\" says it. \(advice)"
            )
        }
        if kind != .text, isIdle("loss") {
            return ("loss", "it says which parts of \"text\" carry loss, and this record has none. \(advice)")
        }
        return nil
    }

    /// The kind of a row.
    ///
    /// - Throws: ``CorpusImportError/missingRow(location:fields:present:)``, ``CorpusImportError/ambiguousRow(location:kinds:)``, and
    ///   ``CorpusImportError/unusable(location:field:reason:)`` for a field that would be ignored against what it says.
    func kind(
        of row: JSONTree, at location: CorpusInputLocation, isOfTable: Bool = false
    ) throws(CorpusImportError) -> Kind {
        if let kind { return kind }
        func has(_ fields: [String]) -> Bool { fields.allSatisfy { (row[$0] ?? .null) != .null } }
        var kinds: [Kind] = []
        if has(["input_ids"]) { kinds.append(.tokens) }
        if has(["messages"]) || has(["conversations"]) { kinds.append(.chat) }
        if has(prompt.fields + completion.fields) { kinds.append(.completion) }
        if has(text.fields) { kinds.append(.text) }
        if kinds.count > 1 { throw .ambiguousRow(location: location, kinds: kinds) }
        if let kind = kinds.first, let (field, reason) = idleField(of: row, kind) {
            throw .unusable(location: location, field: field, reason: reason)
        }
        guard let kind = kinds.first else {
            // The column is there: its value is at fault.
            if isOfTable, text.fields.allSatisfy({ row[$0] != nil }) { return .text }
            throw .missingRow(location: location, fields: self, present: row.memberNames)
        }
        return kind
    }
}

/// A text made of a record's fields: one field, or a format such as `Question: {question}\nAnswer: `, in which names in braces stand for
/// fields and `{{` and `}}` for braces.
public struct FieldFormat: Sendable, Equatable, CustomStringConvertible {
    private enum Part: Sendable, Equatable {
        case literal(String)
        case field(String)
    }

    private let parts: [Part]
    public let description: String

    init(field: String) {
        self.init(parts: [.field(field)], description: field)
    }

    private init(parts: [Part], description: String) {
        self.parts = parts
        self.description = description
    }

    /// - Parameter text: A field's name if it has no brace, otherwise a format.
    /// - Returns: Nil for a format with a brace that is not closed or not opened, with an empty name, or without fields.
    public init?(_ text: String) {
        guard text.contains("{") || text.contains("}") else {
            guard !text.isEmpty else { return nil }
            self.init(field: text)
            return
        }
        var parts: [Part] = []
        var literal = ""
        var rest = text[...]
        while let character = rest.first {
            if rest.hasPrefix("{{") || rest.hasPrefix("}}") {
                literal.append(character)
                rest = rest.dropFirst(2)
            } else if character == "{" {
                guard let end = rest.firstIndex(of: "}") else { return nil }
                let name = rest[rest.index(after: rest.startIndex)..<end]
                guard !name.isEmpty, !name.contains("{") else { return nil }
                if !literal.isEmpty { parts.append(.literal(literal)) }
                literal = ""
                parts.append(.field(String(name)))
                rest = rest[rest.index(after: end)...]
            } else if character == "}" {
                return nil
            } else {
                literal.append(character)
                rest = rest.dropFirst()
            }
        }
        if !literal.isEmpty { parts.append(.literal(literal)) }
        self.init(parts: parts, description: text)
        if fields.isEmpty { return nil }
    }

    /// The names of its fields.
    var fields: [String] {
        parts.compactMap { if case .field(let name) = $0 { name } else { nil } }
    }

    /// The text that a record's fields make.
    ///
    /// - Throws: ``CorpusImportError/missingField(location:field:present:)`` and ``CorpusImportError/wrongType(location:field:expected:found:)``.
    func text(of row: JSONTree, at location: CorpusInputLocation) throws(CorpusImportError) -> String {
        var text = ""
        for part in parts {
            switch part {
            case .literal(let literal): text += literal
            case .field(let name):
                guard let value = row[name] else {
                    throw .missingField(location: location, field: name, present: row.memberNames)
                }
                guard case .string(let string) = value else {
                    throw .wrongType(location: location, field: name, expected: "a string", found: value.kind)
                }
                text += string
            }
        }
        return text
    }
}

extension JSONTree {
    /// The names of an object's members that are not null, in their order.
    var memberNames: [String] {
        if case .object(let members) = self { members.filter { $0.value != .null }.map(\.name) } else { [] }
    }
}
