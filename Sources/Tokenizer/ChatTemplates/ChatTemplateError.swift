import Foundation

/// Why a chat could not be rendered. Cases about a template name it, by its file or key, and the line at fault.
public enum ChatTemplateError: Error, Equatable {
    case unreadableFile(String, reason: String)
    /// A `chat_template` that is neither a text nor a list of named texts.
    case invalidField(file: String, field: String, expected: String, found: String)
    /// No template suits: there are only named ones, and none of them is `default`.
    case noDefault(template: String, names: [String])
    case noSuchName(template: String, name: String, names: [String])
    case syntax(template: String, line: Int, reason: String)
    /// A construct that Jinja has, and this interpreter does not.
    case unsupported(template: String, line: Int, construct: String)
    /// The template itself refused the chat, with this message.
    case refused(template: String, line: Int, message: String)
    /// An operation that fails in Jinja too.
    case failed(template: String, line: Int, reason: String)
    /// One of ``ChatTemplateLimits``.
    case limitExceeded(template: String, line: Int, limit: String)
    case noMessages
    /// - message: The message's position in the chat, from 0.
    case invalidMessage(message: Int, field: String, expected: String, found: String)
    /// A part of a message's content that is not text, such as an image.
    case unsupportedPart(message: Int, part: Int, kind: String)
    /// A message without content, and without tool calls that would explain it.
    case missingContent(message: Int, role: String)
    /// The text of an assistant's turn could not be found in the rendered chat.
    case unclearSpan(template: String, message: Int, reason: String)

    init(_ fault: TemplateFault, template: String) {
        let line = fault.line ?? 1
        switch fault.kind {
        case .syntax(let reason): self = .syntax(template: template, line: line, reason: reason)
        case .unsupported(let construct): self = .unsupported(template: template, line: line, construct: construct)
        case .raised(let message): self = .refused(template: template, line: line, message: message)
        case .evaluation(let reason): self = .failed(template: template, line: line, reason: reason)
        case .limit(let limit): self = .limitExceeded(template: template, line: line, limit: limit)
        }
    }
}

extension ChatTemplateError: CustomStringConvertible, LocalizedError {
    public var errorDescription: String? { description }

    public var description: String {
        switch self {
        case .unreadableFile(let file, let reason): "\(file): cannot be read: \(reason)"
        case .invalidField(let file, let field, let expected, let found):
            "\(file): \(field): expected \(expected), found \(found)."
        case .noDefault(let template, let names):
            "\(template): there is no template named \"default\"; there are \(names.joined(separator: ", ")). Name the one to use."
        case .noSuchName(let template, let name, let names):
            "\(template): there is no template named \"\(name)\"; there are \(names.joined(separator: ", "))."
        case .syntax(let template, let line, let reason):
            "\(template), line \(line): \(reason). The chat template cannot be used until this is corrected."
        case .unsupported(let template, let line, let construct):
            "\(template), line \(line): \(construct) is not supported in chat templates. Render the chats elsewhere, and give their "
                + "text with the ranges that carry loss."
        case .refused(let template, let line, let message): "\(template), line \(line), refuses this chat: \(message)"
        case .failed(let template, let line, let reason):
            "\(template), line \(line): \(reason). The template expects other messages than these."
        case .limitExceeded(let template, let line, let limit):
            "\(template), line \(line): a chat template may use at most \(limit)."
        case .noMessages: "The chat has no messages. Give at least one."
        case .invalidMessage(let message, let field, let expected, let found):
            "messages[\(message)].\(field): expected \(expected), found \(found)."
        case .unsupportedPart(let message, let part, let kind):
            "messages[\(message)].content[\(part)]: expected a part of type \"text\", found \(kind). Only text can be attributed."
        case .missingContent(let message, let role):
            "messages[\(message)].content: expected a text for the role \"\(role)\", found null. Only an assistant's message with "
                + "tool_calls can do without one."
        case .unclearSpan(let template, let message, let reason):
            "\(template): the text of messages[\(message)] cannot be told apart in the rendered chat: \(reason). Put "
                + "{% generation %} marks into the template, or render the chats elsewhere and give the ranges that carry loss."
        }
    }
}
