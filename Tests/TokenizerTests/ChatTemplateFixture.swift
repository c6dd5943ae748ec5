import Foundation
import JSON
import Testing

@testable import Tokenizer

/// What transformers makes of chats with templates (`scripts/fixtures/chat_templates.py`).
struct ChatTemplateFixture {
    struct Small: Sendable, CustomTestStringConvertible {
        let template: String
        /// Nil where Jinja refuses the template.
        let text: String?
        var testDescription: String { template }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let template: String
        let chat: String
        let hasTools: Bool
        let hasPrompt: Bool
        let text: String?
        let error: String?
        /// Ids and assistant mask by the name of a tokenizer's fixture.
        let tokens: [String: (ids: [Int32], mask: [Bool])]
        var testDescription: String { "\(template), \(chat)\(hasTools ? ", tools" : "")\(hasPrompt ? ", prompt" : "")" }
    }

    static let shared = ChatTemplateFixture()

    let variables: [JSONTree.Member]
    let small: [Small]
    let cases: [Case]
    private let tree: JSONTree

    private init() {
        let url = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("Fixtures/chat-templates.json")
        tree = (try? JSONReader.read([UInt8](Data(contentsOf: url)))) ?? .null
        variables = Self.members(tree["variables"])
        small = Self.elements(tree["small"]).map {
            Small(template: Self.text($0["template"]) ?? "", text: Self.text($0["text"]))
        }
        cases = Self.elements(tree["cases"]).map { entry in
            var tokens: [String: (ids: [Int32], mask: [Bool])] = [:]
            for member in Self.members(entry["tokens"]) {
                tokens[member.name] = (
                    Self.numbers(member.value["ids"]), Self.numbers(member.value["mask"]).map { $0 == 1 }
                )
            }
            return Case(
                template: Self.text(entry["template"]) ?? "", chat: Self.text(entry["chat"]) ?? "",
                hasTools: entry["tools"] == true, hasPrompt: entry["prompt"] == true, text: Self.text(entry["text"]),
                error: Self.text(entry["error"]), tokens: tokens)
        }
    }

    /// The time of the fixture's clock.
    static let now: Date = {
        var parts = DateComponents()
        (parts.year, parts.month, parts.day, parts.hour, parts.minute, parts.second) = (2023, 11, 14, 12, 13, 20)
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = .current
        return calendar.date(from: parts) ?? Date()
    }()

    func source(_ name: String) -> String { Self.text(tree["templates"]?[name]) ?? "" }

    func template(_ name: String) -> ChatTemplate {
        var specials: [String: String] = [:]
        for member in Self.members(tree["specials"]) { specials[member.name] = Self.text(member.value) }
        return ChatTemplate(source(name), origin: name, variables: specials)
    }

    func messages(_ chat: String) throws -> [ChatMessage] {
        try Self.elements(tree["chats"]?[chat]).enumerated().map { try ChatMessage($1, position: $0) }
    }

    func options(of entry: Case) -> ChatTemplate.Options {
        var options = ChatTemplate.Options()
        options.addsGenerationPrompt = entry.hasPrompt
        options.tools = entry.hasTools ? tree["tools"] : nil
        options.now = Self.now
        return options
    }

    private static func elements(_ tree: JSONTree?) -> [JSONTree] {
        if case .array(let elements)? = tree { elements } else { [] }
    }

    private static func members(_ tree: JSONTree?) -> [JSONTree.Member] {
        if case .object(let members)? = tree { members } else { [] }
    }

    private static func text(_ tree: JSONTree?) -> String? {
        if case .string(let text)? = tree { text } else { nil }
    }

    private static func numbers(_ tree: JSONTree?) -> [Int32] {
        elements(tree).compactMap { if case .number(let digits) = $0 { Int32(digits) } else { nil } }
    }
}
