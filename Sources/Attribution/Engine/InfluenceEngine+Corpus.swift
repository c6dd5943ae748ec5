import Corpus
import JSON
import Sequences
import Tokenizer
import Transformer

extension InfluenceEngine: CorpusBrowsing {
    public func sequences(after rowid: Int64, source: String?, limit: Int) throws -> SequencePage {
        // One more sequence than the page shows tells whether there is a next page.
        let found = try corpus.sequences(after: rowid, source: source, limit: limit + 1)
        let shown = found.prefix(limit)
        return SequencePage(
            sequences: try describe(Array(shown)), next: found.count > limit ? shown.last?.rowid : nil)
    }

    public func sequence(_ id: String) throws -> SequenceDescription? {
        guard let sequence = try corpus.sequences(named: id).first else { return nil }
        return try describe([sequence]).first
    }

    public func identifiers(rowids: [Int64]) throws -> [String] { try corpus.identifiers(rowids: rowids) }

    public func search(_ text: String, limit: Int) throws -> [SearchHit] {
        let tokens = tokenizer.encode(text, addSpecialTokens: false)
        let matches = try corpus.termIndex.search(queryTokens: tokens, limit: limit)
        let described = try describe(rowids: matches.map(\.rowid))
        return zip(matches, described).enumerated().map { rank, hit in
            SearchHit(rank: rank + 1, score: hit.0.score, sequence: hit.1)
        }
    }

    /// Sequences with their documents' texts and metadata, in the order of the rowids.
    func describe(rowids: [Int64]) throws -> [SequenceDescription] {
        try describe(try corpus.sequences(rowids: rowids))
    }

    private func describe(_ sequences: [CorpusSequence]) throws -> [SequenceDescription] {
        try sequences.map { sequence in
            let document = try corpus.document(named: sequence.documentID)
            let metadata = try document?.metadata.map { text throws(CorpusError) in
                do {
                    return try JSONReader.read(Array(text.utf8))
                } catch {
                    throw .damaged(file: corpus.file, reason: "the metadata of \"\(sequence.documentID)\" is not JSON")
                }
            }
            let shown = sequence.loss.spans.map { tokenizer.text(of: sequence.tokens, spans: $0) }
            return SequenceDescription(
                id: sequence.id, documentID: sequence.documentID, piece: sequence.piece,
                tokenOffset: sequence.tokenOffset, tokenCount: sequence.tokens.count,
                // A document of a single chunk is shown as it was written, and a chunk of several as its tokens spell it.
                text: shown?.text
                    ?? (sequence.pieceCount == 1 ? document?.text : nil) ?? tokenizer.decode(sequence.tokens),
                loss: shown?.spans, source: sequence.source, metadata: metadata)
        }
    }
}

extension Tokenizer {
    /// A chat as the model's own template writes it.
    ///
    /// - Throws: `ChatTemplateError`, or ``RowError/noChatTemplate``.
    func render(_ messages: [JSONTree]) throws -> RenderedChat {
        guard let chatTemplate else { throw RowError.noChatTemplate }
        return try chatTemplate.render(messages.enumerated().map { try ChatMessage($1, position: $0) })
    }

    /// The text that tokens spell, and the parts of it that ranges of the tokens spell, in code points.
    fileprivate func text(of tokens: [Int32], spans: [Range<Int>]) -> (text: String, spans: [CompletionSpan]) {
        let texts = tokenTexts(tokens)
        var offsets = [0]
        for text in texts { offsets.append((offsets.last ?? 0) + text.unicodeScalars.count) }
        return (
            texts.joined(),
            spans.map { CompletionSpan(start: offsets[$0.lowerBound], end: offsets[$0.upperBound]) }
        )
    }
}

extension InfluenceEngine: SequenceIngesting {
    public func ingest(_ upload: SequenceUpload) throws -> IngestionSummary {
        let ingestion = CorpusIngestion(into: corpus, maximumRecords: upload.maximumRecords)
        do {
            let outcome = try ingestion.run(upload.body, form: upload.form == .lines ? .lines : .object)
            return IngestionSummary(
                added: outcome.summary.documents, duplicates: outcome.summary.duplicates,
                empty: outcome.summary.empty, cut: outcome.summary.cut, withoutLoss: outcome.summary.withoutLoss,
                cutBeforeLoss: outcome.summary.cutBeforeLoss, sequences: outcome.summary.sequences,
                tokens: outcome.summary.tokens,
                ids: outcome.identifiers, corpus: ModelSummary.Statistics(outcome.statistics))
        } catch {
            throw IngestionError(error)
        }
    }
}

extension CorpusTokenization {
    /// How a model reads documents: with the special tokens that its tokenizer's files put around a text, each once.
    public init(_ tokenizer: Tokenizer, sequenceLength: Int) {
        self.init(
            tokenizerDigest: tokenizer.digest, sequenceLength: sequenceLength, prefix: tokenizer.prefixTokens
        ) { tokenizer.encodeDocument($0) }
        rows = RowTokenization(
            encode: { text, spans in tokenizer.encode(text, withLossOn: spans) },
            chat: { messages, reading in
                func row(_ messages: [JSONTree]) throws -> ChatRow {
                    let chat = try tokenizer.render(messages)
                    let sequence = tokenizer.encode(chat.text, withLossOn: chat.byteSpans)
                    return ChatRow(
                        text: chat.text,
                        sequence: reading.loss == .all ? TrainingSequence(tokens: sequence.tokens) : sequence)
                }
                guard reading.dropsTurns else { return try row(messages) }
                let fitting = try ChatTurns.fitting(messages) { messages in
                    let row = try row(messages)
                    return row.sequence.count <= sequenceLength ? row : nil
                }
                guard var shortened = fitting?.value else { return try row(messages) }
                shortened.droppedMessages = fitting?.dropped ?? 0
                return shortened
            },
            decode: { tokens in
                if let index = tokens.firstIndex(where: { Int($0) >= tokenizer.vocabularyCount }) {
                    throw RowError.unknownToken(index: index, id: tokens[index], count: tokenizer.vocabularyCount)
                }
                return tokenizer.tokenTexts(tokens).joined()
            })
    }
}

/// Why a row of a corpus cannot be read for a model.
enum RowError: Error, CustomStringConvertible {
    case noChatTemplate
    case unknownToken(index: Int, id: Int32, count: Int)

    var description: String {
        switch self {
        case .noChatTemplate:
            "the model has no chat template. Put a chat_template.jinja into its folder, or render the chats elsewhere and give "
                + "{\"text\", \"loss\"}"
        case .unknownToken(let index, let id, let count):
            "entry \(index) is \(id), but the model's tokens are 0 to \(count - 1)"
        }
    }
}

extension ModelSummary.Statistics {
    init(_ statistics: CorpusStatistics) {
        self.init(
            documents: statistics.documents, sequences: statistics.sequences, tokens: statistics.tokens,
            duplicates: statistics.duplicates)
    }
}

extension IngestionError {
    init(_ error: any Error) {
        guard let error = error as? CorpusImportError else {
            self = (error as? CorpusError).map(Self.init) ?? .failed(reason: String(describing: error))
            return
        }
        switch error {
        case .malformedJSON(let location, _), .invalidUTF8(let location, _):
            self = .malformed(line: location.line, reason: error.sentence)
        case .foreignFormat: self = .malformed(line: 1, reason: error.sentence)
        case .tooManyRecords(_, let limit): self = .tooManyRecords(limit: limit)
        case .store(let error): self = IngestionError(error)
        default:
            self =
                error.location.map { .unusable(line: $0.line, field: error.field, reason: error.sentence) }
                ?? .failed(reason: error.description)
        }
    }

    private init(_ error: CorpusError) {
        if case .diskFull = error { self = .diskFull } else { self = .failed(reason: error.description) }
    }
}
