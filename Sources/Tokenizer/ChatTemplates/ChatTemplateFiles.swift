import Foundation
import JSON

/// Finds the chat template of a checkpoint folder, as transformers does.
///
/// `chat_template.jinja`, and further ones in the folder `chat_templates`, replace the `chat_template` of `tokenizer_config.json`. The
/// variables of a template are the special tokens that `tokenizer_config.json` names, and those of `special_tokens_map.json` that it
/// does not name.
struct ChatTemplateFiles {
    static let fileLimit = 16 << 20
    /// The special tokens that transformers gives to templates.
    static let variableNames = [
        "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
    ]

    let folder: URL

    /// The folder's template; nil if it has none. A template that cannot be read is one that throws when it is used.
    func template() -> ChatTemplate? {
        do {
            let configuration = try tree(of: "tokenizer_config.json")
            let files = try sourceFiles()
            guard let (sources, origin) = try files ?? configuration.flatMap({ try Self.sources(of: $0) }) else {
                return nil
            }
            return ChatTemplate(named: sources, origin: origin, variables: try variables(configuration))
        } catch let error as ChatTemplateError {
            return ChatTemplate(failure: error, origin: folder.lastPathComponent)
        } catch {
            return ChatTemplate(
                failure: .unreadableFile(folder.path, reason: "\(error)"), origin: folder.lastPathComponent)
        }
    }

    private typealias Sources = (sources: [(name: String, source: String)], origin: String)

    private func sourceFiles() throws -> Sources? {
        var sources: [(name: String, source: String)] = []
        if let text = try text(of: "chat_template.jinja") { sources.append(("default", text)) }
        let further =
            (try? FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent("chat_templates").path))
            ?? []
        for file in further.sorted() where file.hasSuffix(".jinja") {
            guard let text = try text(of: "chat_templates/\(file)") else { continue }
            sources.append((String(file.dropLast(".jinja".count)), text))
        }
        return sources.isEmpty ? nil : (sources, sources.count == 1 ? "chat_template.jinja" : "chat_templates")
    }

    /// The `chat_template` of a `tokenizer_config.json`: a text, or a list of texts with names.
    private static func sources(of configuration: JSONTree) throws -> Sources? {
        let (file, field) = ("tokenizer_config.json", "chat_template")
        switch configuration[field] {
        case nil, .null?: return nil
        case .string(let text)?: return ([("default", text)], "\(file): \(field)")
        case .array(let entries)?:
            var sources: [(name: String, source: String)] = []
            for (index, entry) in entries.enumerated() {
                guard case .string(let name)? = entry["name"], case .string(let source)? = entry["template"] else {
                    throw ChatTemplateError.invalidField(
                        file: file, field: "\(field)[\(index)]", expected: "an object with name and template",
                        found: entry.shown)
                }
                sources.append((name, source))
            }
            return sources.isEmpty ? nil : (sources, "\(file): \(field)")
        case let other?:
            throw ChatTemplateError.invalidField(
                file: file, field: field, expected: "a string or a list of named templates", found: other.shown)
        }
    }

    private func variables(_ configuration: JSONTree?) throws -> [String: String] {
        var variables: [String: String] = [:]
        for tree in [configuration, try tree(of: "special_tokens_map.json")] {
            for name in Self.variableNames where variables[name] == nil {
                switch tree?[name] {
                case .string(let token)?: variables[name] = token
                case let object?:
                    if case .string(let token)? = object["content"] { variables[name] = token }
                case nil: break
                }
            }
        }
        return variables
    }

    private func tree(of name: String) throws -> JSONTree? {
        guard let bytes = try bytes(of: name) else { return nil }
        do {
            return try JSONReader.read(bytes)
        } catch {
            throw ChatTemplateError.unreadableFile(name, reason: "\(error)")
        }
    }

    private func text(of name: String) throws -> String? {
        guard let bytes = try bytes(of: name) else { return nil }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ChatTemplateError.unreadableFile(name, reason: "it is not UTF-8")
        }
        return text
    }

    private func bytes(of name: String) throws -> [UInt8]? {
        let url = folder.appendingPathComponent(name)
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: url.resolvingSymlinksInPath().path)
        else { return nil }
        guard (attributes[.size] as? Int ?? 0) <= Self.fileLimit else {
            throw ChatTemplateError.unreadableFile(name, reason: "it has more than \(Self.fileLimit) bytes")
        }
        do {
            return [UInt8](try Data(contentsOf: url))
        } catch {
            throw ChatTemplateError.unreadableFile(name, reason: error.localizedDescription)
        }
    }
}

extension ChatTemplate {
    /// The template of a GGUF file; nil if it has none.
    init?(_ metadata: GGUFTokenizerMetadata, file: String) {
        guard !metadata.chatTemplates.isEmpty else { return nil }
        var variables: [String: String] = [:]
        let tokens = [
            ("bos_token", metadata.bosToken), ("eos_token", metadata.eosToken), ("unk_token", metadata.unknownToken),
        ]
        for (name, identifier) in tokens {
            guard let identifier, metadata.tokens.indices.contains(identifier) else { continue }
            variables[name] = metadata.tokens[identifier]
        }
        self.init(
            named: metadata.chatTemplates.map { ($0.name, $0.source) }, origin: "\(file): tokenizer.chat_template",
            variables: variables)
    }
}
