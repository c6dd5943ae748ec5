import Transformer

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
