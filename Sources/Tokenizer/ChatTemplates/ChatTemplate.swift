import Foundation
import JSON

/// The chat template of a checkpoint: how the messages of a chat become one text.
///
/// It is written in Jinja, and rendered as the `apply_chat_template` of transformers renders it, byte for byte. A template that cannot
/// be parsed does not stop a model from loading: its error is thrown when the template is first used.
public struct ChatTemplate: Sendable {
    /// Where the template comes from, for errors: a file's name, or a key.
    public let origin: String
    /// The variables besides messages and tools: special tokens by name, such as `bos_token`.
    public let variables: [String: String]
    private let variants: [Variant]
    /// Why no template could be read at all.
    private let failure: ChatTemplateError?
    private let limits: ChatTemplateLimits

    /// One of several templates with a name.
    private struct Variant: Sendable {
        let name: String
        let source: String
        let program: Result<TemplateProgram, ChatTemplateError>
    }

    /// A template that consists of one text.
    ///
    /// - Parameter variables: Special tokens by name, such as `bos_token`.
    public init(
        _ source: String, origin: String = "the chat template", variables: [String: String] = [:],
        limits: ChatTemplateLimits = ChatTemplateLimits()
    ) {
        self.init(named: [("default", source)], origin: origin, variables: variables, limits: limits)
    }

    /// Several templates with names, of which `tool_use` is for chats with tools and `default` for others.
    public init(
        named sources: [(name: String, source: String)], origin: String, variables: [String: String] = [:],
        limits: ChatTemplateLimits = ChatTemplateLimits()
    ) {
        self.origin = origin
        self.variables = variables
        self.limits = limits
        failure = nil
        variants = sources.map { name, source in
            let shown = sources.count == 1 ? origin : "\(origin) (\(name))"
            return Variant(
                name: name, source: source, program: TemplateProgram.parsed(source, origin: shown, limits: limits))
        }
    }

    /// A template that could not be read.
    init(failure: ChatTemplateError, origin: String) {
        self.origin = origin
        self.failure = failure
        (variables, variants, limits) = ([:], [], ChatTemplateLimits())
    }

    /// The names of the templates; one alone is named `default`.
    public var names: [String] { variants.map(\.name) }

    /// Throws what would keep the template from being used, if anything.
    ///
    /// - Throws: ``ChatTemplateError``.
    public func check() throws(ChatTemplateError) {
        if let failure { throw failure }
        for variant in variants { _ = try variant.program.get() }
    }

    /// The template for a chat.
    private func program(named name: String?, forTools: Bool) throws(ChatTemplateError) -> TemplateProgram {
        if let failure { throw failure }
        func variant(_ name: String) -> Variant? { variants.first { $0.name.hasSameBytes(as: name) } }
        if let name {
            guard let found = variant(name) else { throw .noSuchName(template: origin, name: name, names: names) }
            return try found.program.get()
        }
        guard let found = (forTools ? variant("tool_use") : nil) ?? variant("default") else {
            throw .noDefault(template: origin, names: names)
        }
        return try found.program.get()
    }

    /// What a rendering depends on besides the messages.
    public struct Options: Sendable {
        /// Whether the text ends with the start of an assistant's turn.
        public var addsGenerationPrompt = false
        /// A list of tools in JSON schema; nil for none.
        public var tools: JSONTree?
        /// The name of the template to use, where there are several; nil to choose by whether there are tools.
        public var template: String?
        /// Further variables of the template, such as `enable_thinking`.
        public var variables: [JSONTree.Member] = []
        /// The time that the template sees.
        public var now = Date()

        public init() {}
    }

    /// The text of a chat.
    ///
    /// - Throws: ``ChatTemplateError``.
    public func text(of messages: [ChatMessage], _ options: Options = Options()) throws(ChatTemplateError) -> String {
        let program = try program(named: options.template, forTools: options.tools != nil)
        return String(scalars: try rendering(of: messages, by: program, options).text)
    }

    /// The text of a chat, and where the assistant's turns are in it.
    ///
    /// A template with `{% generation %}` marks says it itself. Otherwise see ``AssistantSpanFinder``.
    ///
    /// - Throws: ``ChatTemplateError``; ``ChatTemplateError/unclearSpan(template:message:reason:)`` if a turn cannot be found.
    public func render(_ messages: [ChatMessage], _ options: Options = Options()) throws(ChatTemplateError)
        -> RenderedChat
    {
        let program = try program(named: options.template, forTools: options.tools != nil)
        let whole = try rendering(of: messages, by: program, options)
        let emptyTurns = messages.indices.filter { messages[$0].isEmptyTurn }
        if program.hasGenerationMarks {
            let turns = messages.indices.filter { messages[$0].isAssistant }
            let spans = whole.generations.enumerated().map { index, range in
                AssistantSpan(
                    message: turns.count == whole.generations.count ? turns[index] : nil, scalars: range)
            }
            return RenderedChat(scalars: whole.text, spans: spans, source: .marks, emptyTurns: emptyTurns)
        }
        var finder = AssistantSpanFinder(messages: messages, whole: whole.text, origin: program.origin) {
            messages, addsPrompt throws(ChatTemplateError) in
            var options = options
            options.addsGenerationPrompt = addsPrompt
            return try rendering(of: messages, by: program, options).text
        }
        let spans = try finder.spans()
        return RenderedChat(scalars: whole.text, spans: spans, source: finder.source, emptyTurns: emptyTurns)
    }

    private func rendering(
        of messages: [ChatMessage], by program: TemplateProgram, _ options: Options
    ) throws(ChatTemplateError) -> TemplateEvaluator.Rendering {
        guard !messages.isEmpty else { throw .noMessages }
        let evaluator = TemplateEvaluator(limits: limits, now: options.now)
        do {
            var values: [String: TemplateValue] = [:]
            for (name, value) in variables { values[name] = .text(value) }
            values["messages"] = try evaluator.value(of: .array(messages.map(\.tree)))
            values["tools"] = try evaluator.value(of: options.tools ?? .null)
            values["documents"] = TemplateValue.none
            values["add_generation_prompt"] = .boolean(options.addsGenerationPrompt)
            for member in options.variables { values[member.name] = try evaluator.value(of: member.value) }
            return try evaluator.render(program.statements, variables: values)
        } catch let fault as TemplateFault {
            throw ChatTemplateError(fault, template: program.origin)
        } catch {
            throw .failed(template: program.origin, line: evaluator.line, reason: "\(error)")
        }
    }
}

/// A parsed template.
struct TemplateProgram: Sendable {
    let origin: String
    let statements: [TemplateStatement]
    let hasGenerationMarks: Bool

    static func parsed(
        _ source: String, origin: String, limits: ChatTemplateLimits
    ) -> Result<TemplateProgram, ChatTemplateError> {
        do {
            let parsed = try TemplateParser.parse(source, limits: limits)
            return .success(
                TemplateProgram(
                    origin: origin, statements: parsed.statements, hasGenerationMarks: parsed.hasGenerationMarks))
        } catch let fault as TemplateFault {
            return .failure(ChatTemplateError(fault, template: origin))
        } catch {
            return .failure(.syntax(template: origin, line: 1, reason: "\(error)"))
        }
    }
}

extension TemplateEvaluator {
    /// A JSON value as the template sees it.
    func value(of tree: JSONTree, depth: Int = 0) throws -> TemplateValue {
        guard depth < limits.valueDepth else {
            throw TemplateFault.limit("\(limits.valueDepth) values within each other")
        }
        switch tree {
        case .null: return .none
        case .boolean(let value): return .boolean(value)
        case .string(let value): return try text(value)
        case .number(let digits):
            if let value = Int(digits) { return .integer(value) }
            let isWhole = digits.utf8.allSatisfy { (0x30...0x39).contains($0) || $0 == 0x2D }
            guard !isWhole, let value = Double(digits) else {
                throw TemplateFault.unsupported("the whole number \(tree.shown), which is beyond 64 bits,")
            }
            return .float(value)
        case .array(let elements):
            var values: [TemplateValue] = []
            values.reserveCapacity(elements.count)
            for element in elements { values.append(try value(of: element, depth: depth + 1)) }
            return try list(values)
        case .object(let members):
            var values: [(key: TemplateValue, value: TemplateValue)] = []
            values.reserveCapacity(members.count)
            for member in members { values.append((.text(member.name), try value(of: member.value, depth: depth + 1))) }
            return try dictionary(values)
        }
    }
}
