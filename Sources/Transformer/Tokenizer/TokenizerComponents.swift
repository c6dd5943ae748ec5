/// What the stages around the model are, as a `tokenizer.json` names them.
///
/// The counterpart that writes them is ``TokenizerFileWriter``.
struct TokenizerComponents {
    let file: String

    // MARK: Normalizer

    func normalizer(
        _ component: TokenizerFile.Component?, field: String = "normalizer"
    ) throws(TokenizerError) -> Normalizer {
        switch component?.type {
        case nil:
            return .none
        case "NFC":
            return .nfc
        case "Sequence":
            var normalizer = Normalizer.none
            for (index, part) in (component?.normalizers ?? []).enumerated() {
                // Composing twice is composing once.
                if try self.normalizer(part, field: "\(field).normalizers[\(index)]") == .nfc { normalizer = .nfc }
            }
            return normalizer
        case let type?:
            throw unsupported(field, found: type, supported: ["none", "NFC", "a Sequence of these"])
        }
    }

    // MARK: Pre-tokenizer

    private static let preTokenizers = [
        "ByteLevel", "Digits and ByteLevel", "Split by the pattern of GPT-2, Llama 3 or Qwen 2 and ByteLevel",
        "a Sequence of these that ends in its one ByteLevel",
    ]

    func preTokenizer(_ component: TokenizerFile.Component?) throws(TokenizerError) -> PreTokenizer {
        let field = "pre_tokenizer"
        guard let component else { throw unsupported(field, found: "null", supported: Self.preTokenizers) }
        let stages = try stages(component, field: field)
        let byteLevels = stages.indices.filter { if case .byteLevel = stages[$0] { true } else { false } }
        // After a byte-level stage the text is written in another alphabet, in which later stages would find other words.
        guard byteLevels == [stages.count - 1] else {
            let found = byteLevels.isEmpty ? "a pre-tokenizer without ByteLevel" : "a ByteLevel stage before the end"
            throw unsupported(field, found: found, supported: Self.preTokenizers)
        }
        return PreTokenizer(stages: stages)
    }

    private func stages(
        _ component: TokenizerFile.Component, field: String
    ) throws(TokenizerError) -> [PreTokenizer.Stage] {
        switch component.type {
        case "Sequence":
            var stages: [PreTokenizer.Stage] = []
            for (index, part) in (component.preTokenizers ?? []).enumerated() {
                stages += try self.stages(part, field: "\(field).pretokenizers[\(index)]")
            }
            return stages
        case "ByteLevel":
            guard let addsPrefixSpace = component.addPrefixSpace else {
                throw .missingField(file: file, field: "\(field).add_prefix_space")
            }
            return [.byteLevel(addsPrefixSpace: addsPrefixSpace, splits: component.useRegex ?? true)]
        case "Digits":
            guard let individually = component.individualDigits else {
                throw .missingField(file: file, field: "\(field).individual_digits")
            }
            return [.digits(individually: individually)]
        case "Split":
            return [.split(try pattern(component, field: field))]
        default:
            throw unsupported(field, found: component.type, supported: Self.preTokenizers)
        }
    }

    private func pattern(_ component: TokenizerFile.Component, field: String) throws(TokenizerError) -> SplitPattern {
        guard let expression = component.pattern?.regex else {
            let string = component.pattern?.string
            throw unsupported(
                "\(field).pattern", found: string.map { "the string \"\($0)\"" } ?? "no pattern",
                supported: ["the regular expressions of GPT-2, Llama 3 and Qwen 2"])
        }
        guard let pattern = SplitPattern(expression) else {
            throw unsupported(
                "\(field).pattern.Regex", found: expression, supported: SplitPattern.allCases.map(\.rawValue))
        }
        // The patterns match everything, so that keeping the matches is all the same as cutting at them.
        switch (component.behavior, component.invert ?? false) {
        case ("Isolated", false), ("Removed", true):
            return pattern
        case (let behavior, let invert):
            throw unsupported(
                field, found: "Split with behavior \(behavior ?? "null") and invert \(invert)",
                supported: ["Isolated with invert false", "Removed with invert true"])
        }
    }

    // MARK: Post-processor and decoder

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
        guard let items = component?.single else { throw .missingField(file: file, field: "\(field).single") }
        var template = SequenceTemplate()
        var sequences = 0
        for (index, item) in items.enumerated() {
            if let name = item.specialToken?.id {
                guard let identifiers = component?.specialTokens?[name]?.ids else {
                    throw .missingField(file: file, field: "\(field).special_tokens.\(name)")
                }
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

    func checkDecoder(
        _ component: TokenizerFile.Component?, field: String = "decoder"
    ) throws(TokenizerError) {
        let supported = ["ByteLevel", "a Sequence of one ByteLevel"]
        switch component?.type {
        case "ByteLevel":
            return
        case "Sequence":
            guard let parts = component?.decoders, parts.count == 1 else {
                throw unsupported(field, found: "a Sequence of more or less than one", supported: supported)
            }
            try checkDecoder(parts[0], field: "\(field).decoders[0]")
        case let type:
            throw unsupported(field, found: type ?? "null", supported: supported)
        }
    }

    private func unsupported(_ field: String, found: String, supported: [String]) -> TokenizerError {
        .unsupported(file: file, field: field, found: found, supported: supported)
    }
}
