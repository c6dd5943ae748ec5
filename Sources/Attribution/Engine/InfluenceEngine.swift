import Corpus
import Curvature
import LinearAlgebra
import Sequences
import Tokenizer
import Transformer

/// Answers influence queries about a model, with its factors in memory and a corpus.
///
///     gradients -> precondition -> compress -> candidates -> one sweep over their union -> rank, rescore the top
public final class InfluenceEngine: Sendable {
    public let name: String
    public let decoder: DecoderModel
    public let modelDigest: String
    public let tokenizer: Tokenizer
    public let factors: EKFACFactors
    public let corpus: CorpusStore
    public let index: IndexAvailability
    /// Counts what all sweeps together have scored.
    public let tally = SweepTally()
    public let precision: SweepPrecision
    let workers: Workers
    let batchTokens: Int
    /// How ASTRA iterates. The same for all queries, so that scores of different queries can be compared.
    let astra: NeumannIteration.Options
    /// The model of first sweeps: ``decoder``, or the same in half precision.
    private let sweepDecoder: DecoderModel

    /// The most memory that the full-rank queries of one rescoring pass take.
    public static let fullRankBytes = 1 << 30
    /// The most memory that a sweep's multiplied-out queries take. If they would take more, they stay in their thin factors.
    public static let wholeQueryBytes = ScoringCost.gradientBytes

    public init(
        name: String, checkpoint: Checkpoint, factors: EKFACFactors, corpus: CorpusStore,
        index: IndexAvailability = .missing, precision: SweepPrecision = .float32, workers: Workers = Workers(),
        batchTokens: Int? = nil, astra: NeumannIteration.Options = .forQueries
    ) {
        self.name = name
        decoder = checkpoint.decoder
        self.precision = precision
        sweepDecoder = precision == .bfloat16 ? decoder.inHalfPrecision() : decoder
        modelDigest = checkpoint.digest
        tokenizer = checkpoint.tokenizer
        self.factors = factors
        self.corpus = corpus
        self.index = index
        self.workers = workers
        self.batchTokens = batchTokens ?? checkpoint.decoder.microBatchTokens
        self.astra = astra
    }

    /// - Parameters:
    ///   - precision: The engine's own, or a higher one.
    ///   - sequences: Reads sequences, in the order of the rowids.
    func sweep(
        in precision: SweepPrecision, _ sequences: @escaping @Sendable ([Int64]) throws -> [TrainingSequence]
    ) -> CandidateSweep {
        CandidateSweep(
            decoder: precision == .float32 ? decoder : sweepDecoder, tracked: factors.tracked, workers: workers,
            batchTokens: batchTokens, tally: tally, sequences: sequences)
    }

    func selector(asOf corpusSequences: Int) -> CandidateSelector {
        CandidateSelector(corpus: corpus, index: index, corpusSequences: corpusSequences, workers: workers)
    }

    /// Splits queries into groups whose full-rank matrices fit in memory together.
    func rescoringGroups(of queries: [Int]) -> [ArraySlice<Int>] {
        let bytes = factors.tracked.layers.reduce(0) { $0 + $1.parameters * MemoryLayout<Float>.stride }
        let size = max(1, Self.fullRankBytes / max(bytes, 1))
        return stride(from: 0, to: queries.count, by: size).map { queries[$0..<min($0 + size, queries.count)] }
    }
}

extension InfluenceEngine: InfluenceAnswering {
    public func validate(_ query: InfluenceQuery) throws {
        _ = try tokenize(query)
        if query.candidates.needsIndex { _ = try index.required() }
        if let ids = query.candidates.ids { _ = try selector(asOf: .max).named(ids, source: nil) }
        if let source = query.candidates.source { try refuse(unknownSource: source) }
    }

    /// - Throws: ``QueryError`` that lists the corpus's sources, if this is not one of them.
    func refuse(unknownSource source: String) throws {
        guard try !corpus.hasSource(source) else { return }
        let known = try corpus.sources().map(\.source)
        let shown = known.prefix(Self.shownSources).map { "\"\($0)\"" }.joined(separator: ", ")
        let others = known.count > Self.shownSources ? " and \(known.count - Self.shownSources) more" : ""
        throw QueryError.unusable(
            field: "candidates.source",
            reason: "the corpus has no source \"\(source)\"; "
                + (known.isEmpty ? "its documents have none at all" : "its sources are \(shown)\(others)"))
    }

    private static let shownSources = 20

    public func answer(
        _ queries: [InfluenceQuery], checkpoint: (any SweepCheckpoint)?, control: WorkControl<InfluenceProgress>
    ) -> [Result<InfluenceResult, QueryError>] {
        var outcomes = [Result<InfluenceResult, QueryError>?](repeating: nil, count: queries.count)
        var usable: [(index: Int, query: InfluenceQuery, tokenized: TokenizedQuery)] = []
        for (index, query) in queries.enumerated() {
            do {
                if let source = query.candidates.source { try refuse(unknownSource: source) }
                let (written, tokenized) = try read(query)
                usable.append((index, written, tokenized))
            } catch {
                outcomes[index] = .failure(QueryError(error))
            }
        }
        let indices = usable.map(\.index)
        var usableControl = control
        usableControl.isCancelled = { control.isCancelled(indices[$0]) }
        let batch = QueryBatch(
            engine: self, queries: usable.map(\.query), tokenized: usable.map(\.tokenized), checkpoint: checkpoint,
            control: usableControl)
        for (entry, outcome) in zip(usable, batch.run()) { outcomes[entry.index] = outcome }
        return outcomes.map { $0 ?? .failure(.failed(reason: "the query was not answered")) }
    }
}

extension InfluenceEngine: CompletionGenerating {
    public func complete(
        _ request: CompletionRequest, until deadline: ContinuousClock.Instant?, isCancelled: @Sendable () -> Bool
    ) throws -> CompletionResult {
        let prompt = tokenizer.encodeJoined(prompt: request.prompt, completion: "").tokens
        let context = decoder.description.contextLength
        guard !prompt.isEmpty, prompt.count < context else {
            throw QueryError.unusable(
                field: "prompt", reason: "it has \(prompt.count) tokens; the model's context is \(context)")
        }
        let generation = Generation(
            temperature: request.temperature, seed: request.seed, maximumTokens: request.maximumTokens,
            endOfText: tokenizer.eosToken)
        let continuation = generation.continue(prompt, with: decoder) {
            if isCancelled() { return .cancelled }
            return deadline.map { ContinuousClock.now >= $0 } == true ? .timeLimit : nil
        }
        if continuation.finishReason == .cancelled { throw QueryError.cancelled }
        let texts = tokenizer.tokenTexts(continuation.tokens)
        return CompletionResult(
            prompt: request.prompt, completion: tokenizer.decode(continuation.tokens),
            tokens: zip(continuation.tokens, zip(texts, continuation.logProbabilities)).map {
                InfluenceResult.QueryToken(id: $0, text: $1.0, logProbability: $1.1)
            },
            finishReason: continuation.finishReason.rawValue)
    }
}

extension InfluenceEngine: ModelDescribing {
    public func describe() throws -> ModelSummary {
        let provenance = factors.provenance
        return ModelSummary(
            name: name, architecture: decoder.description.architecture, parameters: decoder.parameterCount,
            contextLength: decoder.description.contextLength, vocabulary: decoder.description.vocabulary,
            digest: modelDigest,
            trackedLayers: factors.tracked.layers.map {
                ModelSummary.Layer(name: $0.name, inputs: $0.inputs, outputs: $0.outputs)
            },
            factors: ModelSummary.Factors(
                fisher: provenance.fisher.rawValue, sequences: provenance.sequences, tokens: provenance.tokens,
                seed: provenance.seed, bytes: factors.byteCount,
                layersWithoutCurvature: factors.layersWithoutCurvature, warnings: factors.warnings),
            corpus: ModelSummary.Statistics(try corpus.statistics()),
            index: index.index.map {
                ModelSummary.Index(
                    sequences: $0.sequences, leading: $0.layout.leading, signs: $0.layout.signs,
                    bytes: $0.sequences * $0.recordBytes)
            }, chatTemplate: tokenizer.chatTemplate != nil)
    }

    public func measurements() throws -> EngineMeasurements {
        EngineMeasurements(
            sweptSequences: tally.sequences, sweptTokens: tally.tokens, factorBytes: factors.byteCount,
            corpus: ModelSummary.Statistics(try corpus.statistics()))
    }
}
