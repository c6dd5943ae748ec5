/// Reads the normalizer, pre-tokenizer, post-processor and decoder of a `tokenizer.json`.
///
/// ``TokenizerFileWriter`` writes them.
struct TokenizerComponents {
    let file: String

    // MARK: Normalizer

    func normalizer(
        _ component: TokenizerFile.Component?, field: String = "normalizer"
    ) throws(TokenizerError) -> Normalizer {
        guard let component else { return .none }
        switch component.type {
        case "NFC":
            return .nfc
        case "Prepend":
            guard let start = component.prepend else { throw missing("\(field).prepend") }
            return Normalizer(steps: start.isEmpty ? [] : [.prepend(start)])
        case "Replace":
            guard let content = component.content else { throw missing("\(field).content") }
            return Normalizer(steps: [.replace(try literal(component, field: field), by: content)])
        case "Sequence":
            var steps: [Normalizer.Step] = []
            for (index, part) in (component.normalizers ?? []).enumerated() {
                let added = try normalizer(part, field: "\(field).normalizers[\(index)]").steps
                // Composing twice has no effect beyond composing once.
                steps += added == [.nfc] && steps.last == .nfc ? [] : added
            }
            return Normalizer(steps: steps)
        default:
            throw unsupported(
                field, found: component.type,
                supported: ["none", "NFC", "Prepend", "Replace of a string", "a Sequence of these"])
        }
    }

    /// The string that a Replace or Split looks for.
    private func literal(_ component: TokenizerFile.Component, field: String) throws(TokenizerError) -> String {
        if let expression = component.pattern?.regex {
            throw unsupported("\(field).pattern.Regex", found: expression, supported: ["a String"])
        }
        guard let pattern = component.pattern?.string, !pattern.isEmpty else {
            throw missing("\(field).pattern.String")
        }
        return pattern
    }

    // MARK: Pre-tokenizer

    private static let preTokenizers = [
        "none or Metaspace, followed by any Split at a string",
        "ByteLevel after any Digits, Split at a string and Split by the pattern of GPT-2, Llama 3 or Qwen 2",
        "a Sequence of these",
    ]

    func preTokenizer(_ component: TokenizerFile.Component?) throws(TokenizerError) -> PreTokenizer {
        let field = "pre_tokenizer"
        guard let component else { return PreTokenizer(stages: []) }
        let parts = try parts(component, field: field)
        var metaspace: Metaspace?
        var stages: [PreTokenizer.Stage] = []
        for part in parts {
            switch part {
            case .metaspace(let found):
                guard metaspace == nil, stages.isEmpty else {
                    throw unsupported(field, found: "a Metaspace after another stage", supported: Self.preTokenizers)
                }
                metaspace = found
            case .stage(let stage):
                // A byte-level stage rewrites the text in another alphabet, in which later stages would find other words.
                if case .byteLevel = stages.last {
                    throw unsupported(field, found: "a ByteLevel stage before the end", supported: Self.preTokenizers)
                }
                stages.append(stage)
            }
        }
        let result = PreTokenizer(metaspace: metaspace, stages: stages)
        let onlyLiterals = stages.allSatisfy { if case .literal = $0 { true } else { false } }
        guard result.endsInByteLevel ? metaspace == nil : onlyLiterals else {
            let found = metaspace == nil ? "a pre-tokenizer without ByteLevel" : "Metaspace with other stages"
            throw unsupported(field, found: found, supported: Self.preTokenizers)
        }
        return result
    }

    private enum Part {
        case metaspace(Metaspace)
        case stage(PreTokenizer.Stage)
    }

    private func parts(_ component: TokenizerFile.Component, field: String) throws(TokenizerError) -> [Part] {
        switch component.type {
        case "Sequence":
            var parts: [Part] = []
            for (index, part) in (component.preTokenizers ?? []).enumerated() {
                parts += try self.parts(part, field: "\(field).pretokenizers[\(index)]")
            }
            return parts
        case "Metaspace":
            return [.metaspace(try metaspace(component, field: field))]
        case "ByteLevel":
            guard let addsPrefixSpace = component.addPrefixSpace else { throw missing("\(field).add_prefix_space") }
            return [.stage(.byteLevel(addsPrefixSpace: addsPrefixSpace, splits: component.useRegex ?? true))]
        case "Digits":
            guard let individually = component.individualDigits else { throw missing("\(field).individual_digits") }
            return [.stage(.digits(individually: individually))]
        case "Split":
            return [.stage(try split(component, field: field))]
        default:
            throw unsupported(field, found: component.type, supported: Self.preTokenizers)
        }
    }

    private func metaspace(_ component: TokenizerFile.Component, field: String) throws(TokenizerError) -> Metaspace {
        let scheme = component.prependScheme ?? "always"
        guard let prefix = Metaspace.Prefix(rawValue: scheme) else {
            throw .invalidField(
                file: file, field: "\(field).prepend_scheme", expected: "\"always\", \"first\" or \"never\"",
                found: "\"\(scheme)\"")
        }
        // The older add_prefix_space is allowed beside the scheme if the two agree.
        if component.addPrefixSpace == false, prefix != .never {
            throw .invalidField(
                file: file, field: "\(field).prepend_scheme", expected: "\"never\", as add_prefix_space is false",
                found: "\"\(scheme)\"")
        }
        return Metaspace(
            replacement: try replacement(component, field: field), prefix: prefix, startsWords: component.split ?? true)
    }

    private func replacement(
        _ component: TokenizerFile.Component, field: String
    ) throws(TokenizerError) -> Unicode.Scalar {
        guard let replacement = component.replacement else { throw missing("\(field).replacement") }
        guard let scalar = replacement.unicodeScalars.first, replacement.unicodeScalars.count == 1 else {
            throw .invalidField(
                file: file, field: "\(field).replacement", expected: "one character", found: "\"\(replacement)\"")
        }
        return scalar
    }

    private func split(
        _ component: TokenizerFile.Component, field: String
    ) throws(TokenizerError) -> PreTokenizer.Stage {
        let inverts = component.invert ?? false
        let found = "Split with behavior \(component.behavior ?? "null") and invert \(inverts)"
        guard let expression = component.pattern?.regex else {
            let pattern = try literal(component, field: field)
            guard let behavior = component.behavior.flatMap(LiteralSplit.Behavior.init), !inverts else {
                throw unsupported(
                    field, found: found,
                    supported: ["Isolated, MergedWithPrevious, MergedWithNext and Contiguous with invert false"])
            }
            return .literal(LiteralSplit(pattern: pattern, behavior: behavior))
        }
        guard let pattern = SplitPattern(expression) else {
            throw unsupported(
                "\(field).pattern.Regex", found: expression, supported: SplitPattern.allCases.map(\.rawValue))
        }
        // The patterns match all text, so keeping the matches and cutting at them give the same words.
        switch (component.behavior, inverts) {
        case ("Isolated", false), ("Removed", true):
            return .split(pattern)
        default:
            throw unsupported(
                field, found: found, supported: ["Isolated with invert false", "Removed with invert true"])
        }
    }

    // MARK: Post-processor

    func template(
        _ component: TokenizerFile.Component?, field: String = "post_processor", isAssigned: (Int) -> Bool
    ) throws(TokenizerError) -> SequenceTemplate {
        switch component?.type {
        case nil, "ByteLevel":
            return SequenceTemplate()
        case "Sequence":
            var template = SequenceTemplate()
            for (index, part) in (component?.processors ?? []).enumerated() {
                let outer = try self.template(part, field: "\(field).processors[\(index)]", isAssigned: isAssigned)
                template.prefix = outer.prefix + template.prefix
                template.suffix += outer.suffix
            }
            return template
        case "TemplateProcessing":
            return try singleTemplate(component, field: field, isAssigned: isAssigned)
        case let type?:
            throw unsupported(
                field, found: type, supported: ["none", "ByteLevel", "TemplateProcessing", "a Sequence of these"])
        }
    }

    private func singleTemplate(
        _ component: TokenizerFile.Component?, field: String, isAssigned: (Int) -> Bool
    ) throws(TokenizerError) -> SequenceTemplate {
        guard let items = component?.single else { throw missing("\(field).single") }
        var template = SequenceTemplate()
        var sequences = 0
        for (index, item) in items.enumerated() {
            if let name = item.specialToken?.id {
                // A dictionary also finds names that differ only in their Unicode normalization form.
                guard let token = component?.specialTokens?[name], (token.id ?? name).utf8.elementsEqual(name.utf8)
                else {
                    throw missing("\(field).special_tokens.\(name)")
                }
                let identifiers = token.ids
                guard identifiers.allSatisfy(isAssigned) else {
                    throw .unknownToken(file: file, field: "\(field).special_tokens.\(name).ids", token: name)
                }
                let tokens = identifiers.map { Int32(truncatingIfNeeded: $0) }
                if sequences == 0 { template.prefix += tokens } else { template.suffix += tokens }
            } else if item.sequence?.id == "A" {
                sequences += 1
            } else {
                throw .invalidField(
                    file: file, field: "\(field).single[\(index)]", expected: "a special token or the sequence A",
                    found: "neither")
            }
        }
        guard sequences == 1 else {
            throw .invalidField(
                file: file, field: "\(field).single", expected: "the sequence A once", found: "it \(sequences) times")
        }
        return template
    }

    // MARK: Decoder

    /// How tokens are written, as the decoder implies.
    func spelling(
        _ component: TokenizerFile.Component?, preTokenizer: PreTokenizer
    ) throws(TokenizerError) -> TokenSpelling {
        let field = "decoder"
        let parts = component?.type == "Sequence" ? component?.decoders ?? [] : [component].compactMap(\.self)
        let types = parts.map(\.type)
        if preTokenizer.endsInByteLevel {
            guard types == ["ByteLevel"] else {
                throw unsupported(
                    field, found: component == nil ? "null" : types.joined(separator: ", "),
                    supported: ["ByteLevel, as in pre_tokenizer", "a Sequence of one ByteLevel"])
            }
            return .byteLevel
        }
        var space: Unicode.Scalar?
        for (index, part) in parts.enumerated() {
            let field = component?.type == "Sequence" ? "\(field).decoders[\(index)]" : field
            switch part.type {
            case "ByteFallback", "Fuse":
                break
            case "Strip" where part.content == " ":
                break
            case "Replace" where part.content == " " && part.pattern?.string?.unicodeScalars.count == 1:
                space = part.pattern?.string?.unicodeScalars.first
            case "Metaspace":
                space = try replacement(part, field: field)
            default:
                throw unsupported(
                    field, found: part.type,
                    supported: ["Replace of one character by a space, ByteFallback, Fuse, Strip of spaces, Metaspace"])
            }
        }
        return .characters(space: space)
    }

    private func missing(_ field: String) -> TokenizerError { .missingField(file: file, field: field) }

    private func unsupported(_ field: String, found: String, supported: [String]) -> TokenizerError {
        .unsupported(file: file, field: field, found: found, supported: supported)
    }
}

extension PreTokenizer {
    /// Whether the model receives words in the byte-level alphabet.
    var endsInByteLevel: Bool {
        if case .byteLevel = stages.last { true } else { false }
    }
}
