import JSON

/// A message of a chat.
public struct ChatMessage: Sendable, Equatable {
    public var role: String
    /// Nil for an assistant's message that consists of tool calls alone.
    public var content: String?
    /// All other members, such as `name`, `tool_calls` and `reasoning_content`, for the template.
    public var fields: [JSONTree.Member]

    public init(role: String, content: String?, fields: [JSONTree.Member] = []) {
        self.role = role
        self.content = content
        self.fields = fields
    }

    /// Reads a message.
    ///
    /// A content that is a list of text parts becomes their text, joined. Members that are null are dropped, as transformers does.
    ///
    /// - Parameters:
    ///   - tree: An object with `role` and `content`.
    ///   - position: The message's position in the chat, from 0, for errors.
    /// - Throws: ``ChatTemplateError``, naming the message and the field.
    public init(_ tree: JSONTree, position: Int) throws(ChatTemplateError) {
        guard case .object(let members) = tree else {
            throw .invalidMessage(
                message: position, field: "", expected: "an object with role and content", found: tree.shown)
        }
        guard case .string(let role)? = tree["role"] else {
            throw .invalidMessage(
                message: position, field: "role", expected: "a string such as \"user\"",
                found: tree["role"]?.shown ?? "nothing")
        }
        self.role = role
        fields = members.filter {
            $0.value != .null && !$0.name.hasSameBytes(as: "role") && !$0.name.hasSameBytes(as: "content")
        }
        content = nil
        switch tree["content"] ?? .null {
        case .string(let text): content = text
        case .array(let parts): content = try Self.text(of: parts, position: position)
        case .null:
            guard hasToolCalls else { throw .missingContent(message: position, role: role) }
        case let other:
            throw .invalidMessage(
                message: position, field: "content", expected: "a string or a list of text parts", found: other.shown)
        }
    }

    private static func text(of parts: [JSONTree], position: Int) throws(ChatTemplateError) -> String {
        var text = ""
        for (index, part) in parts.enumerated() {
            if case .string(let string) = part {
                text += string
                continue
            }
            let kind =
                if case .string(let kind)? = part["type"] { "\"\(kind)\"" } else { part["type"]?.shown ?? part.kind }
            guard case .object = part, kind == "\"text\"" || part["type"] == nil,
                case .string(let string)? = part["text"]
            else {
                throw .unsupportedPart(message: position, part: index, kind: kind)
            }
            text += string
        }
        return text
    }

    private var hasToolCalls: Bool {
        fields.contains { member in
            guard member.name.hasSameBytes(as: "tool_calls"), case .array(let calls) = member.value else {
                return member.name.hasSameBytes(as: "function_call")
            }
            return !calls.isEmpty
        }
    }

    public var isAssistant: Bool { role.hasSameBytes(as: "assistant") }

    /// Whether this is an assistant's message that says nothing and calls no tool.
    public var isEmptyTurn: Bool { isAssistant && (content ?? "").isEmpty && !hasToolCalls }

    /// What the template sees.
    ///
    /// A text that the model thought before its answer has three names in use. transformers gives a template both
    /// `reasoning_content` and `thinking`, whichever the message has.
    var tree: JSONTree {
        var members = [JSONTree.Member(name: "role", value: .string(role))]
        if let content { members.append(JSONTree.Member(name: "content", value: .string(content))) }
        members += fields.filter { $0.value != .null }
        let names = ["reasoning_content", "thinking", "reasoning"]
        guard
            let reasoning = names.lazy.compactMap({ name in members.first { $0.name.hasSameBytes(as: name) }?.value })
                .first
        else { return .object(members) }
        if !members.contains(where: { $0.name.hasSameBytes(as: "thinking") }) {
            members.insert(JSONTree.Member(name: "thinking", value: reasoning), at: 0)
        }
        if let index = members.firstIndex(where: { $0.name.hasSameBytes(as: "reasoning_content") }) {
            members[index].value = reasoning
        } else {
            members.append(JSONTree.Member(name: "reasoning_content", value: reasoning))
        }
        return .object(members)
    }
}
