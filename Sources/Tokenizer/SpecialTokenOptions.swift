/// What a `tokenizer_config.json` says of the tokens around a text, beside the template of `tokenizer.json`.
///
/// Most classes of Hugging Face transformers follow the template and nothing else. Five made another one of `add_bos_token`
/// and `add_eos_token` in transformers 4. In transformers 5 three of them follow the template, and two
/// (`CodeLlamaTokenizer`, `GPTNeoXTokenizer`) put their defaults there whatever the files say. So the template is what counts
/// here; where the options of such a class contradict it, neither file says what the model was trained with, and they are
/// refused.
struct SpecialTokenOptions {
    private let file: String
    /// Without the ending `Fast`; nil where the file names none.
    private let tokenizerClass: String?
    private var addsBos: Bool?
    private var addsEos: Bool?

    /// - Parameter file: The name of the `tokenizer.json`, for errors.
    init(_ configuration: TokenizerConfigurationFile?, file: String) {
        self.file = file
        tokenizerClass = configuration?.tokenizerClass.map { name in
            name.utf8.suffix(4).elementsEqual("Fast".utf8) ? String(name.unicodeScalars.dropLast(4)) : name
        }
        addsBos = configuration?.addBosToken
        addsEos = configuration?.addEosToken
        switch tokenizerClass {
        case nil, "LlamaTokenizer", "GemmaTokenizer", "CohereTokenizer":
            // Without a class, transformers 4 took the one of the model's family.
            break
        case "CodeLlamaTokenizer":
            addsBos = addsBos ?? true
            addsEos = addsEos ?? false
        case "GPTNeoXTokenizer":
            addsBos = addsBos ?? false
            addsEos = addsEos ?? false
        default:
            (addsBos, addsEos) = (nil, nil)
        }
    }

    /// - Throws: ``TokenizerError/contradictoryTemplate(file:field:value:tokenizerClass:puts:)``
    func check(against template: SequenceTemplate, bos: Int32?, eos: Int32?) throws(TokenizerError) {
        try check("add_bos_token", addsBos, token: bos, against: template.prefix, place: "before")
        try check("add_eos_token", addsEos, token: eos, against: template.suffix, place: "behind")
    }

    private func check(
        _ field: String, _ value: Bool?, token: Int32?, against found: [Int32], place: String
    ) throws(TokenizerError) {
        guard let value else { return }
        let agrees = value ? token.map { found == [$0] } ?? false : found.isEmpty
        guard !agrees else { return }
        throw .contradictoryTemplate(
            file: file, field: field, value: value, tokenizerClass: tokenizerClass,
            puts: (found.isEmpty ? "nothing" : "the tokens \(found)") + " \(place) a text")
    }
}
