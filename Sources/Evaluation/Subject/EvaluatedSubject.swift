/// Of what an evaluation was made, as results keep it.
public struct EvaluatedSubject: Sendable, Codable, Equatable {
    public var model: String
    public var modelDigest: String
    public var parameters: Int
    public var corpusDigest: String
    public var sequences: Int

    enum CodingKeys: String, CodingKey {
        case model, parameters, sequences
        case modelDigest = "model_digest"
        case corpusDigest = "corpus_digest"
    }

    init(_ subject: EvaluationSubject) {
        model = subject.name
        modelDigest = subject.checkpoint.digest
        parameters = subject.decoder.parameterCount
        corpusDigest = subject.corpusDigest
        sequences = subject.rowids.count
    }

    var facts: [EvaluationReport.Fact] {
        [
            .init("Model", "\(model), \(parameters) parameters, \(modelDigest)"),
            .init("Corpus", "\(sequences) sequences, \(corpusDigest)"),
        ]
    }
}
