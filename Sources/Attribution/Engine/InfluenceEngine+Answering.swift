import Corpus
import Foundation
import LinearAlgebra
import Transformer

extension InfluenceEngine: InfluenceAnswering {
    public func validate(_ query: InfluenceQuery) throws {
        _ = try tokenize(query)
        if query.candidates.needsIndex { _ = try index.required() }
        if let ids = query.candidates.ids { _ = try selector(asOf: .max).named(ids, source: nil) }
    }

    /// Chooses candidates from the corpus as it was when it had so many sequences.
    func selector(asOf corpusSequences: Int) -> CandidateSelector {
        CandidateSelector(corpus: corpus, index: index, corpusSequences: corpusSequences, workers: workers)
    }

    public func answer(
        _ queries: [InfluenceQuery], control: BatchControl
    ) -> [Result<InfluenceResult, QueryError>] {
        var outcomes = [Result<InfluenceResult, QueryError>?](repeating: nil, count: queries.count)
        var usable: [(index: Int, query: InfluenceQuery, tokenized: TokenizedQuery)] = []
        for (index, query) in queries.enumerated() {
            do {
                usable.append((index, query, try tokenize(query)))
            } catch {
                outcomes[index] = .failure(QueryError(error))
            }
        }
        let indices = usable.map(\.index)
        var usableControl = control
        usableControl.isCancelled = { control.isCancelled(indices[$0]) }
        let batch = QueryBatch(
            engine: self, queries: usable.map(\.query), tokenized: usable.map(\.tokenized), control: usableControl)
        for (entry, outcome) in zip(usable, batch.run()) { outcomes[entry.index] = outcome }
        return outcomes.map { $0 ?? .failure(.failed(reason: "the query was not answered")) }
    }

    public func complete(_ request: CompletionRequest, control: CompletionControl) throws -> CompletionResult {
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
            if control.isCancelled() { return .cancelled }
            return control.deadline.map { ContinuousClock.now >= $0 } == true ? .timeLimit : nil
        }
        if continuation.finishReason == .cancelled { throw QueryError.cancelled }
        let pieces = tokenizer.tokenTexts(continuation.tokens)
        return CompletionResult(
            prompt: request.prompt, completion: tokenizer.decode(continuation.tokens),
            tokens: zip(continuation.tokens, zip(pieces, continuation.logProbabilities)).map {
                InfluenceResult.QueryToken(id: $0, text: $1.0, logProbability: $1.1)
            },
            finishReason: continuation.finishReason.rawValue)
    }

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
                layersWithoutCurvature: factors.layersWithoutCurvature),
            corpus: ModelSummary.Statistics(try corpus.statistics()),
            index: index.index.map {
                ModelSummary.Index(
                    sequences: $0.sequences, leading: $0.layout.leading, signs: $0.layout.signs,
                    bytes: $0.sequences * $0.recordBytes)
            })
    }
}

extension QueryError {
    /// Any error as one that a query ends with.
    init(_ error: any Error) {
        self = error as? QueryError ?? .failed(reason: String(describing: error))
    }
}
