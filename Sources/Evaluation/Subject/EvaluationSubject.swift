import Corpus
import Curvature
import LinearAlgebra
import Sequences
import Transformer

/// What an evaluation is about: a model, its factors, and the corpus that it was trained on.
public struct EvaluationSubject: Sendable {
    /// The model's name in reports.
    public let name: String
    public let checkpoint: Checkpoint
    public let factors: EKFACFactors
    public let corpus: CorpusStore
    public let workers: Workers
    /// Every sequence of the corpus, in ascending order. Evaluations name a sequence by its index here.
    public let rowids: [Int64]
    public let corpusDigest: String

    static let leastSequences = 10

    /// - Throws: ``EvaluationError/tooFewSequences(found:)``, or an error of the corpus.
    public init(
        name: String, checkpoint: Checkpoint, factors: EKFACFactors, corpus: CorpusStore, workers: Workers = Workers()
    ) throws {
        self.name = name
        self.checkpoint = checkpoint
        self.factors = factors
        self.corpus = corpus
        self.workers = workers
        rowids = try corpus.rowids()
        corpusDigest = try corpus.digest()
        guard rowids.count >= Self.leastSequences else {
            throw EvaluationError.tooFewSequences(found: rowids.count)
        }
    }

    var decoder: DecoderModel { checkpoint.decoder }
    var tracked: TrackedLayers { factors.tracked }
    var sequences: Range<Int> { rowids.indices }

    /// Some sequences, in the given order.
    func sequences(_ sequences: [Int]) throws -> [TrainingSequence] {
        try corpus.trainingSequences(rowids: sequences.map { rowids[$0] })
    }

    /// The identifiers of some sequences, in the given order.
    func identifiers(_ sequences: [Int]) throws -> [String] {
        try corpus.sequences(rowids: sequences.map { rowids[$0] }).map(\.id)
    }

    /// All sequences as a fit and the curvature read them.
    var source: FactorFit.Source {
        let (corpus, rowids) = (corpus, rowids)
        return FactorFit.Source(count: rowids.count, digest: corpusDigest) { range in
            try corpus.trainingSequences(rowids: Array(rowids[range]))
        }
    }

    /// The Gauss-Newton matrix of the model on the whole corpus.
    var curvature: GaussNewtonMatrix {
        GaussNewtonMatrix(decoder: decoder, tracked: tracked, source: source, workers: workers)
    }

    /// At most this many of the sequences, evenly spread.
    func spread(_ count: Int) -> [Int] {
        let kept = min(count, rowids.count)
        return (0..<kept).map { $0 * rowids.count / kept }
    }
}

/// The subject of an evaluation, as results keep it.
public struct EvaluatedSubject: Sendable, Codable, Equatable {
    public var model: String
    public var modelDigest: String
    public var parameters: Int
    public var corpusDigest: String
    public var sequences: Int

    init(_ subject: EvaluationSubject) {
        model = subject.name
        modelDigest = subject.checkpoint.digest
        parameters = subject.decoder.parameterCount
        corpusDigest = subject.corpusDigest
        sequences = subject.rowids.count
    }

    /// What a report says at its end: the subject, the seed, and how long the run took.
    func provenance(seed: UInt64, seconds: Double, _ facts: [EvaluationReport.Fact] = []) -> [EvaluationReport.Fact] {
        [
            ("Model", "\(model), \(parameters) parameters, \(modelDigest)"),
            ("Corpus", "\(sequences) sequences, \(corpusDigest)"),
        ] + facts + [("Seed", "\(seed)"), ("This run took", Figure.duration(seconds))]
    }
}
