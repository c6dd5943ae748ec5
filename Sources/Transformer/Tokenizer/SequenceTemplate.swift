/// The tokens that the tokenizer's own files put around every sequence.
struct SequenceTemplate: Sendable, Equatable {
    var prefix: [Int32] = []
    var suffix: [Int32] = []

    /// Puts the prefix before `tokens`. What of its end the tokens already start with, because the text spelled it out,
    /// is not put there twice.
    func prefixed(_ tokens: [Int32]) -> [Int32] {
        for overlap in stride(from: min(prefix.count, tokens.count), to: 0, by: -1)
        where prefix.suffix(overlap) == tokens.prefix(overlap) {
            return prefix.dropLast(overlap) + tokens
        }
        return prefix + tokens
    }
}
