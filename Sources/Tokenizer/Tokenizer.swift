import Files
import Foundation
import Sequences
import Synchronization

/// A byte-pair tokenizer, at byte level or over characters with byte fallback like SentencePiece. It gives the ids that Hugging
/// Face tokenizers gives for the same `tokenizer.json`.
///
/// Added tokens are found first. The text between them passes four stages, each with its own type: `Normalizer`, `PreTokenizer`,
/// the model (`BytePairModel`), and `SequenceTemplate` for the whole sequence. Every text can be encoded, and decoding gives it back,
/// except for a normalizer's changes, a prefix space, and the few control characters that some vocabularies lack. Several threads can
/// use one tokenizer at once.
///
/// Truncation and padding in the file are ignored: callers decide how long a sequence is.
public final class Tokenizer: Sendable {
    /// One more than the highest token id.
    public let vocabularyCount: Int
    /// The token that starts a text; nil where the files name none.
    public var bosToken: Int32? { description.bosToken }
    /// The token that ends a text; nil where the files name none.
    public var eosToken: Int32? { description.eosToken }
    /// The tokens that the files add before every sequence: none for most, BOS for some.
    public var prefixTokens: [Int32] { description.template.prefix }
    /// The tokens that the files add after every sequence.
    public var suffixTokens: [Int32] { description.template.suffix }
    /// SHA-256, in hexadecimal, of everything that determines a text's ids, however the files spell it.
    public let digest: String

    /// How chats are written for this model; nil where the files have no chat template.
    public let chatTemplate: ChatTemplate?

    let description: TokenizerDescription

    /// The kind of tokenizer, for display.
    public var kind: String {
        switch description.spelling {
        case .byteLevel: "byte-level BPE"
        case .characters: "BPE of characters with byte fallback"
        }
    }
    private let model: BytePairModel
    /// Finds added tokens in the original text, and in the normalized text.
    private let addedTokens: AddedTokenMatcher
    private let normalizedAddedTokens: AddedTokenMatcher
    let decoded: DecodedTokens
    /// Scratch memory for encoding, a few megabytes for each call that ever ran at the same time as others.
    private let idle = Mutex<[Scratch]>([])

    private struct Scratch: Sendable {
        var words = PreTokenizer.Words()
        var model = BytePairModel.Scratch()
    }

    /// Reads a tokenizer.
    ///
    /// - Parameter url: A checkpoint folder, or a `tokenizer.json`; a `tokenizer_config.json` and a chat template beside it are read
    ///   too.
    /// - Throws: ``TokenizerError``, naming file and field, if a file is missing or malformed or asks for something unsupported.
    public convenience init(contentsOf url: URL) throws(TokenizerError) {
        let description = try TokenizerLoader.description(contentsOf: url)
        self.init(description, chatTemplate: ChatTemplateFiles(folder: TokenizerLoader.folder(of: url)).template())
    }

    /// Makes the tokenizer that a GGUF file's metadata describes.
    ///
    /// Control, unknown and user-defined tokens are found in text before anything else. The format has no keys for Unicode
    /// normalization and, in some files, for whether a sequence starts with BOS: the family that
    /// ``GGUFTokenizerMetadata/preTokenizer`` names decides these.
    ///
    /// - Parameter file: The file's name, for errors.
    /// - Throws: ``TokenizerError``, naming file and key, if the metadata asks for something unsupported.
    public convenience init(_ metadata: GGUFTokenizerMetadata, file: String) throws(TokenizerError) {
        let description = try GGUFTokenizerLoader(metadata: metadata, file: file).description()
        self.init(description, chatTemplate: ChatTemplate(metadata, file: file))
    }

    init(_ description: TokenizerDescription, chatTemplate: ChatTemplate? = nil) {
        self.description = description
        self.chatTemplate = chatTemplate
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
    ///   - addSpecialTokens: Whether to add ``prefixTokens`` and ``suffixTokens``, except those that the text itself spells out at
    ///     its start or end.
    public func encode(_ text: String, addSpecialTokens: Bool = true) -> [Int32] {
        let tokens = tokens(of: text).tokens
        let template = description.template
        guard addSpecialTokens, !template.isEmpty else { return tokens }
        let own = template.behindPrefix(tokens)
        return template.prefix + own + template.missingSuffix(of: own)
    }

    /// The tokens of a training document: those of ``encode(_:addSpecialTokens:)`` without ``prefixTokens``, and none for a text
    /// that has no tokens of its own.
    public func encodeDocument(_ text: String) -> [Int32] {
        let tokens = tokens(of: text).tokens
        let template = description.template
        guard !template.isEmpty else { return tokens }
        let own = template.behindPrefix(tokens)
        return own.isEmpty ? [] : Array(own) + template.missingSuffix(of: own)
    }

    private func tokens(of text: String, border: Int? = nil) -> (tokens: [Int32], start: Start?) {
        var tokens: [Int32] = []
        tokens.reserveCapacity(text.utf8.count / 4 + 8)
        var start: Start?
        withScratch { scratch in
            let bytes = text.utf8Span.span
            start = appendSegments(of: bytes, by: addedTokens, border: border, to: &tokens) {
                text, isFirst, border, tokens in
                appendTokens(of: text, isFirst: isFirst, border: border, scratch: &scratch, to: &tokens)
            }
        }
        return (tokens, start)
    }

    /// Encodes a prompt and its completion as one text.
    ///
    /// - Parameter addSpecialTokens: Whether to add ``prefixTokens``. ``suffixTokens`` are never added: they would count as completion.
    /// - Returns: The tokens; the index of the first token that holds any of the completion (the number of tokens if the completion
    ///   is empty); and whether that token also holds some of the prompt.
    public func encodeJoined(
        prompt: String, completion: String, addSpecialTokens: Bool = true
    ) -> (tokens: [Int32], completionStart: Int, completionStartsInsideToken: Bool) {
        var (tokens, start) = tokens(of: prompt + completion, border: prompt.utf8.count)
        let textCount = tokens.count
        if addSpecialTokens { tokens = prefixTokens + description.template.behindPrefix(tokens) }
        let index = start?.index ?? textCount
        return (tokens, index + tokens.count - textCount, start?.isInside ?? false)
    }

    /// The first token that holds any of the completion.
    private struct Start {
        var index: Int
        /// Whether it also holds some of the prompt.
        var isInside: Bool
    }

    /// Appends the added tokens that a matcher finds in a text, and calls `append` for the text between them.
    ///
    /// - Parameters:
    ///   - border: The index in `text` at which a completion starts; nil if that does not matter.
    ///   - append: Appends the tokens of one segment. It receives the segment, whether the segment starts `text`, and the border
    ///     within the segment if it is the first one that holds any of the completion.
    /// - Returns: The completion's first token.
    private func appendSegments(
        of text: Span<UInt8>, by matcher: AddedTokenMatcher, border: Int?, to tokens: inout [Int32],
        append: (_ segment: Span<UInt8>, _ isFirst: Bool, _ border: Int?, _ tokens: inout [Int32]) -> Start?
    ) -> Start? {
        var start: Start?
        var cursor = AddedTokenMatcher.Cursor()
        while let segment = matcher.next(&cursor, in: text) {
            let range = segment.range
            let own = start == nil ? border.flatMap { $0 < range.upperBound ? $0 : nil } : nil
            if let token = segment.identifier {
                if let own { start = Start(index: tokens.count, isInside: range.lowerBound < own) }
                tokens.append(token)
            } else {
                let found = append(
                    text.extracting(range), range.lowerBound == 0, own.map { max(0, $0 - range.lowerBound) }, &tokens)
                start = start ?? found
            }
        }
        return start
    }

    /// Appends the tokens of text between added tokens.
    ///
    /// - Parameters:
    ///   - isFirst: Whether `text` starts the whole text.
    ///   - border: The index in `text` at which a completion starts, before the end of `text`; nil if that does not matter.
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
            // Where the completion changes the normalized end of the prompt, both share the text after the common part.
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
        appendSegments(of: text, by: normalizedAddedTokens, border: border, to: &tokens) {
            segment, startsText, border, tokens in
            appendTokens(
                between: segment, isFirst: isFirst && startsText, border: border, scratch: &scratch, to: &tokens)
        }
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

    /// - Returns: The number of spaces that were inserted before the border.
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

    /// The token of `tokens[first...]` that holds byte `border` of the text that these tokens cover.
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

    /// The id of an added token, such as `<|endoftext|>`.
    public func addedToken(_ content: String) -> Int32? {
        description.addedTokens.first { $0.content.utf8.elementsEqual(content.utf8) }?.identifier
    }

    // MARK: Writing

    /// Writes `tokenizer.json` and `tokenizer_config.json`, which Hugging Face tokenizers and transformers read, into a
    /// folder that exists.
    ///
    /// - Throws: ``AtomicFileError``. After an error, each file is either the previous one or the complete new one.
    public func write(to folder: URL) throws {
        try TokenizerFileWriter(description: description).write(to: folder)
    }

    /// Ids must be below this limit.
    public static let identifierLimit = TokenizerDescription.identifierLimit
}

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
