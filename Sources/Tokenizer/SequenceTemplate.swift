/// The tokens that the tokenizer's own files put around every sequence.
///
/// A text that spells them out itself, at its start or its end, does not get them twice. (Hugging Face tokenizers puts them
/// there all the same.)
struct SequenceTemplate: Sendable, Equatable {
    var prefix: [Int32] = []
    var suffix: [Int32] = []

    var isEmpty: Bool { prefix.isEmpty && suffix.isEmpty }

    /// The tokens of a text that follow the prefix: all except what the text itself spells of the prefix's end.
    func behindPrefix(_ tokens: [Int32]) -> ArraySlice<Int32> {
        for overlap in stride(from: min(prefix.count, tokens.count), to: 0, by: -1)
        where prefix.suffix(overlap) == tokens.prefix(overlap) {
            return tokens.dropFirst(overlap)
        }
        return tokens[...]
    }

    /// What has to be put behind `tokens`: the suffix, except what they already end with.
    func missingSuffix(of tokens: ArraySlice<Int32>) -> ArraySlice<Int32> {
        for overlap in stride(from: min(suffix.count, tokens.count), to: 0, by: -1)
        where suffix.prefix(overlap) == tokens.suffix(overlap) {
            return suffix.dropFirst(overlap)
        }
        return suffix[...]
    }
}
