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
    func tokenize(_ query: InfluenceQuery) throws -> TokenizedQuery { try read(query).tokenized }

    /// Writes a query's chats, tokenises it and checks that the model can read it.
    ///
    /// - Returns: The query with the texts that the model's chat template makes of its chats, and its tokens.
    /// - Throws: ``QueryError/unusable(field:reason:)``.
    func read(_ query: InfluenceQuery) throws -> (query: InfluenceQuery, tokenized: TokenizedQuery) {
        if let (field, reason) = query.refusal() { throw QueryError.unusable(field: field, reason: reason) }
        let query = try written(query)
        var parts = try zip(query.parts, query.shares).enumerated().map { index, part in
            try tokenize(part.0, share: part.1, path: query.path(ofPart: index), dropsTurns: query.dropTurns)
        }
        if let spans = query.spans { parts[0].measured = try tokens(of: spans, in: query, parts[0].completion) }
        let texts = try AdHocTexts.tokenize(query.candidates.texts ?? [], for: corpus.tokenization)
        return (query, TokenizedQuery(parts: parts, texts: texts))
    }

    private func tokenize(
        _ part: BehaviourPart, share: Double, path: String, dropsTurns: Bool
    ) throws -> TokenizedQuery.Part {
        let chat = part.messages.map { _ in dropsTurns }
        let completion = try tokenize(
            part.prompt, part.completion, path: path, field: chat == nil ? "completion" : "messages", ofChat: chat)
        let contrast = try part.contrast.map {
            try tokenize(part.prompt, $0, path: path, field: "contrast", ofChat: chat)
        }
        guard contrast?.tokens != completion.tokens else {
            throw QueryError.unusable(
                field: path + "contrast", reason: "its tokens are the same as those of the completion")
        }
        return TokenizedQuery.Part(completion: completion, contrast: contrast, share: share)
    }

    /// - Parameter dropsTurns: For a chat, whether its first turns were left out if it was too long; nil for other texts.
    private func tokenize(
        _ prompt: String, _ completion: String, path: String, field: String, ofChat dropsTurns: Bool?
    ) throws -> TokenizedContinuation {
        // A template writes the special tokens itself.
        let joined = tokenizer.encodeJoined(
            prompt: prompt, completion: completion, addSpecialTokens: dropsTurns == nil)
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
            let advice =
                switch dropsTurns {
                case nil: ""
                case false?: ". drop_turns leaves out as many of its first turns as it takes"
                case true?: ", and the last turn alone is too long as well"
                }
            throw QueryError.unusable(
                field: path + (count >= context || dropsTurns != nil ? field : "prompt"),
                reason: "prompt (\(joined.completionStart) tokens) and \(field) (\(count)) are longer than the "
                    + "model's context of \(context) tokens" + advice)
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
