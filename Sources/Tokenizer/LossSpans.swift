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

extension Tokenizer {
    /// The tokens of a rendered chat: special tokens in its text become those tokens, and the tokenizer adds none of its own, because
    /// the template has written them.
    ///
    /// A token counts as the assistant's if it holds any of an assistant's span, as in the `return_assistant_tokens_mask` of
    /// transformers.
    ///
    /// - Complexity: Two encodings of the text for each span.
    public func encode(_ chat: RenderedChat) -> ChatTokens {
        let sequence = encode(chat.text, withLossOn: chat.byteSpans)
        return ChatTokens(tokens: sequence.tokens, isAssistant: sequence.tokens.indices.map { sequence.loss[$0] })
    }
}
