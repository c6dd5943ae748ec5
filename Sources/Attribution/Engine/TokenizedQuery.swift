import JSON
import Tokenizer
import Transformer

struct TokenizedQuery: Sendable {
    /// What is measured: one completion, or those of a behaviour.
    let parts: [Part]
    /// The tokens of each ad-hoc text, as the corpus would keep them.
    let texts: [[Int32]]

    /// A completion that is measured.
    struct Part: Sendable {
        let completion: TokenizedContinuation
        /// The completion with which it is contrasted.
        let contrast: TokenizedContinuation?
        /// If only parts of the completion are measured, the positions of their tokens in prompt and completion, ascending.
        var measured: [Int]?
        /// The factor of its measurement in the query's.
        let share: Double

        /// The tokens of the completion and the contrast.
        var completions: [Int32] { Array(completion.completion) + (contrast?.completion ?? []) }
    }

    /// The tokens of all completions and contrasts.
    var completions: [Int32] { parts.flatMap(\.completions) }
    /// The tokens of all prompts, completions and contrasts.
    var tokens: [Int32] {
        parts.flatMap { $0.completion.tokens[..<$0.completion.completionStart] + $0.completions }
    }
    /// Each token of a completion or contrast with the token before it.
    var pairs: [LexicalOverlap.Pair] { parts.flatMap { $0.completion.pairs + ($0.contrast?.pairs ?? []) } }
}

/// A prompt and a completion of it, as the model reads them.
struct TokenizedContinuation: Sendable {
    /// The tokens of the prompt and then of the completion.
    let tokens: [Int32]
    let completionStart: Int
    let completionStartsInsideToken: Bool

    var completion: ArraySlice<Int32> { tokens[completionStart...] }

    /// Each token of the completion with the token before it.
    var pairs: [LexicalOverlap.Pair] {
        (max(completionStart, 1)..<max(tokens.count, 1)).map { .init(first: tokens[$0 - 1], second: tokens[$0]) }
    }
}

extension InfluenceEngine {
    /// Tokenises a query and checks that the model can read it.
    ///
    /// - Throws: ``QueryError/unusable(field:reason:)``.
    func tokenize(_ query: InfluenceQuery) throws -> TokenizedQuery {
        if let (field, reason) = query.refusal() { throw QueryError.unusable(field: field, reason: reason) }
        let query = try written(query)
        var parts = try zip(query.parts, query.shares).enumerated().map { index, part in
            try tokenize(
                part.0, share: part.1, path: query.behaviour == nil ? "" : "measurement[\(index)].",
                isChat: query.messages != nil)
        }
        if let spans = query.spans { parts[0].measured = try tokens(of: spans, in: query, parts[0].completion) }
        return TokenizedQuery(
            parts: parts, texts: try AdHocTexts.tokenize(query.candidates.texts ?? [], for: corpus.tokenization))
    }

    /// The query with the texts that the model's chat template writes, if it is about a chat.
    ///
    /// - Throws: ``QueryError/unusable(field:reason:)``.
    func written(_ query: InfluenceQuery) throws -> InfluenceQuery {
        guard let messages = query.messages else { return query }
        let chat: RenderedChat
        do {
            chat = try tokenizer.render(messages)
        } catch {
            throw QueryError.unusable(field: "messages", reason: "\(error)")
        }
        guard messages.last?["role"] == .string("assistant"), let span = chat.byteSpans.last, !span.isEmpty else {
            throw QueryError.unusable(
                field: "messages",
                reason: "expected an assistant's message at the end, with the completion as its content")
        }
        let bytes = Array(chat.text.utf8)
        var written = query
        written.prompt = String(decoding: bytes[..<span.lowerBound], as: UTF8.self)
        written.completion = String(decoding: bytes[span], as: UTF8.self)
        return written
    }

    private func tokenize(
        _ part: BehaviourPart, share: Double, path: String, isChat: Bool
    ) throws -> TokenizedQuery.Part {
        let completion = try tokenize(
            part.prompt, part.completion, path: path, field: isChat ? "messages" : "completion", isChat: isChat)
        let contrast = try part.contrast.map {
            try tokenize(part.prompt, $0, path: path, field: "contrast", isChat: false)
        }
        guard contrast?.tokens != completion.tokens else {
            throw QueryError.unusable(
                field: path + "contrast", reason: "its tokens are the same as those of the completion")
        }
        return TokenizedQuery.Part(completion: completion, contrast: contrast, share: share)
    }

    private func tokenize(
        _ prompt: String, _ completion: String, path: String, field: String, isChat: Bool
    ) throws -> TokenizedContinuation {
        // A template writes the special tokens itself.
        let joined = tokenizer.encodeJoined(prompt: prompt, completion: completion, addSpecialTokens: !isChat)
        let context = decoder.description.contextLength
        guard joined.completionStart < joined.tokens.count else {
            throw QueryError.unusable(field: path + field, reason: "it adds no token to the prompt")
        }
        guard joined.completionStart > 0 else {
            throw QueryError.unusable(
                field: path + "prompt",
                reason: "the tokenizer joins all of it into the completion's first token, so that no token remains "
                    + "from which to predict that one: lengthen the prompt")
        }
        guard joined.tokens.count <= context else {
            let count = joined.tokens.count - joined.completionStart
            throw QueryError.unusable(
                field: path + (count >= context || isChat ? field : "prompt"),
                reason: "prompt (\(joined.completionStart) tokens) and \(field) (\(count)) are longer than the "
                    + "model's context of \(context) tokens")
        }
        return TokenizedContinuation(
            tokens: joined.tokens, completionStart: joined.completionStart,
            completionStartsInsideToken: joined.completionStartsInsideToken)
    }

    /// The positions in prompt and completion, ascending, of the tokens that hold at least a part of one of the spans.
    private func tokens(
        of spans: [CompletionSpan], in query: InfluenceQuery, _ whole: TokenizedContinuation
    ) throws -> [Int] {
        if let fault = spans.fault(in: query.completion) {
            throw QueryError.unusable(field: "spans", reason: fault)
        }
        let scalars = query.completion.unicodeScalars
        // Prompt and completion have the same tokens together wherever the completion starts in them.
        func token(at offset: Int) -> (position: Int, isInside: Bool) {
            let joined = tokenizer.encodeJoined(
                prompt: query.prompt + String(scalars.prefix(offset)), completion: String(scalars.dropFirst(offset)),
                addSpecialTokens: query.messages == nil)
            return (joined.completionStart, joined.completionStartsInsideToken)
        }
        var measured: Set<Int> = []
        for (index, span) in spans.enumerated() {
            let first = max(token(at: span.start).position, whole.completionStart)
            let (position, isInside) = token(at: span.end)
            let end = min(isInside ? position + 1 : position, whole.tokens.count)
            guard first < end else {
                throw QueryError.unusable(field: "spans[\(index)]", reason: "the tokenizer makes no token of it")
            }
            measured.formUnion(first..<end)
        }
        return measured.sorted()
    }
}
