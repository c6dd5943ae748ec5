import Sequences

extension Tokenizer {
    /// The tokens of a text, without those that the tokenizer adds around texts, and with loss on those that hold some of the given bytes.
    ///
    /// - Parameter spans: Ranges of bytes of the text's UTF-8 form, on the borders of characters.
    public func encode(_ text: String, withLossOn spans: [Range<Int>]) -> TrainingSequence {
        let bytes = Array(text.utf8)
        func border(_ offset: Int) -> (position: Int, isInside: Bool) {
            let joined = encodeJoined(
                prompt: String(decoding: bytes[..<offset], as: UTF8.self),
                completion: String(decoding: bytes[offset...], as: UTF8.self), addSpecialTokens: false)
            return (joined.completionStart, joined.completionStartsInsideToken)
        }
        let marked = spans.map { span in
            let end = border(span.upperBound)
            let first = border(span.lowerBound).position
            return first..<max(first, end.isInside ? end.position + 1 : end.position)
        }
        return TrainingSequence(tokens: encode(text, addSpecialTokens: false), loss: LossMask(marked))
    }
}
