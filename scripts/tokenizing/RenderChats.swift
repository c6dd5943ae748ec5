// Renders chats with chat templates, for scripts/check-templates.
//
//   RenderChats TOKENIZER CASES RESULTS
//
// TOKENIZER is a tokenizer.json. CASES has a JSON object per line: `template` (a file), `messages`, `tools`, `prompt` (whether the text
// ends with the start of an assistant's turn), `variables` (special tokens), `extra` (further variables) and `now` (the clock of the
// template, in seconds since 1970). RESULTS gets a JSON object per line: `text`, `spans` (in code points), `source` (how the spans were
// found), `ids` and `mask`; `unclear` instead of the last four where the assistant's turns are not found; or `error` and `kind` alone.

import Foundation

@main
struct RenderChats {
    static func main() throws {
        let arguments = CommandLine.arguments
        let tokenizer = try Tokenizer(contentsOf: URL(fileURLWithPath: arguments[1]))
        let cases = try String(contentsOfFile: arguments[2], encoding: .utf8).split(separator: "\n")
        var results = Data()
        let encoder = JSONEncoder()
        for line in cases {
            results += try encoder.encode(try result(of: try JSONReader.read(Array(line.utf8)), tokenizer))
            results += Data("\n".utf8)
        }
        try results.write(to: URL(fileURLWithPath: arguments[3]))
    }

    struct Result: Encodable {
        var text: String?
        var spans: [[Int]]?
        var source: String?
        var ids: [Int32]?
        var mask: [Bool]?
        var unclear: String?
        var error: String?
        var kind: String?
    }

    static func result(of tree: JSONTree, _ tokenizer: Tokenizer) throws -> Result {
        let path = string(tree["template"]) ?? ""
        var specials: [String: String] = [:]
        if case .object(let members)? = tree["variables"] {
            for member in members { specials[member.name] = string(member.value) }
        }
        let template = ChatTemplate(
            try String(contentsOfFile: path, encoding: .utf8), origin: (path as NSString).lastPathComponent,
            variables: specials)
        var options = ChatTemplate.Options()
        options.addsGenerationPrompt = tree["prompt"] == true
        if let tools = tree["tools"], tools != .null { options.tools = tools }
        if case .object(let members)? = tree["extra"] { options.variables = members }
        if case .number(let seconds)? = tree["now"] { options.now = Date(timeIntervalSince1970: Double(seconds) ?? 0) }
        var result = Result()
        do {
            guard case .array(let messages)? = tree["messages"] else { return result }
            let chat = try messages.enumerated().map { try ChatMessage($1, position: $0) }
            result.text = try template.text(of: chat, options)
            do {
                let rendered = try template.render(chat, options)
                let tokens = tokenizer.encode(rendered)
                result.spans = rendered.spans.map { [$0.scalars.lowerBound, $0.scalars.upperBound] }
                (result.source, result.ids, result.mask) = (rendered.source.rawValue, tokens.tokens, tokens.isAssistant)
            } catch {
                result.unclear = "\(error)"
            }
        } catch let error as ChatTemplateError {
            result.error = error.description
            result.kind = Mirror(reflecting: error).children.first?.label ?? "noMessages"
        }
        return result
    }

    static func string(_ tree: JSONTree?) -> String? {
        if case .string(let text)? = tree { text } else { nil }
    }
}
