import Files
import Foundation
import Synchronization

/// A byte-pair tokenizer, at byte level or of characters with byte fallback as SentencePiece's, giving the ids that Hugging
/// Face tokenizers give for the same `tokenizer.json`.
///
/// Added tokens are found first; what lies between them passes four stages, each a type of its own: `Normalizer`,
/// `PreTokenizer`, the model (`BytePairModel`) and, around the whole, `SequenceTemplate`. Every text can be encoded, and
/// decoding gives it back, but for a normalizer's changes, a prefix space, and the few control characters that some
/// vocabularies lack. May be used from several threads at once.
///
/// Truncation and padding set in the file are not followed: a sequence's length is its user's business.
public final class Tokenizer: Sendable {
    /// One more than the highest token id.
    public let vocabularyCount: Int
    /// The token that starts a text; nil where the files name none.
    public var bosToken: Int32? { description.bosToken }
    /// The token that ends a text; nil where the files name none.
    public var eosToken: Int32? { description.eosToken }
    /// The tokens that the files put before every sequence: none for most, BOS for some.
    public var prefixTokens: [Int32] { description.template.prefix }
    /// The tokens that the files put after every sequence.
    public var suffixTokens: [Int32] { description.template.suffix }
    /// SHA-256, in hexadecimal, of all that determines a text's ids, however the files spell it.
    public let digest: String

    let description: TokenizerDescription

    /// What tokens are made of, as people call it.
    public var kind: String {
        switch description.spelling {
        case .byteLevel: "byte-level BPE"
        case .characters: "BPE of characters with byte fallback"
        }
    }
    private let model: BytePairModel
    /// Tokens looked for in the text as it came, and in the normalized text.
    private let addedTokens: AddedTokenMatcher
    private let normalizedAddedTokens: AddedTokenMatcher
    /// The bytes that each id stands for.
    private let decoded: DecodedTokens
    /// What encoding needs besides, none larger than a few megabytes; as many as were ever in use at once.
    private let idle = Mutex<[Scratch]>([])

    private struct Scratch: Sendable {
        var words = PreTokenizer.Words()
        var model = BytePairModel.Scratch()
    }

    /// Reads a tokenizer.
    ///
    /// - Parameter url: A checkpoint folder, or a `tokenizer.json`; a `tokenizer_config.json` beside it is read too.
    /// - Throws: ``TokenizerError``, naming file and field, where a file is missing or broken, or asks for what is not
    ///   followed here.
    public convenience init(contentsOf url: URL) throws(TokenizerError) {
        self.init(try TokenizerLoader.description(contentsOf: url))
    }

    init(_ description: TokenizerDescription) {
        self.description = description
        vocabularyCount = description.identifierCount
        digest = description.digest
        decoded = DecodedTokens(description)
        model = BytePairModel(description)
        let plain = description.addedTokens.filter { !$0.isNormalized }
        addedTokens = AddedTokenMatcher(plain, contents: plain.map { Array($0.content.utf8) })
        let normalized = description.addedTokens.filter(\.isNormalized)
        normalizedAddedTokens = AddedTokenMatcher(
            normalized,
            contents: normalized.map { token in
                description.normalizer.normalized(token.content.utf8Span.span) ?? Array(token.content.utf8)
            })
    }

    // MARK: Encoding

    /// The tokens of a text.
    ///
    /// - Parameters:
    ///   - text: Special tokens spelled out in it become those tokens.
    ///   - addSpecialTokens: Whether ``prefixTokens`` and ``suffixTokens`` are put around it; what of these the text spells
    ///     out itself, at its start or its end, is not put there again.
    public func encode(_ text: String, addSpecialTokens: Bool = true) -> [Int32] {
        let tokens = tokens(of: text)
        let template = description.template
        guard addSpecialTokens, !template.isEmpty else { return tokens }
        let own = template.behindPrefix(tokens)
        return template.prefix + own + template.missingSuffix(of: own)
    }

    /// The tokens of a training document that follow ``prefixTokens``: those of ``encode(_:addSpecialTokens:)`` without the
    /// prefix, and none for a text that has no tokens of its own.
    public func encodeDocument(_ text: String) -> [Int32] {
        let tokens = tokens(of: text)
        let template = description.template
        guard !template.isEmpty else { return tokens }
        let own = template.behindPrefix(tokens)
        return own.isEmpty ? [] : Array(own) + template.missingSuffix(of: own)
    }

    private func tokens(of text: String) -> [Int32] {
        var tokens: [Int32] = []
        tokens.reserveCapacity(text.utf8.count / 4 + 8)
        withScratch { scratch in
            let bytes = text.utf8Span.span
            var cursor = AddedTokenMatcher.Cursor()
            while let segment = addedTokens.next(&cursor, in: bytes) {
                if let token = segment.identifier {
                    tokens.append(token)
                } else {
                    _ = appendTokens(
                        of: bytes.extracting(segment.range), isFirst: segment.range.lowerBound == 0, border: nil,
                        scratch: &scratch, to: &tokens)
                }
            }
        }
        return tokens
    }

    /// The tokens of a prompt and its completion as those of one text.
    ///
    /// - Parameter addSpecialTokens: Whether ``prefixTokens`` are put before; ``suffixTokens`` never are, for they would
    ///   count as completion.
    /// - Returns: The tokens; the index of the first that holds any of the completion (the number of tokens where the
    ///   completion is empty); and whether that token holds some of the prompt as well.
    public func encodeJoined(
        prompt: String, completion: String, addSpecialTokens: Bool = true
    ) -> (tokens: [Int32], completionStart: Int, completionStartsInsideToken: Bool) {
        let text = prompt + completion
        let border = prompt.utf8.count
        var tokens: [Int32] = []
        var start: Start?
        withScratch { scratch in
            let bytes = text.utf8Span.span
            var cursor = AddedTokenMatcher.Cursor()
            while let segment = addedTokens.next(&cursor, in: bytes) {
                let range = segment.range
                let holdsCompletion = start == nil && range.upperBound > border
                if let token = segment.identifier {
                    if holdsCompletion { start = Start(index: tokens.count, isInside: range.lowerBound < border) }
                    tokens.append(token)
                } else {
                    let found = appendTokens(
                        of: bytes.extracting(range), isFirst: range.lowerBound == 0,
                        border: holdsCompletion ? max(0, border - range.lowerBound) : nil,
                        scratch: &scratch, to: &tokens)
                    start = start ?? found
                }
            }
        }
        let textCount = tokens.count
        if addSpecialTokens { tokens = prefixTokens + description.template.behindPrefix(tokens) }
        let index = start?.index ?? textCount
        return (tokens, index + tokens.count - textCount, start?.isInside ?? false)
    }

    /// The first token that holds any of a completion.
    private struct Start {
        var index: Int
        /// Whether it also holds some of the prompt.
        var isInside: Bool
    }

    /// Appends the tokens of text between added tokens.
    ///
    /// - Parameters:
    ///   - isFirst: Whether `text` starts the whole text.
    ///   - border: Where in `text` a completion starts, before its end; nil where that does not matter.
    /// - Returns: The completion's first token.
    private func appendTokens(
        of text: Span<UInt8>, isFirst: Bool, border: Int?, scratch: inout Scratch, to tokens: inout [Int32]
    ) -> Start? {
        guard let normalized = description.normalizer.normalized(text) else {
            return appendTokens(
                ofNormalized: text, isFirst: isFirst, border: border, scratch: &scratch, to: &tokens)
        }
        var isShared = false
        let normalizedBorder = border.map { border in
            let prompt = text.extracting(0..<border)
            let normalizedPrompt = description.normalizer.normalized(prompt) ?? prompt.indices.map { prompt[$0] }
            let common = commonPrefixLength(normalized.span, normalizedPrompt.span)
            // Where the completion changes the form of the prompt's end, both share what follows the common part.
            isShared = common < normalizedPrompt.count
            return common
        }
        var start = appendTokens(
            ofNormalized: normalized.span, isFirst: isFirst, border: normalizedBorder, scratch: &scratch, to: &tokens)
        if isShared { start?.isInside = true }
        return start
    }

    private func appendTokens(
        ofNormalized text: Span<UInt8>, isFirst: Bool, border: Int?, scratch: inout Scratch, to tokens: inout [Int32]
    ) -> Start? {
        var start: Start?
        var cursor = AddedTokenMatcher.Cursor()
        while let segment = normalizedAddedTokens.next(&cursor, in: text) {
            let range = segment.range
            let holdsBorder = border.map { start == nil && range.upperBound > $0 } ?? false
            if let token = segment.identifier {
                if holdsBorder, let border {
                    start = Start(index: tokens.count, isInside: range.lowerBound < border)
                }
                tokens.append(token)
                continue
            }
            let found = appendTokens(
                between: text.extracting(range), isFirst: isFirst && range.lowerBound == 0,
                border: holdsBorder ? border.map { max(0, $0 - range.lowerBound) } : nil, scratch: &scratch, to: &tokens
            )
            start = start ?? found
        }
        return start
    }

    private func appendTokens(
        between text: Span<UInt8>, isFirst: Bool, border: Int?, scratch: inout Scratch, to tokens: inout [Int32]
    ) -> Start? {
        let first = tokens.count
        guard let metaspace = description.preTokenizer.metaspace else {
            let spaces = appendTokens(ofWordsIn: text, border: border, scratch: &scratch, to: &tokens)
            guard let border else { return nil }
            let encoded = model.encodedCount(of: text.extracting(0..<border))
            return start(at: encoded + spaces, amongTokensFrom: first, of: tokens)
        }
        let marked = metaspace.applied(to: text, isFirst: isFirst)
        _ = appendTokens(ofWordsIn: marked.span, border: nil, scratch: &scratch, to: &tokens)
        guard let border else { return nil }
        let markedBorder = metaspace.applied(to: text.extracting(0..<border), isFirst: isFirst).count
        return start(at: markedBorder, amongTokensFrom: first, of: tokens)
    }

    /// - Returns: How many spaces were put in before the border.
    private func appendTokens(
        ofWordsIn text: Span<UInt8>, border: Int?, scratch: inout Scratch, to tokens: inout [Int32]
    ) -> Int {
        description.preTokenizer.start(&scratch.words, on: text, border: border)
        while description.preTokenizer.next(&scratch.words, of: text) {
            if let spaced = scratch.words.spacedText {
                appendTokens(of: scratch.words, in: spaced.span, scratch: &scratch.model, to: &tokens)
            } else {
                appendTokens(of: scratch.words, in: text, scratch: &scratch.model, to: &tokens)
            }
        }
        return scratch.words.spacesBeforeBorder
    }

    private func appendTokens(
        of words: PreTokenizer.Words, in text: Span<UInt8>, scratch: inout BytePairModel.Scratch,
        to tokens: inout [Int32]
    ) {
        var position = words.start
        for end in words.ends {
            model.appendTokens(of: text, in: position..<end, scratch: &scratch, to: &tokens)
            position = end
        }
    }

    /// The token of `tokens[first...]` that holds byte `border` of the text which these are the whole of.
    private func start(at border: Int, amongTokensFrom first: Int, of tokens: [Int32]) -> Start? {
        var position = 0
        for index in first..<tokens.count {
            let end = position + decoded.lengthInText(of: tokens[index])
            if end > border { return Start(index: index, isInside: position < border) }
            position = end
        }
        return nil
    }

    private func commonPrefixLength(_ first: Span<UInt8>, _ second: Span<UInt8>) -> Int {
        var length = 0
        while length < min(first.count, second.count), first[length] == second[length] { length += 1 }
        // Back to the start of a character that differs in its last bytes.
        while length > 0, length < first.count, first[length] & 0xC0 == 0x80 { length -= 1 }
        return length
    }

    private func withScratch(_ body: (inout Scratch) -> Void) {
        var scratch = idle.withLock { $0.popLast() } ?? Scratch()
        body(&scratch)
        scratch.words.clearSpacedText()
        idle.withLock { $0.append(scratch) }
    }

    // MARK: Decoding

    /// The text of tokens, special ones included. Bytes that are not valid UTF-8, as where a character is cut between two
    /// tokens of which one is missing, become U+FFFD; ids that are no token are left out. A space that the tokenizer puts
    /// before a text is part of its first token, and stays.
    public func decode(_ tokens: some Sequence<Int32>) -> String {
        String(decoding: decodeBytes(tokens), as: UTF8.self)
    }

    /// The bytes that tokens stand for.
    public func decodeBytes(_ tokens: some Sequence<Int32>) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 * tokens.underestimatedCount)
        for token in tokens { bytes += decoded.bytes(of: token) }
        return bytes
    }

    /// One token's text for display: bytes that are only part of a character show as U+FFFD.
    public func tokenText(_ token: Int32) -> String { decode(CollectionOfOne(token)) }

    /// The id of a token that is found by its text before anything else, such as `<|endoftext|>`.
    public func addedToken(_ content: String) -> Int32? {
        description.addedTokens.first { $0.content.utf8.elementsEqual(content.utf8) }?.identifier
    }

    // MARK: Writing

    /// Writes `tokenizer.json` and `tokenizer_config.json`, which Hugging Face tokenizers and transformers read, into a
    /// folder that exists.
    ///
    /// - Throws: ``AtomicFileError``; each file is then the one that was there before or the new one, whole.
    public func write(to folder: URL) throws {
        try TokenizerFileWriter(description).write(to: folder)
    }
}

extension Tokenizer {
    /// Ids must be below this: far beyond any vocabulary, and small enough for a table by id.
    public static let identifierLimit = 1 << 22
}
